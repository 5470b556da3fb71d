"""Batches of pings: whatever happens to one, everybody who waits is told, and the next ones are stored."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from apps.checks.domain import ping_batches
from apps.checks.domain.ping_batches import PingBatches, Unavailable
from apps.checks.domain.ping_doors import Door
from apps.checks.domain.pings import Fate, NewPing, PingStore, Stored
from tests.checks.test_pings import ping

PATIENCE_SECONDS = 60  # with what would otherwise never come


def stumbling(_store: PingStore, pings: Sequence[NewPing]) -> Stored:
    """Store nothing, and fail where one of them is bad, in a way that nobody thought of."""
    if any(each.address == "bad" for each in pings):
        raise RuntimeError("nobody thought of this")
    return Stored([Fate.STORED] * len(pings), {})


@pytest.fixture
async def batches(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PingBatches]:
    monkeypatch.setattr(PingStore, "store", stumbling)
    opened = PingBatches()
    yield opened
    await opened.close()


async def stored(batches: PingBatches, address: str) -> Fate:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await batches.stored(ping(address))


async def test_ping_that_fails_somehow_is_not_acknowledged_and_the_next_one_is_stored(batches: PingBatches) -> None:
    with pytest.raises(Unavailable):
        await stored(batches, "bad")

    assert await stored(batches, "good") == Fate.STORED


async def test_ping_that_fails_somehow_costs_no_other_of_its_batch(batches: PingBatches) -> None:
    waiting = [stored(batches, address) for address in ("good", "bad", "better")]

    fates = await asyncio.gather(*waiting, return_exceptions=True)

    assert [fate if isinstance(fate, Fate) else type(fate) for fate in fates] == [
        *(Fate.STORED, Unavailable, Fate.STORED)
    ]


async def test_sender_that_cannot_be_told_keeps_no_other_waiting(batches: PingBatches) -> None:
    def gone(_fate: Fate | None) -> None:
        raise RuntimeError("the line is dead")

    batches.put(ping("good"), gone)

    assert await stored(batches, "better") == Fate.STORED


async def test_sign_of_life_is_given_again_after_one_that_failed(
    batches: PingBatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, given, again = asyncio.get_running_loop(), [], asyncio.Event()

    def sign(door: Door, _step: Any) -> None:
        given.append(door)
        if len(given) == 1:
            raise RuntimeError("nobody thought of this")
        loop.call_soon_threadsafe(again.set)

    monkeypatch.setattr(ping_batches, "give_sign_of_life", sign)
    monkeypatch.setattr(ping_batches, "SIGN_EVERY", timedelta(0))

    batches.open(Door.MAIL)

    async with asyncio.timeout(PATIENCE_SECONDS):
        await again.wait()
    assert given[:2] == [Door.MAIL, Door.MAIL]
