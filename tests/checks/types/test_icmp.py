"""The ping check, on the machine itself; losses and forgeries over a line that a test controls."""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from django.core.exceptions import ValidationError

from apps.checks.engine.icmp import EchoSeries, checksum
from apps.checks.enums import Verdict
from apps.checks.types.base import Phases, Pings, ProbeContext
from apps.checks.types.icmp import IcmpCheck, IcmpConfig, statistics
from tests.checks.engine.loops import on_both_loops
from tests.checks.types.asking import ask
from tests.peers.debian import skip

NOBODY = 65_534


def _may(kind: socket.SocketKind) -> bool:
    try:
        socket.socket(socket.AF_INET, kind, socket.IPPROTO_ICMP).close()
    except PermissionError:
        return False
    return True


@pytest.fixture
def _pings() -> None:
    if not (_may(socket.SOCK_DGRAM) or _may(socket.SOCK_RAW)):
        skip("the right to ping (CAP_NET_RAW or net.ipv4.ping_group_range)", package="libcap2-bin")


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Go on without root's rights, where there are any."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.usefixtures("_pings")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_machine_answers_itself(host: str) -> None:
    outcome = await ask("icmp", host=host, count=4, interval_ms=20)

    facts = outcome.details
    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert (facts["sent"], facts["received"], facts["loss_percent"]) == (4, 4, 0.0)
    assert 0 < facts["min_ms"] <= facts["average_ms"] <= facts["max_ms"]
    assert facts["jitter_ms"] >= 0
    assert outcome.total_ms == facts["average_ms"]
    assert outcome.remote_ip in {"127.0.0.1", "::1"}


@pytest.mark.usefixtures("_pings")
@on_both_loops
async def test_many_series_at_once_keep_their_replies_apart() -> None:
    outcomes = await asyncio.gather(*(ask("icmp", host="127.0.0.1", count=5, interval_ms=20) for _number in range(20)))

    assert {outcome.details["received"] for outcome in outcomes} == {5}


async def test_machine_that_may_not_ping_says_what_to_do_and_blames_nobody() -> None:
    with _as_nobody():
        may = _may(socket.SOCK_DGRAM) or _may(socket.SOCK_RAW)
        outcome = await ask("icmp", host="127.0.0.1", count=1)

    if may:
        assert outcome.verdict == Verdict.SUCCESS
    else:
        assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "icmp_not_allowed")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "::ffff:127.0.0.1"])
async def test_private_address_is_refused(host: str) -> None:
    outcome = await ask("icmp", host=host, allow_private=False)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "loopback")


async def test_reserved_address_stays_shut() -> None:
    outcome = await ask("icmp", host="240.0.0.1", count=1)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "reserved")


Answer = Callable[[socket.socket, bytes], Awaitable[None]]


