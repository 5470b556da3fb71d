"""A machine that has no thread, memory or descriptor for a lookup: no name is stuck, and none is blamed."""

import asyncio
import errno
import socket
import threading
from typing import Any

import pytest
from publicsuffixlist import PublicSuffixList

from apps.checks.engine import resolver as resolver_module
from apps.checks.engine import witnesses
from apps.checks.engine.resolver import HostResolver, LookupFailed
from apps.checks.engine.witnesses import Witnesses
from apps.checks.types import owners
from tests.checks.engine.probing import PATIENCE

ADDRESS = ("192.0.2.1",)
SERVFAIL = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


class Refused(threading.Thread):
    """A thread that the machine has no room for."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def left_in(resolver: HostResolver) -> tuple[Any, ...]:
    """Return what a resolver remembers of names that are looked up or wait."""
    kept = (resolver._asked, resolver._wanted, resolver._zones, resolver._in_line, resolver._slow, resolver._todo)
    return (*(len(each) for each in kept), len(resolver._behind_own), resolver._under_way)


async def test_name_that_no_thread_can_be_had_for_fails_and_may_be_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = HostResolver(lambda _host: ADDRESS)
    with monkeypatch.context() as patched:
        patched.setattr(threading, "Thread", Refused)
        names = [f"n{number}.shop.example" for number in range(20)]
        async with asyncio.timeout(PATIENCE):
            found = await asyncio.gather(*map(resolver.resolve, names), return_exceptions=True)
    left = left_in(resolver)

    again = await asyncio.wait_for(resolver.resolve(names[0]), PATIENCE)

    resolver.close()
    assert [isinstance(each, LookupFailed) and each.is_ours for each in found] == [True] * 20
    assert left == (0,) * 8
    assert again.addresses == ADDRESS


async def test_name_that_no_thread_of_its_own_can_be_had_for_is_taken_up_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes_on = threading.Event()

    def lookup(_host: str) -> tuple[str, ...]:
        goes_on.wait(2 * PATIENCE)
        return ADDRESS

    resolver = HostResolver(lookup)
    first = asyncio.create_task(resolver.resolve("one.example"))
    await asyncio.sleep(0)
    with monkeypatch.context() as patched:
        patched.setattr(threading, "Thread", Refused)
        others = [asyncio.create_task(resolver.resolve(f"www.other{number}.example")) for number in range(3)]
        await asyncio.sleep(0)
    goes_on.set()

    async with asyncio.timeout(PATIENCE):
        found = await asyncio.gather(first, *others)

    resolver.close()
    assert [each.addresses for each in found] == [ADDRESS] * 4
    assert left_in(resolver) == (0,) * 8


async def test_answered_name_is_told_before_the_next_is_begun() -> None:
    class Breaking(HostResolver):
        def _next_of(self, name: str) -> None:
            raise RuntimeError(name)

    broken: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: broken.append(context["exception"]))
    resolver = Breaking(lambda _host: ADDRESS)

    found = await asyncio.wait_for(resolver.resolve("www.shop.example"), PATIENCE)

    resolver.close()
    assert found.addresses == ADDRESS
    assert [str(each) for each in broken] == ["shop.example"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.EMFILE, "Too many open files"),
        socket.gaierror(socket.EAI_MEMORY, "Memory allocation failure"),
    ],
    ids=repr,
)
async def test_lookup_that_this_machine_had_no_room_for_is_our_own_fault(error: Exception) -> None:
    def lookup(host: str) -> tuple[str, ...]:
        if host == "www.shop.example":
            raise error
        return ADDRESS  # which other names were answered meanwhile tells nothing then

    resolver = HostResolver(lookup)
    with pytest.raises(LookupFailed) as caught:
        await asyncio.wait_for(resolver.resolve("www.shop.example"), PATIENCE)
    after = await asyncio.wait_for(resolver.resolve("www.other.example"), PATIENCE)

    resolver.close()
    assert caught.value.is_ours
    assert (after.addresses, resolver._threads) == (ADDRESS, 1)


async def test_look_that_no_thread_can_be_had_for_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnesses, "FRESH_SECONDS", 600.0)
    kept = Witnesses(asyncio.get_running_loop(), lambda _host: ADDRESS)
    with monkeypatch.context() as patched:
        patched.setattr(threading, "Thread", Refused)
        refused = await asyncio.wait_for(kept.all_fail(), PATIENCE)
    seem_dead = kept.seem_dead
    monkeypatch.setattr(witnesses, "FRESH_SECONDS", -1.0)

    assert (refused, seem_dead) == (True, True)
    assert await asyncio.wait_for(kept.all_fail(), PATIENCE) is False


async def test_look_ends_whatever_a_lookup_raises() -> None:
    def lookup(_host: str) -> tuple[str, ...]:
        raise MemoryError

    kept = Witnesses(asyncio.get_running_loop(), lookup)

    assert await asyncio.wait_for(kept.all_fail(), PATIENCE) is True
    assert kept._look is None


async def test_domains_are_counted_by_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lookups share and where secrets may go is told by the same list, which is read once."""
    monkeypatch.setattr(owners, "_suffixes", lambda: PublicSuffixList(["example", "shop.example"]))
    resolver_module._zone.cache_clear()

    found = [await owners.owned_domain(host) for host in ("A.One.shop.example.", "shop.example")]
    zones = [resolver_module._zone(host) for host in ("A.One.shop.example.", "Shop.example")]

    resolver_module._zone.cache_clear()
    assert found == ["one.shop.example", ""]
    assert zones == ["one.shop.example", "shop.example"]
