"""A tenant's storm takes some of a worker's threads, never all: another tenant's page finds one that is free."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connections, transaction

from apps.core.tenancy import current_tenant_id, tenant_scope
from apps.events.domain import outbox
from apps.events.domain.outbox import BATCH_SIZE, SMALLEST_BATCH, Drained, deliver_pending, emit_many
from apps.events.domain.storms import STORM_THREADS, Storms
from apps.events.models import OutboxRow
from tests.events.conftest import Handlers, Rang

HERE, THERE = UUID(int=1), UUID(int=2)
PATIENCE = 60.0


def ring(tenant_id: UUID, times: int) -> None:
    with tenant_scope(tenant_id), transaction.atomic():
        emit_many([Rang(tenant_id=tenant_id, bell_id=uuid4()) for _ in range(times)])


def left(tenant_id: UUID) -> int:
    with tenant_scope(tenant_id):
        return OutboxRow.objects.count()


def deliver() -> Drained:
    try:
        return deliver_pending()
    finally:
        connections.close_all()


class Standstill:
    """A handler that stands still in the storm's tenant until it is let go, and tells who was heard meanwhile."""

    def __init__(self) -> None:
        self.go, self.heard, self.standing = threading.Event(), list[UUID](), threading.Semaphore(0)

    def __call__(self, _event: Rang) -> None:
        self.heard.append(current_tenant_id())
        if current_tenant_id() == HERE and not self.go.is_set():
            self.standing.release()
            assert self.go.wait(PATIENCE)


@pytest.fixture
def standstill(handlers: Handlers, hints: list[object]) -> Standstill:
    handlers["first"] = standing = Standstill()
    return standing


@pytest.fixture
def storm(standstill: Standstill) -> Iterator[list[Future[Drained]]]:
    """As many threads as a storm may have stand still in it."""
    ring(HERE, 3 * BATCH_SIZE)
    with ThreadPoolExecutor(STORM_THREADS) as pool:
        workers = [pool.submit(deliver) for _ in range(STORM_THREADS)]
        try:
            for _ in workers:
                assert standstill.standing.acquire(timeout=PATIENCE)
            yield workers
        finally:
            standstill.go.set()


@pytest.mark.django_db(transaction=True)
def test_storm_leaves_threads_for_another_tenants_page(storm: list[Future[Drained]], standstill: Standstill) -> None:
    ring(THERE, 1)

    drained = deliver()
    heard, waits = list(standstill.heard), left(HERE)
    standstill.go.set()
    worked_off = [worker.result(timeout=PATIENCE) for worker in storm]

    assert (drained, heard, waits) == (Drained(1), [HERE] * STORM_THREADS + [THERE], 3 * BATCH_SIZE)
    assert sum(one.handled for one in worked_off) == 3 * BATCH_SIZE
    assert (left(HERE), left(THERE), standstill.heard.count(HERE)) == (0, 0, 3 * BATCH_SIZE)


@pytest.mark.django_db(transaction=True)
def test_news_of_a_storm_that_has_threads_enough_costs_no_look(
    storm: list[Future[Drained]], django_assert_num_queries: object
) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert deliver_pending(HERE) == Drained()


@pytest.mark.django_db(transaction=True)
def test_storm_that_passed_bars_nobody(storm: list[Future[Drained]], standstill: Standstill) -> None:
    standstill.go.set()
    for worker in storm:
        worker.result(timeout=PATIENCE)
    ring(HERE, 1)

    assert deliver_pending(HERE) == Drained(1)


@pytest.mark.django_db(transaction=True)
def test_worker_that_broke_off_is_not_counted_for_ever(
    handlers: Handlers, hints: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    ring(HERE, BATCH_SIZE)
    monkeypatch.setattr(outbox, "_work_through", lambda _rows: 1 / 0)
    for _ in range(STORM_THREADS):
        with pytest.raises(ZeroDivisionError):
            deliver_pending()
        with tenant_scope(HERE):
            OutboxRow.objects.update(claimable_at="2026-01-01T00:00:00Z")

    assert not outbox._storms.is_crowded(HERE)


@pytest.mark.django_db
def test_few_rows_are_no_storm(handlers: Handlers) -> None:
    ring(HERE, outbox.FAIR_SHARE)
    ring(THERE, outbox.FAIR_SHARE + 1)

    rows = outbox._claim()

    assert outbox._stormy(rows, BATCH_SIZE) == [THERE]


@pytest.mark.django_db
def test_worker_claims_no_more_than_it_manages(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed: list[int] = []
    claim = outbox._claim

    def counted(size: int, *, without: Sequence[UUID]) -> list[OutboxRow]:
        rows = claim(size, without=without)
        claimed.append(len(rows))
        return rows

    monkeypatch.setattr(outbox, "HOLD", timedelta(0))
    monkeypatch.setattr(outbox, "_claim", counted)
    ring(HERE, BATCH_SIZE + 30)

    assert deliver_pending() == Drained(BATCH_SIZE + 30)
    assert claimed[:3] == [BATCH_SIZE, SMALLEST_BATCH, SMALLEST_BATCH]


@pytest.mark.parametrize(
    ("size", "claimed", "done", "following"),
    [
        (BATCH_SIZE, BATCH_SIZE, BATCH_SIZE, BATCH_SIZE),
        (BATCH_SIZE, BATCH_SIZE, 60, 120),
        (BATCH_SIZE, BATCH_SIZE, 1, SMALLEST_BATCH),
        (BATCH_SIZE, 3, 3, BATCH_SIZE),  # there was no more
        (40, 40, 40, 80),
    ],
)
def test_next_claim_follows_what_was_managed(size: int, claimed: int, done: int, following: int) -> None:
    assert outbox._next_size(size, claimed=claimed, done=done) == following


def test_threads_claim_one_after_the_other() -> None:
    storms, given = Storms(), list[list[UUID]]()

    def claim() -> None:
        with storms.claiming() as crowded:
            given.append(crowded)
            time.sleep(0.01)  # long enough for the others to come
            storms.begin([HERE])

    threads = [threading.Thread(target=claim) for _ in range(STORM_THREADS + 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert given == [[]] * STORM_THREADS + [[HERE]] * 2
