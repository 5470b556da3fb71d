"""What only this machine says of a connection is held against no target, whichever way the probe goes out."""

import _socket
import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from apps.checks.engine import guarded_proxy, plain
from apps.checks.engine import network as network_module
from apps.checks.engine.guarded_proxy import GuardedProxy
from apps.checks.engine.icmp import EchoSeries
from apps.checks.engine.network import LoopNetwork
from apps.checks.engine.stream import LoopDatagrams, LoopStream
from apps.checks.enums import Verdict
from apps.checks.types.base import Phases, ProbeFailure
from apps.core.http import curl, failures
from apps.core.http.failures import Failure, failure_by_proxy, failure_of
from tests.checks.engine.networks import failure_of as failure_to_open
from tests.checks.engine.networks import network
from tests.checks.engine.probing import probe
from tests.peers.process import free_port
from tests.peers.web import answer, saying, serving

BOTH = ("127.0.0.1", "::1")


class _Only:
    """A module whose ``socket`` is another."""

    def __init__(self, module: Any, kind: Any) -> None:
        self._module = module
        self.socket = kind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@contextmanager
def one_port_taken(port: int) -> Iterator[int]:
    """Hold a connection to ``port``; return the local port that no second one can have."""
    with socket.socket() as link:
        _bind(link, 0)
        link.connect(("127.0.0.1", port))
        yield link.getsockname()[1]


def _bind(link: Any, own_port: int) -> None:
    """Leave a socket this one port, as if the whole range were taken: the kernel then refuses in the same way."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    link.bind(("127.0.0.1", own_port))


@pytest.mark.parametrize("settings", [{}, {"keeps_cookies": True}], ids=["plain", "libcurl"])
async def test_http_without_a_local_port_is_our_own_fault(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bound(_socket.socket):
        def __init__(self, *arguments: int) -> None:
            super().__init__(*arguments)
            _bind(self, own_port)

    with serving(saying(answer())) as web, one_port_taken(web.port) as own_port:
        for module in (plain, curl):
            monkeypatch.setattr(module, "_socket", _Only(_socket, Bound))
        outcome = await probe(web.url(), **settings)

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "own_fault")


async def test_stream_without_a_local_port_is_our_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def bound(net: LoopNetwork, ip: str, port: int, kind: int) -> socket.socket:
        link = open_socket(net, ip, port, kind)
        _bind(link, own_port)
        return link

    open_socket = LoopNetwork._socket
    with serving(saying(answer())) as web, one_port_taken(web.port) as own_port:
        monkeypatch.setattr(LoopNetwork, "_socket", bound)
        async with network() as net:
            failure = await failure_to_open(net, "127.0.0.1", web.port)

    assert (failure.code, failure.is_ours) == ("own_fault", True)


class _Full(socket.socket):
    """A socket of a machine that has no memory, buffer or port left."""

    number = errno.ENOBUFS

    def connect(self, _address: Any) -> None:
        raise OSError(self.number, "No buffer space available")

    def send(self, _data: Any, _flags: int = 0) -> int:
        raise OSError(self.number, "No buffer space available")

    def recv(self, _size: int, _flags: int = 0) -> bytes:
        raise OSError(self.number, "No buffer space available")


class _PortLess(_Full):
    number = errno.EAGAIN  # which a datagram socket says where a stream says EADDRNOTAVAIL


async def test_connection_without_memory_is_our_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    async with network() as net:
        monkeypatch.setattr(network_module, "socket", _Only(socket, _Full))
        failure = await failure_to_open(net, "127.0.0.1", 9)
        monkeypatch.setattr(network_module, "socket", _Only(socket, _PortLess))
        with pytest.raises(ProbeFailure) as caught:
            await net.open_datagrams("127.0.0.1", 9)

    assert (failure.code, failure.is_ours) == ("own_fault", True)
    assert (caught.value.code, caught.value.is_ours) == ("own_fault", True)


@pytest.mark.parametrize("kind", [LoopStream, LoopDatagrams])
async def test_memory_that_runs_out_within_a_conversation_is_our_own_fault(kind: Any) -> None:
    timing: dict[str, Any] = {"deadline": asyncio.get_running_loop().time() + 60, "dns_ms": None}
    if kind is LoopStream:
        timing |= {"connect_ms": 1.0, "host": "shop.example"}
    with _Full(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setblocking(False)
        line = kind(link, Phases(), remote_ip="192.0.2.1", **timing)
        with pytest.raises(ProbeFailure) as reading:
            await line._receive(9)
        with pytest.raises(ProbeFailure) as writing:
            await line._send(b"hello")

    assert [(each.value.code, each.value.is_ours) for each in (reading, writing)] == [("own_fault", True)] * 2


def _refusing(number: int, family: int) -> type[socket.socket]:
    """Return a socket that cannot be had for one family."""

    class Refusing(socket.socket):
        def __init__(self, *arguments: int, **others: Any) -> None:
            if arguments and arguments[0] == family:
                raise OSError(number, "refused")
            super().__init__(*arguments, **others)

    return Refusing


@pytest.mark.parametrize(
    ("refused", "number", "code", "is_ours"),
    [
        (socket.AF_INET6, errno.EAFNOSUPPORT, "connect_refused", False),
        (socket.AF_INET6, errno.EMFILE, "own_fault", True),
        (socket.AF_INET, errno.EMFILE, "own_fault", True),
    ],
    ids=["machine without IPv6", "no descriptor for the second", "no descriptor for the first"],
)
async def test_own_trouble_with_one_of_two_addresses(
    refused: int, number: int, code: str, is_ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That nobody asked one address says nothing, unless the machine cannot have the kind at all: then the other speaks."""
    port = free_port()
    refusing = _refusing(number, refused)
    async with network(lookup=lambda _host: BOTH) as net:
        monkeypatch.setattr(network_module, "socket", _Only(socket, refusing))
        failure = await failure_to_open(net, "both.example", port)
    monkeypatch.setattr(curl, "_socket", _Only(_socket, refusing))
    outcome = await probe(f"http://both.example:{port}/", lookup=lambda _host: BOTH)

    assert (failure.code, failure.is_ours) == (code, is_ours)
    assert (outcome.error_code, outcome.verdict) == (code, Verdict.UNKNOWN if is_ours else Verdict.FAILURE)


