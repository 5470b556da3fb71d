"""Names: looked up anew, shared between neighbours, and never held up by other zones."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from time import monotonic
from typing import Any

import pytest

from apps.checks.engine import resolver as resolver_module
from apps.checks.engine.resolver import THREADS, THREADS_PER_ZONE, HostResolver, NameNotFound, system_lookup
from apps.checks.engine.witnesses import Lookup
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from tests.checks.engine.networks import failure_of, network
from tests.checks.engine.probing import PATIENCE, job, probe, probe_all, probe_loop
from tests.peers.web import answer, saying, serving


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set at the end, so that a lookup that hangs ends with the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_name_is_looked_up_by_the_system() -> None:
    assert "127.0.0.1" in system_lookup("localhost")


async def test_unknown_name_fails_with_the_resolvers_reason() -> None:
    def unknown(_host: str) -> tuple[str, ...]:
        raise socket.gaierror(-2, "Name or service not known")

    outcome = await probe("http://nowhere.example/", lookup=unknown)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "dns_failure")
    assert outcome.error_values == {"host": "nowhere.example", "detail": "Name or service not known"}
    assert outcome.connect_ms is None


async def test_name_without_addresses_fails() -> None:
    outcome = await probe("http://empty.example/", lookup=lambda _host: ())

    assert outcome.error_code == "dns_failure"


async def test_slow_lookup_times_out(over: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "SLOW_SECONDS", 600.0)  # nobody looks whether others are answered
    outcome = await probe("http://slow.example/", timeout=3, lookup=lambda _host: over.wait(60) and ())

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "dns_timeout")


async def test_lookup_counts_as_time_of_the_probe() -> None:
    def slowly(_host: str) -> tuple[str, ...]:
        time.sleep(0.2)
        return ("127.0.0.1",)

    with serving(saying(answer())) as web:
        outcome = await probe(web.url(host="slow.example"), lookup=slowly)

    assert outcome.dns_ms is not None
    assert outcome.dns_ms >= 195
    assert outcome.total_ms is not None
    assert outcome.total_ms >= outcome.dns_ms


async def test_neighbours_share_a_lookup() -> None:
    asked: list[str] = []

    def lookup(host: str) -> tuple[str, ...]:
        asked.append(host)
        time.sleep(0.05)
        return ("127.0.0.1",)

    with serving(saying(answer())) as web:
        outcomes = await probe_all([job(number, web.url(host="shared.example")) for number in range(20)], lookup=lookup)

    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SUCCESS}
    assert asked == ["shared.example"]
    assert all(outcome.dns_ms is not None and outcome.dns_ms >= 50 for outcome in outcomes.values())


async def test_address_is_looked_up_anew_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "FRESH_SECONDS", 60.0)
    answers = iter([("192.0.2.1",), ("192.0.2.2",)])
    resolver = HostResolver(lambda _host: next(answers))

    first = await resolver.resolve("moving.example")
    again = await resolver.resolve("moving.example")
    monkeypatch.setattr(resolver_module, "monotonic", lambda: monotonic() + 60)
    later = await resolver.resolve("moving.example")
    resolver.close()

    assert (first.addresses, again.addresses, later.addresses) == (("192.0.2.1",), ("192.0.2.1",), ("192.0.2.2",))


async def test_failure_is_not_remembered() -> None:
    answers = iter([(), ("192.0.2.1",)])
    resolver = HostResolver(lambda _host: next(answers))

    with pytest.raises(NameNotFound):
        await resolver.resolve("flapping.example")
    answered = await resolver.resolve("flapping.example")
    resolver.close()

    assert answered.addresses == ("192.0.2.1",)


def tarpit(over: threading.Event, hanging: list[str]) -> Lookup:
    """A resolver whose names with "tarpit" in them hang; it keeps which of them were asked for."""

    def lookup(host: str) -> tuple[str, ...]:
        if "tarpit" in host:
            hanging.append(host)
            over.wait(120)
        return ("127.0.0.1",)

    return lookup


async def test_zone_that_never_answers_does_not_hold_up_others(over: threading.Event) -> None:
    hanging: list[str] = []

    with serving(saying(answer())) as web:
        names = [f"n{number}.tarpit.example" for number in range(200)]
        bad = [job(name, web.url(host=name), timeout=5) for name in names]
        good = [job(number, web.url(host=f"n{number}.good.test")) for number in range(50)]
        outcomes = await probe_all(bad + good, lookup=tarpit(over, hanging), max_in_flight=300)

    assert {outcomes[number].verdict for number in range(50)} == {Verdict.SUCCESS}
    assert {outcomes[name].error_code for name in hanging} == {"dns_timeout"}
    assert len(hanging) == THREADS_PER_ZONE


@pytest.mark.parametrize("suffix", ["co.uk", "github.io"])
async def test_customers_below_one_suffix_hold_up_nobody_but_themselves(over: threading.Event, suffix: str) -> None:
    resolver = HostResolver(tarpit(over, []))
    slow = [asyncio.create_task(resolver.resolve(f"n{number}.tarpit.{suffix}")) for number in range(50)]
    await asyncio.sleep(0)

    found = await asyncio.wait_for(resolver.resolve(f"www.good.{suffix}"), PATIENCE)

    for task in slow:
        task.cancel()
    resolver.close()
    assert found.addresses == ("127.0.0.1",)


async def test_a_handful_of_zones_leaves_threads_to_others(over: threading.Event) -> None:
    resolver = HostResolver(tarpit(over, []))
    names = [f"n{number}.tarpit{zone}.example" for zone in range(12) for number in range(20)]
    slow = [asyncio.create_task(resolver.resolve(name)) for name in names]
    await asyncio.sleep(0)

    found = await asyncio.wait_for(resolver.resolve("www.good.example"), PATIENCE)

    for task in slow:
        task.cancel()
    resolver.close()
    assert found.addresses == ("127.0.0.1",)


async def test_name_that_stood_in_line_is_our_own_fault(over: threading.Event) -> None:
    hanging: list[str] = []
    lookup = tarpit(over, hanging)
    names = [f"n.tarpit{zone}.example" for zone in range(THREADS)]

    bad = [job(name, f"http://{name}/", timeout=5) for name in names]
    outcomes = await probe_all([*bad, job("good", "http://good.example/", timeout=5)], lookup=lookup)
    async with network(lookup=lookup, timeout=5) as net:
        slow = [asyncio.create_task(net._resolver.resolve(name)) for name in names]
        await asyncio.sleep(0)
        failure = await failure_of(net, "good.example", 80)
        for task in slow:
            task.cancel()

    assert (outcomes["good"].verdict, outcomes["good"].error_code) == (Verdict.UNKNOWN, "own_fault")
    assert (failure.code, failure.is_ours) == ("own_fault", True)
    assert failure.values == outcomes["good"].error_values


@pytest.mark.parametrize("hang_seconds", [120, 2], ids=["hangs", "fails slowly"])
async def test_zone_whose_servers_are_dead_is_not_excused_by_its_own_line(
    over: threading.Event, hang_seconds: int
) -> None:
    def lookup(host: str) -> tuple[str, ...]:
        if "tarpit" in host:
            over.wait(hang_seconds)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return ("127.0.0.1",)

    jobs = [job(number, f"http://n{number}.tarpit.example/", timeout=5) for number in range(60)]
    outcomes = await probe_all(jobs, lookup=lookup)

    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.FAILURE}
    assert {outcome.error_code for outcome in outcomes.values()} - {"dns_no_answer"} == {"dns_timeout"}


async def late_codes(resolver: HostResolver, names: list[str], *, after: list[str]) -> list[str]:
    """Have ``names`` given up some seconds after they are asked for, while ``after`` are waited for; return what is said."""

    async def late(name: str) -> str:
        began = monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await resolver.resolve(name)
        return resolver.why_late(name, since=began).code

    slow = [asyncio.create_task(resolver.resolve(name)) for name in after]
    await asyncio.sleep(0)
    codes = await asyncio.gather(*map(late, names))
    for task in slow:
        task.cancel()
    resolver.close()
    return codes


@pytest.mark.parametrize(
    ("zones_before", "own"),
    [(THREADS, 20), (THREADS - 4, THREADS_PER_ZONE)],
    ids=["none of its lookups is begun", "one of them hangs, and seven wait for what others took"],
)
async def test_names_that_others_leave_no_thread_are_our_own_fault(
    over: threading.Event, zones_before: int, own: int
) -> None:
    names = [f"n{number}.tarpit.example" for number in range(20)]

    codes = await late_codes(
        HostResolver(tarpit(over, [])), names, after=[f"n.tarpit{zone}.example" for zone in range(zones_before)]
    )

    first = [] if own == 20 else ["dns_timeout"]
    assert codes == first + ["own_fault"] * (own - len(first)) + ["dns_timeout"] * (20 - own)


async def test_name_that_everybody_gave_up_is_not_looked_up_any_more() -> None:
    asked: list[str] = []
    goes_on = threading.Event()

    def lookup(host: str) -> tuple[str, ...]:
        asked.append(host)
        goes_on.wait(120)
        return ("192.0.2.1",)

    resolver = HostResolver(lookup)
    hasty = [asyncio.create_task(resolver.resolve(f"n{number}.zone.example")) for number in range(20)]
    patient = asyncio.create_task(resolver.resolve("www.zone.example"))
    await asyncio.sleep(0)
    for task in hasty:
        task.cancel()
    await asyncio.wait(hasty)
    again = asyncio.create_task(resolver.resolve("n19.zone.example"))
    await asyncio.sleep(0)
    goes_on.set()

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(patient, again)
        while resolver._zones:
            await asyncio.sleep(0.005)

    resolver.close()
    begun = {f"n{number}.zone.example" for number in range(THREADS_PER_ZONE)}
    assert set(asked) == begun | {"n19.zone.example", "www.zone.example"}
    assert (resolver._wanted, resolver._asked, resolver._behind_own, resolver._slow) == ({}, {}, set(), {})


async def test_zone_that_came_in_a_rush_has_its_share_once_that_is_over(over: threading.Event) -> None:
    is_over = threading.Event()

    def lookup(host: str) -> tuple[str, ...]:
        if "tarpit" in host:
            over.wait(120)
        if "rush" in host:
            is_over.wait(120)
        return ("192.0.2.1",)

    resolver = HostResolver(lookup)
    names = [*(f"n.rush{zone}.example" for zone in range(100)), "tarpit.zone.example"]
    others = [asyncio.create_task(resolver.resolve(name)) for name in names]
    await asyncio.sleep(0)
    neighbour = asyncio.create_task(resolver.resolve("www.zone.example"))
    await asyncio.sleep(0)
    is_over.set()

    found = await asyncio.wait_for(neighbour, PATIENCE)

    for task in others:
        task.cancel()
    resolver.close()
    assert found.addresses == ("192.0.2.1",)


async def test_names_in_line_are_all_looked_up_in_the_end() -> None:
    resolver = HostResolver(lambda _host: ("192.0.2.1",))
    names = [f"n{number}.zone{zone}.example" for zone in range(40) for number in range(20)]

    async with asyncio.timeout(PATIENCE):
        found = await asyncio.gather(*map(resolver.resolve, names))

    resolver.close()
    assert {each.addresses for each in found} == {("192.0.2.1",)}
    assert (resolver._zones, resolver._in_line, resolver._begun, resolver._under_way) == ({}, {}, {}, 0)


async def test_probe_that_gives_up_leaves_the_answer_to_others(
    over: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolver_module, "SLOW_SECONDS", 600.0)  # nobody looks whether others are answered
    outcomes: dict[Any, Outcome] = {}

    def lookup(_host: str) -> tuple[str, ...]:
        over.wait(60)
        return ("127.0.0.1",)

    def keep(token: Any, outcome: Outcome, _started_at: datetime) -> None:
        outcomes[token] = outcome
        over.set()

    with serving(saying(answer())) as web, probe_loop(keep, lookup=lookup) as loop:
        url = web.url(host="slow.example")
        loop.submit(job("hasty", url, timeout=3))
        loop.submit(job("patient", url))
        while loop.in_flight:
            await asyncio.sleep(0.005)

    assert outcomes["hasty"].error_code == "dns_timeout"
    assert outcomes["patient"].verdict == Verdict.SUCCESS


async def test_threads_end_with_the_resolver() -> None:
    resolver = HostResolver(lambda _host: ("192.0.2.1",))
    await asyncio.gather(*(resolver.resolve(f"n{number}.zone{number}.example") for number in range(20)))
    assert any(thread.name == "resolver" for thread in threading.enumerate())

    resolver.close()

    async with asyncio.timeout(60):
        while any(thread.name == "resolver" for thread in threading.enumerate()):
            await asyncio.sleep(0.01)