async def _series(answer: Answer, *, count: int = 4, wait: float = 2.0) -> tuple[float | None, ...]:
    """Run a series against ``answer``, which gets each request and sends what it likes."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
    for link in (ours, theirs):
        link.setblocking(False)
        link.bind(("127.0.0.1", 0))
    ours.connect(theirs.getsockname())
    theirs.connect(ours.getsockname())

    async def serve() -> None:
        while True:
            await answer(theirs, await loop.sock_recv(theirs, 2_048))

    serving = asyncio.create_task(serve())
    try:
        return await EchoSeries(ours, deadline=loop.time() + 60).run(count, 0.02, wait, 56)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        ours.close()
        theirs.close()


def _reply(request: bytes) -> bytes:
    return b"\0" + request[1:]


async def test_lost_packets_are_told_apart_from_those_that_came() -> None:
    async def drop_the_second(link: socket.socket, request: bytes) -> None:
        if request[6:8] != b"\0\1":
            link.send(_reply(request))

    trips = await _series(drop_the_second)

    assert [trip is None for trip in trips] == [False, True, False, False]


async def test_forged_late_and_double_replies_do_not_count() -> None:
    async def forge(link: socket.socket, request: bytes) -> None:
        reply = _reply(request)
        link.send(b"")
        link.send(reply[:10])
        link.send(reply[:8] + b"12345678" + reply[16:])  # another's token
        link.send(request)  # a request, not a reply
        link.send(reply[:6] + struct.pack("!H", 99) + reply[8:])  # never sent
        if request[6:8] == b"\0\0":
            link.send(reply)
            await asyncio.sleep(1)
            link.send(reply)

    trips = await _series(forge, count=2)

    assert trips[1] is None
    assert trips[0] is not None
    assert trips[0] < 900


class _Flooded(socket.socket):
    """A socket at which there is always something already."""

    turns = 0

    def recv(self, _size: int, _flags: int = 0) -> bytes:
        self.turns += 1
        assert self.turns < 1_000_000, "nobody else had a turn"
        return b"noise"


@on_both_loops
async def test_flood_of_packets_holds_nobody_up() -> None:
    with _Flooded(socket.AF_INET, socket.SOCK_DGRAM) as ours, socket.socket(type=socket.SOCK_DGRAM) as theirs:
        theirs.bind(("127.0.0.1", 0))
        ours.setblocking(False)
        ours.connect(theirs.getsockname())

        trips = await EchoSeries(ours, deadline=asyncio.get_running_loop().time() + 5).run(2, 0.001, 0.05, 8)

    assert trips == (None, None)


async def test_no_request_is_sent_too_late_for_its_answer() -> None:
    """The third would go out at 0.8 seconds, and its half a second to come back would be cut short."""
    with socket.socket(type=socket.SOCK_DGRAM) as ours, socket.socket(type=socket.SOCK_DGRAM) as theirs:
        theirs.bind(("127.0.0.1", 0))
        ours.setblocking(False)
        ours.connect(theirs.getsockname())

        trips = await EchoSeries(ours, deadline=asyncio.get_running_loop().time() + 1).run(5, 0.4, 0.5, 8)

    assert len(trips) in (1, 2)  # one on a machine that stands still meanwhile


async def test_request_is_a_whole_icmp_message() -> None:
    heard: list[bytes] = []

    async def note(link: socket.socket, request: bytes) -> None:
        heard.append(request)
        link.send(_reply(request))

    await _series(note, count=1)

    assert heard[0][:2] == b"\x08\0"
    assert len(heard[0]) == 64
    assert checksum(heard[0]) == 0  # RFC 1071: over the whole, with its checksum in place


class _Line:
    """A network whose pings take what a test says."""

    def __init__(self, *trips: float | None) -> None:
        self.phases = Phases()
        self._trips = trips

    async def ping(self, _host: str, **_options: Any) -> Pings:
        return Pings("192.0.2.1", self._trips)


@pytest.mark.parametrize(
    ("trips", "verdict", "code", "values"),
    [
        ([1.0, 2.0, 3.0, 4.0], Verdict.SUCCESS, "", {}),
        ([1.0, 2.0, 3.0, None], Verdict.DEGRADED, "ping_loss", {"loss": "25", "limit": 20}),
        ([1.0, 2.0, None, None], Verdict.DEGRADED, "ping_loss", {"loss": "50", "limit": 20}),
        ([1.0, None, None, None], Verdict.FAILURE, "ping_loss", {"loss": "75", "limit": 50}),
        ([None, None, None, None], Verdict.FAILURE, "ping_unanswered", {"sent": 4}),
        ([1.0, 50.0, 1.0, 50.0], Verdict.DEGRADED, "ping_jitter", {"jitter": "49", "limit": 40}),
    ],
)
async def test_loss_and_jitter_decide(
    trips: list[float | None], verdict: Verdict, code: str, values: dict[str, int | str]
) -> None:
    context = ProbeContext(5, True, http=cast("Any", None), net=cast("Any", _Line(*trips)))

    outcome = await IcmpCheck().probe(IcmpConfig(host="a.example", max_jitter_ms=40), context)

    assert (outcome.verdict, outcome.error_code, outcome.error_values) == (verdict, code, values)


def test_statistics_are_exact() -> None:
    assert statistics([10.0, None, 14.0, 12.0]) == {
        "sent": 4,
        "received": 3,
        "loss_percent": 25.0,
        "min_ms": 10.0,
        "average_ms": 12.0,
        "max_ms": 14.0,
        "jitter_ms": 3.0,
    }
    assert statistics([None, None]) == {"sent": 2, "received": 0, "loss_percent": 100.0}


def test_warning_comes_before_the_failure() -> None:
    with pytest.raises(ValidationError):
        IcmpConfig(host="a.example", warn_loss_percent=60, max_loss_percent=50).clean()