async def test_machine_without_ipv6_reaches_what_has_ipv4_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with network(lookup=lambda _host: BOTH[::-1]) as net:
        refusing = _refusing(errno.EAFNOSUPPORT, socket.AF_INET6)
        monkeypatch.setattr(network_module, "socket", _Only(socket, refusing))
        line = await net.open_datagrams("both.example", 9)

    assert line.remote_ip == "127.0.0.1"


@pytest.mark.parametrize("settings", [{}, {"keeps_cookies": True}], ids=["plain", "libcurl"])
async def test_machine_without_ipv6_blames_no_target_that_has_nothing_else(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusing = _refusing(errno.EAFNOSUPPORT, socket.AF_INET6)
    async with network() as net:
        monkeypatch.setattr(network_module, "socket", _Only(socket, refusing))
        failure = await failure_to_open(net, "::1", 9)
    for module in (plain, curl):
        monkeypatch.setattr(module, "_socket", _Only(_socket, refusing))
    outcome = await probe("http://[::1]:9/", **settings)

    assert (failure.code, failure.is_ours) == ("no_ipv6_here", True)
    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "no_ipv6_here")


class _Handle:
    """A handle of libcurl's whose last connection failed with an error of the system's."""

    def __init__(self, number: int) -> None:
        self._number = number

    def getinfo(self, _what: int) -> int:
        return self._number


