"""Addresses that guessers name: looked up together, a bounded number of them, and nobody's answer hangs on another's."""

import asyncio
from collections.abc import AsyncIterator, Collection

import pytest
from django.db import DataError, Error, OperationalError, connection

from apps.checks.domain import ping_lookups
from apps.checks.domain.heartbeats import ping_key
from apps.checks.domain.ping_batches import PingBatches, Unavailable
from apps.checks.domain.ping_lookups import Lookups, count_heartbeats
from apps.checks.domain.pings import BOUNDS, HINTS, Address, BySlug
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_pings import heartbeat, token_of

PATIENCE_SECONDS = 60  # with what would otherwise never come


@pytest.mark.django_db
def test_heartbeats_of_many_addresses_and_tenants_are_counted_at_once(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(acme.id):
        token, ours = token_of(heartbeat()), ping_key()
    with tenant_scope(globex.id):
        heartbeat("Twin"), heartbeat("Twin")
        theirs = ping_key()
    names = [BySlug(ours, "backup"), BySlug(ours, "free"), BySlug(theirs, "twin"), BySlug(theirs, "backup")]

    counts = count_heartbeats([token, "nobody", *names, BySlug("nobody", "backup")])

    assert counts == {token: 1, names[0]: 1, names[1]: 0, names[2]: 2, names[3]: 0}


@pytest.mark.django_db
def test_question_is_bounded_and_goes_by_keys_like_the_pings_whose_thread_it_holds() -> None:
    count_heartbeats(["nobody"])

    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(f"current_setting('{name}')" for name in HINTS | BOUNDS))
        assert cursor.fetchone() == tuple((HINTS | BOUNDS).values())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[set[Address]]:
    """What the database was asked; what begins with "real" is somebody's."""
    questions: list[set[Address]] = []

    def count(addresses: Collection[Address]) -> dict[Address, int]:
        questions.append(set(addresses))
        if "bad" in addresses:
            raise RuntimeError("nobody thought of this")
        if "refused" in addresses:
            raise DataError("no such text")
        if "slow" in addresses:
            raise OperationalError("canceling statement due to statement timeout")
        return {address: 1 for address in addresses if str(address).startswith("real")}

    monkeypatch.setattr(ping_lookups, "count_heartbeats", count)
    return questions


@pytest.fixture
async def lookups(asked: list[set[Address]]) -> AsyncIterator[Lookups]:
    batches = PingBatches()
    yield Lookups(batches)
    await batches.close()


async def count(lookups: Lookups, *addresses: Address, held_bytes: int = 0) -> dict[Address, int]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await lookups.count(addresses, held_bytes=held_bytes)


async def test_many_guesses_are_one_question(lookups: Lookups, asked: list[set[Address]]) -> None:
    counts = await asyncio.gather(
        *(count(lookups, f"guess {number % 100}") for number in range(500)), count(lookups, "real")
    )

    assert counts[-1]["real"] == 1
    assert [len(question) for question in asked] == [101]


async def test_more_than_one_question_carries_are_asked_one_after_the_other(
    lookups: Lookups, asked: list[set[Address]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping_lookups, "MAX_ASKED", 4)

    counts = await asyncio.gather(*(count(lookups, f"real {number}", f"other {number}") for number in range(5)))

    assert [found[f"real {number}"] for number, found in enumerate(counts)] == [1] * 5
    assert [len(question) for question in asked] == [4, 4, 2]


async def test_next_question_waits_for_the_answer_before(
    lookups: Lookups, asked: list[set[Address]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping_lookups, "GATHER_SECONDS", 0)
    free, held = asyncio.Event(), lookups._batches.in_database

    async def in_database(*work: object) -> object:
        await free.wait()
        return await held(*work)

    monkeypatch.setattr(lookups._batches, "in_database", in_database)
    first = asyncio.create_task(count(lookups, "one"))
    await asyncio.sleep(0.05)
    others = [asyncio.create_task(count(lookups, name)) for name in ("two", "three")]
    await asyncio.sleep(0.05)
    free.set()

    await asyncio.gather(first, *others)

    assert asked == [{"one"}, {"two", "three"}]


async def test_so_many_wait_at_most(
    lookups: Lookups, asked: list[set[Address]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping_lookups, "MAX_WAITING", 2)

    counts = await asyncio.gather(*(count(lookups, f"real {number}") for number in range(3)))

    assert [f"real {number}" in found for number, found in enumerate(counts)] == [True, True, False]
    assert await count(lookups, "real again") == {"real again": 1}


async def test_so_much_is_held_at_most(lookups: Lookups, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ping_lookups, "MAX_WAITING_BYTES", 10)

    large = [count(lookups, name, held_bytes=6) for name in ("real", "real too")]
    counts = await asyncio.gather(*large, count(lookups, "real small", held_bytes=4))

    assert counts == [{"real": 1, "real small": 1}, {}, {"real": 1, "real small": 1}]


async def test_who_hangs_up_leaves_the_others_waiting(lookups: Lookups) -> None:
    gone = asyncio.create_task(count(lookups, "gone"))
    stays = asyncio.create_task(count(lookups, "real"))
    await asyncio.sleep(0)

    gone.cancel()

    assert (await stays)["real"] == 1


async def test_question_that_fails_somehow_is_told_and_the_next_one_is_asked(lookups: Lookups) -> None:
    with pytest.raises(Unavailable):
        await count(lookups, "bad")

    assert await count(lookups, "real") == {"real": 1}


@pytest.mark.parametrize("address", ["refused", "bad"])
async def test_address_that_is_refused_is_its_own_senders_trouble_alone(
    lookups: Lookups, asked: list[set[Address]], address: str
) -> None:
    reals = [count(lookups, f"real {number}") for number in range(150)]

    first, *counts = await asyncio.gather(count(lookups, address), *reals, return_exceptions=True)

    assert isinstance(first, Unavailable)
    assert [found[f"real {number}"] for number, found in enumerate(counts) if isinstance(found, dict)] == [1] * 150
    assert len({frozenset(question) for question in asked}) <= 17  # each may be asked again on a new connection


async def test_question_that_takes_too_long_is_not_asked_in_parts(lookups: Lookups, asked: list[set[Address]]) -> None:
    told = await asyncio.gather(count(lookups, "slow"), count(lookups, "real"), return_exceptions=True)

    assert [type(one) for one in told] == [Unavailable, Unavailable]
    assert {"slow"} not in asked


async def test_database_that_refuses_everything_is_asked_so_often_at_most(
    lookups: Lookups, asked: list[set[Address]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(addresses: Collection[Address]) -> dict[Address, int]:
        asked.append(set(addresses))
        raise Error

    monkeypatch.setattr(ping_lookups, "count_heartbeats", refuse)

    told = await asyncio.gather(*(count(lookups, f"{number}") for number in range(200)), return_exceptions=True)

    assert [type(one) for one in told] == [Unavailable] * 200
    assert len({frozenset(question) for question in asked}) == ping_lookups.MAX_TRIES - 1
