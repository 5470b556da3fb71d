"""A name that nobody answers for is its own servers' fault; where no name is answered, it is our resolver's."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from time import monotonic

import pytest

from apps.checks.engine import resolver as resolver_module
from apps.checks.engine import witnesses
from apps.checks.engine.resolver import HostResolver, LookupFailed
from apps.checks.engine.witnesses import NAMES, Found, Lookup, is_definite
from apps.checks.enums import Verdict
from tests.checks.engine.networks import failure_of, network
from tests.checks.engine.probing import PATIENCE, probe, until

SERVFAIL = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
NXDOMAIN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def answering(**others: OSError | tuple[str, ...]) -> Lookup:
    """A resolver that answers ``bad.example`` with ``bad``, everything else with ``rest``."""

    def look_up(host: str) -> tuple[str, ...]:
        found = others["bad" if host == "bad.example" else "rest"]
        if isinstance(found, OSError):
            raise found
        return found

    return look_up


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set at the end, so that a lookup that hangs ends with the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize(
    ("lookup", "verdict", "code"),
    [
        pytest.param(
            answering(bad=SERVFAIL, rest=NXDOMAIN), Verdict.FAILURE, "dns_no_answer", id="their servers are broken"
        ),
        pytest.param(
            answering(bad=socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure"), rest=()),
            Verdict.FAILURE,
            "dns_no_answer",
            id="their servers refuse",
        ),
        pytest.param(answering(bad=SERVFAIL, rest=SERVFAIL), Verdict.UNKNOWN, "resolver_failure", id="ours is broken"),
        pytest.param(
            answering(bad=SERVFAIL, rest=OSError(24, "Too many open files")),
            Verdict.UNKNOWN,
            "resolver_failure",
            id="we cannot even ask",
        ),
        pytest.param(answering(bad=NXDOMAIN, rest=SERVFAIL), Verdict.FAILURE, "dns_failure", id="no such name"),
        pytest.param(answering(bad=(), rest=SERVFAIL), Verdict.FAILURE, "dns_failure", id="no address"),
    ],
)
async def test_fault_is_told_apart(lookup: Lookup, verdict: Verdict, code: str) -> None:
    outcome = await probe("http://bad.example/", lookup=lookup)
    async with network(lookup=lookup) as net:
        failure = await failure_of(net, "bad.example", 80)

    assert (outcome.verdict, outcome.error_code) == (verdict, code)
    assert (failure.code, failure.is_ours) == (code, verdict == Verdict.UNKNOWN)
    assert outcome.error_values == failure.values
    assert outcome.error_values["host"] == "bad.example"


async def test_resolver_that_answers_nobody_in_time_is_ours(
    over: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver_module, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(witnesses, "PATIENCE_SECONDS", 0.0)

    def hangs(_host: str) -> tuple[str, ...]:
        over.wait(60)
        return ()

    outcome = await probe("http://bad.example/", timeout=3, lookup=hangs)
    async with network(timeout=3, lookup=hangs) as net:
        failure = await failure_of(net, "bad.example", 80)

    assert (outcome.verdict, outcome.error_code) == (Verdict.UNKNOWN, "resolver_failure")
    assert outcome.error_values == failure.values == {"host": "bad.example", "detail": "timeout"}
    assert (failure.code, failure.is_ours) == ("resolver_failure", True)


async def test_servers_that_do_not_answer_in_time_are_theirs(
    over: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver_module, "SLOW_SECONDS", 0.0)
    asked: list[str] = []

    def look_up(host: str) -> tuple[str, ...]:
        asked.append(host)
        if host == "bad.example":
            over.wait(60)
        return ("192.0.2.1",)

    resolver = HostResolver(look_up)
    slow = asyncio.create_task(resolver.resolve("bad.example"))
    await until(lambda: {NAMES[0], "bad.example"} <= {*asked} and resolver._witnesses._look is None)

    assert resolver.why_late("bad.example", since=monotonic()).code == "dns_timeout"
    slow.cancel()
    resolver.close()


async def test_another_zone_that_was_answered_meanwhile_speaks_for_the_resolver(over: threading.Event) -> None:
    def look_up(host: str) -> tuple[str, ...]:
        if host == "shop.internal.example":
            return ("192.0.2.1",)
        if host == "shop.bad.test":
            over.wait(PATIENCE)
        raise SERVFAIL  # nobody outside is known here

    resolver = HostResolver(look_up)
    slow = asyncio.create_task(resolver.resolve("shop.bad.test"))
    await asyncio.sleep(0)
    await resolver.resolve("shop.internal.example")
    over.set()
    with pytest.raises(LookupFailed) as theirs:
        await slow
    with pytest.raises(LookupFailed) as ours:
        await resolver.resolve("shop.worse.test")
    resolver.close()

    assert (theirs.value.is_ours, ours.value.is_ours) == (False, True)


async def test_many_failures_are_one_look_at_the_witnesses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnesses, "FRESH_SECONDS", 600.0)
    asked: list[str] = []

    def look_up(host: str) -> tuple[str, ...]:
        asked.append(host)
        raise SERVFAIL

    resolver = HostResolver(look_up)
    names = [f"shop.zone{number}.example" for number in range(20)]
    found = await asyncio.gather(*map(resolver.resolve, names), return_exceptions=True)
    resolver.close()

    assert [isinstance(each, LookupFailed) and each.is_ours for each in found] == [True] * 20
    assert sorted(asked) == sorted([*names, *NAMES])


async def test_names_that_are_answered_cost_no_look() -> None:
    asked: list[str] = []

    def look_up(host: str) -> tuple[str, ...]:
        asked.append(host)
        return ("192.0.2.1",)

    resolver = HostResolver(look_up)
    await resolver.resolve("one.example")
    resolver.close()

    assert asked == ["one.example"]


@pytest.mark.parametrize(
    ("found", "is_so"),
    [
        (("192.0.2.1",), True),
        ((), True),
        (NXDOMAIN, True),
        (socket.gaierror(socket.EAI_NODATA, "No address"), True),
        (UnicodeError("label too long"), True),
        (SERVFAIL, False),
        (socket.gaierror(socket.EAI_FAIL, "refused"), False),
        (socket.gaierror(socket.EAI_SYSTEM, "system"), False),
        (socket.gaierror(socket.EAI_MEMORY, "memory"), False),
        (OSError(24, "Too many open files"), False),
    ],
)
def test_answers_that_tell_something_of_the_name(found: Found, is_so: bool) -> None:
    assert is_definite(found) is is_so