@pytest.mark.parametrize(
    ("number", "tried", "code", "is_ours"),
    [
        (errno.ECONNREFUSED, ("192.0.2.1",), "connect_refused", False),
        (errno.EADDRNOTAVAIL, ("192.0.2.1", "192.0.2.2"), "own_fault", True),
        (errno.EADDRNOTAVAIL, ("2001:db8::1", "2001:db8::2"), "no_ipv6_here", True),
        (errno.EADDRNOTAVAIL, ("192.0.2.1", "2001:db8::1"), "connect_failed", False),
        (errno.ENOBUFS, ("192.0.2.1", "2001:db8::1"), "own_fault", True),
        (errno.ENETUNREACH, ("2001:db8::1",), "network_unreachable", False),
        (errno.EADDRNOTAVAIL, (), "own_fault", True),
    ],
)
def test_libcurl_s_last_word_is_weighed_by_what_it_tried(
    number: int, tried: tuple[str, ...], code: str, is_ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "socket", _Only(socket, _Addressless))
    failure = failure_of(_Handle(number), 7, "Failed to connect", tried)

    assert (failure.code, failure.is_ours) == (code, is_ours)


class _Addressless(socket.socket):
    """A socket of a machine that has no IPv6 address, as in a container without IPv6."""

    def connect(self, _address: Any) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")


@pytest.mark.parametrize("tried", [BOTH, BOTH[::-1], ("::1",)])
def test_want_of_ports_is_told_from_want_of_ipv6(tried: tuple[str, ...]) -> None:
    """The system says the same of both; this machine can reach ::1."""
    failure = failure_of(_Handle(errno.EADDRNOTAVAIL), 7, "Failed to connect", tried)

    assert (failure.code, failure.is_ours) == ("own_fault", True)


def test_own_fault_is_not_the_proxy_s() -> None:
    own = Failure("no_ipv6_here", {"detail": "no IPv6"}, is_ours=True)

    assert failure_by_proxy(own, "", "proxy.example") == own
    assert failure_by_proxy(Failure("network_unreachable"), "", "proxy.example").code == "proxy_failed"


async def test_proxy_of_a_browser_without_descriptors_blames_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    async def exhausted(_ip: str, _port: int) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async with network() as net:
        monkeypatch.setattr(guarded_proxy.asyncio, "open_connection", exhausted)
        with pytest.raises(ProbeFailure) as caught:
            await GuardedProxy(net, max_bytes=9)._connect("127.0.0.1", 9)

    assert (caught.value.code, caught.value.is_ours) == ("own_fault", True)


class _FullAtTimes(socket.socket):
    """A socket of a machine that has no room for some packets, at which its own echo arrives unless nobody is there."""

    turns = 0
    full: frozenset[int] = frozenset({1, 3})
    is_answered = True

    def send(self, data: Any, _flags: int = 0) -> int:
        self.turns += 1
        if self.turns in self.full:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        return super().send(b"\0" + bytes(data)[1:]) if self.is_answered else len(data)


async def _pinged(link: socket.socket, wait_seconds: float) -> tuple[float | None, ...]:
    link.setblocking(False)
    link.bind(("127.0.0.1", 0))
    link.connect(link.getsockname())
    series = EchoSeries(link, deadline=asyncio.get_running_loop().time() + 60)
    return await series.run(4, 0.001, wait_seconds, 56)


async def test_ping_that_this_machine_did_not_send_is_not_lost() -> None:
    with _FullAtTimes(socket.AF_INET, socket.SOCK_DGRAM) as link:
        trips = await _pinged(link, 1.0)

    assert [trip is None for trip in trips] == [False, False]


@pytest.mark.parametrize("full", [{1}, {4}, {1, 2, 3}])
async def test_ping_that_this_machine_did_not_send_hides_no_dead_host(full: set[int]) -> None:
    with _FullAtTimes(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.full, link.is_answered = frozenset(full), False
        trips = await _pinged(link, 0.01)

    assert trips == (None,) * (4 - len(full))


async def test_machine_that_sent_no_ping_at_all_blames_nobody() -> None:
    with _FullAtTimes(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.full = frozenset({1, 2, 3, 4})
        with pytest.raises(ProbeFailure) as caught:
            await _pinged(link, 0.01)

    assert (caught.value.code, caught.value.is_ours) == ("own_fault", True)
