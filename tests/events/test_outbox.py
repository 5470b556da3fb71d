"""An event reaches every handler, however often workers die, and one tenant's storm delays nobody."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from apps.core import clock
from apps.core.tenancy import CrossTenantWrite, current_tenant_id, system_scope, tenant_scope
from apps.events.base import handler_of_many
from apps.events.domain import outbox
from apps.events.domain.outbox import Drained, NotInTransaction, deliver_pending, emit, emit_many
from apps.events.models import OutboxRow
from tests.events.conftest import Handlers, Rang

pytestmark = pytest.mark.django_db
HERE, THERE = UUID(int=1), UUID(int=2)


def ring(tenant_id: UUID = HERE) -> Rang:
    return Rang(tenant_id=tenant_id, bell_id=uuid4())


def emit_here(*events: Rang) -> None:
    for event in events:
        with tenant_scope(event.tenant_id), transaction.atomic():
            emit(event)


def rows() -> list[OutboxRow]:
    with system_scope("a test looks at all"):
        return list(OutboxRow.unscoped.order_by("id"))


def test_event_comes_back_from_its_payload_as_it_was() -> None:
    event = ring()

    assert Rang.from_payload(event.payload()) == event
    assert event.payload() == {"tenant_id": str(HERE), "bell_id": str(event.bell_id)}


def test_each_handler_gets_the_event_once_under_the_tenants_scope(handlers: Handlers) -> None:
    heard: list[tuple[str, UUID, UUID]] = []
    for name in ("first", "second"):
        handlers[name] = lambda event, name=name: heard.append((name, event.bell_id, current_tenant_id()))  # type: ignore[misc]
    event = ring()
    emit_here(event)

    drained = deliver_pending()

    assert (drained, deliver_pending()) == (Drained(2, 0), Drained(0, 0))
    assert sorted(heard) == [("first", event.bell_id, HERE), ("second", event.bell_id, HERE)]
    assert rows() == []


@pytest.mark.django_db(transaction=True)
def test_emitting_outside_a_transaction_is_refused(handlers: Handlers) -> None:
    with tenant_scope(HERE), pytest.raises(NotInTransaction):
        emit(ring())


@pytest.mark.django_db(transaction=True)
def test_workers_are_told_once_the_fact_is_committed(handlers: Handlers, hints: list[Any]) -> None:
    with tenant_scope(HERE), transaction.atomic():
        emit_many([ring(), ring()])
        before = list(hints)

    assert (before, hints) == ([], [("events.deliver", str(HERE), "events")])


@pytest.mark.django_db(transaction=True)
def test_news_of_several_tenants_at_once_are_told_once(handlers: Handlers, hints: list[Any]) -> None:
    with system_scope("a prober tells of several tenants"), transaction.atomic():
        emit_many([ring(HERE), ring(THERE)])

    assert hints == [("events.deliver", "events")]


@pytest.mark.django_db(transaction=True)
def test_fact_that_is_rolled_back_was_never_told(handlers: Handlers, hints: list[Any]) -> None:
    with tenant_scope(HERE), transaction.atomic():
        emit(ring())
        transaction.set_rollback(True)

    assert (rows(), hints) == ([], [])


def test_event_of_another_tenant_is_refused(handlers: Handlers) -> None:
    with tenant_scope(HERE), transaction.atomic(), pytest.raises(CrossTenantWrite):
        emit(ring(THERE))


def test_event_without_handlers_leaves_no_row(handlers: Handlers) -> None:
    handlers.clear()
    emit_here(ring())

    assert rows() == []


def test_failing_handler_is_tried_again_later_and_does_not_hold_up_the_other(handlers: Handlers) -> None:
    heard: list[str] = []
    handlers["second"] = lambda _event: heard.append("second")
    handlers["first"] = lambda _event: 1 / 0  # type: ignore[assignment, return-value]
    emit_here(ring())
    before = clock.now()

    drained = deliver_pending()

    (row,) = rows()
    assert (drained, heard) == (Drained(1, 1), ["second"])
    assert (row.handler, row.attempts, row.last_error) == ("first", 1, "ZeroDivisionError: division by zero")
    assert before < row.claimable_at <= clock.now() + timedelta(seconds=1)


def test_failing_handler_undoes_what_it_wrote(handlers: Handlers) -> None:
    def write_and_fail(_event: Rang) -> None:
        OutboxRow.objects.create(event="trace", handler="trace", payload={})
        raise ValueError("after writing")

    handlers["first"] = write_and_fail
    emit_here(ring())

    deliver_pending()

    assert [row.event for row in rows()] == ["tests.rang"]


def test_row_that_fails_for_good_is_parked_for_the_operator(handlers: Handlers) -> None:
    handlers["first"] = lambda _event: 1 / 0  # type: ignore[assignment, return-value]
    emit_here(ring())

    for _ in range(2 * len(outbox.RETRY_DELAYS) + 1):
        with system_scope("a test turns the clock"):
            OutboxRow.unscoped.update(claimable_at=clock.now() - timedelta(seconds=1))
        deliver_pending()

    (row,) = rows()
    assert (row.is_parked, row.attempts) == (True, 17)
    with system_scope("a test turns the clock"):
        OutboxRow.unscoped.update(claimable_at=clock.now() - timedelta(seconds=1))
    assert deliver_pending() == Drained(0, 0)


def test_leased_row_is_left_to_its_worker_until_the_lease_ends(handlers: Handlers) -> None:
    emit_here(ring())
    (claimed,) = outbox._claim()

    while_leased = deliver_pending()
    with system_scope("a test turns the clock"):
        OutboxRow.unscoped.update(claimable_at=clock.now() - timedelta(seconds=1))
    after = deliver_pending()

    assert (claimed.attempts, while_leased, after) == (1, Drained(0, 0), Drained(1, 0))


def test_worker_whose_lease_ran_out_does_not_work_twice(handlers: Handlers) -> None:
    heard: list[UUID] = []
    handlers["first"] = lambda event: heard.append(event.bell_id)
    emit_here(ring())
    (slow,) = outbox._claim()
    with system_scope("a test turns the clock"):
        OutboxRow.unscoped.update(claimable_at=clock.now() - timedelta(seconds=1))
    deliver_pending()

    outbox._deliver([slow])

    assert len(heard) == 1


def test_storm_of_one_tenant_does_not_delay_another(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BATCH_SIZE", 10)
    monkeypatch.setattr(outbox, "FAIR_SHARE", 3)
    emit_here(*(ring(HERE) for _ in range(30)), ring(THERE))

    first_batch = outbox._claim()

    assert THERE in {row.tenant_id for row in first_batch}
    assert len(first_batch) == 10


def test_storm_of_thousands_hides_nobody(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes last finds more older rows before it than any worker looks at."""
    monkeypatch.setattr(outbox, "BATCH_SIZE", 10)
    monkeypatch.setattr(outbox, "FAIR_SHARE", 3)
    with tenant_scope(HERE), transaction.atomic():
        emit_many([ring(HERE) for _ in range(2_000)])
    emit_here(ring(THERE))

    first_batch = outbox._claim()

    assert [row.tenant_id for row in first_batch].count(THERE) == 1


def test_few_rows_of_many_tenants_are_claimed_the_longest_waiting_first(handlers: Handlers) -> None:
    tenants = [UUID(int=number) for number in range(300, 0, -1)]
    emit_here(*map(ring, tenants))

    claimed = outbox._claim()

    assert [row.tenant_id for row in claimed] == tenants[: outbox.BATCH_SIZE]


def test_handler_of_many_gets_all_that_its_tenant_has_at_once(handlers: Handlers) -> None:
    heard: list[tuple[UUID, list[UUID]]] = []

    @handler_of_many(at_most=100)
    def hear(events: Sequence[Rang]) -> None:
        heard.append((current_tenant_id(), [event.bell_id for event in events]))

    handlers["first"] = hear  # type: ignore[assignment]
    events = [ring(HERE), ring(THERE), ring(HERE), ring(HERE)]
    emit_here(*events)

    drained = deliver_pending()

    assert drained == Drained(4, 0)
    assert heard == [(THERE, [events[1].bell_id]), (HERE, [events[at].bell_id for at in (0, 2, 3)])]
    assert rows() == []


def test_handler_of_many_gets_no_more_than_it_takes_at_once(handlers: Handlers) -> None:
    heard: list[int] = []

    @handler_of_many(at_most=3)
    def hear(events: Sequence[Rang]) -> None:
        heard.append(len(events))

    handlers["first"] = hear  # type: ignore[assignment]
    emit_here(*(ring() for _ in range(8)))

    assert (deliver_pending(), heard) == (Drained(8, 0), [3, 3, 2])


def test_poisonous_event_among_many_stops_none_of_the_others(handlers: Handlers) -> None:
    poison = ring()
    done: list[UUID] = []

    @handler_of_many(at_most=100)
    def hear(events: Sequence[Rang]) -> None:
        for event in events:
            OutboxRow.objects.create(event="trace", handler="trace", payload={}, is_parked=True)
            if event == poison:
                raise ValueError("poison")
        done.extend(event.bell_id for event in events)

    handlers["first"] = hear  # type: ignore[assignment]
    good = [ring() for _ in range(10)]
    emit_here(*good[:7], poison, *good[7:])

    drained = deliver_pending()

    assert drained == Drained(10, 1)
    assert sorted(done) == sorted(event.bell_id for event in good)
    kept = rows()
    assert [row.event for row in kept].count("trace") == 10  # what the failing portions wrote is undone
    (left,) = [row for row in kept if row.event != "trace"]
    assert (left.payload["bell_id"], left.attempts, left.last_error) == (str(poison.bell_id), 1, "ValueError: poison")


def test_rows_that_another_worker_took_over_are_not_handed_over_again(handlers: Handlers) -> None:
    heard: list[UUID] = []

    @handler_of_many(at_most=100)
    def hear(events: Sequence[Rang]) -> None:
        heard.extend(event.bell_id for event in events)

    handlers["first"] = hear  # type: ignore[assignment]
    events = [ring() for _ in range(3)]
    emit_here(*events)
    slow = outbox._claim()
    with system_scope("a test turns the clock"):
        OutboxRow.unscoped.filter(id=slow[0].id).update(claimable_at=clock.now() - timedelta(seconds=1))
    deliver_pending()
    before = list(heard)

    outbox._deliver(slow)

    assert before == [events[0].bell_id]
    assert heard == [event.bell_id for event in events]


def test_what_a_slow_worker_has_not_begun_goes_back_at_once(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "HOLD", timedelta(0))
    heard: list[UUID] = []
    handlers["first"] = lambda event: heard.append(event.bell_id)
    events = [ring() for _ in range(3)]
    emit_here(*events)

    first = outbox._work_through(outbox._claim())
    attempts = [row.attempts for row in rows()]
    rest = deliver_pending()

    assert (first, attempts, rest) == (Drained(1, 0), [0, 0], Drained(2, 0))
    assert heard == [event.bell_id for event in events]


def test_slow_handlers_of_one_tenant_push_no_other_back(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "HOLD", timedelta(0))
    heard: list[UUID] = []
    handlers["first"] = lambda event: heard.append(event.tenant_id)
    emit_here(*(ring(HERE) for _ in range(20)), ring(THERE), ring(THERE))

    for _ in range(3):
        outbox._work_through(outbox._claim())

    assert heard == [THERE, THERE, HERE]


def test_what_goes_back_keeps_its_place(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "HOLD", timedelta(0))
    monkeypatch.setattr(outbox, "BATCH_SIZE", 2)
    heard: list[UUID] = []
    handlers["first"] = lambda event: heard.append(event.bell_id)
    events = [ring() for _ in range(5)]
    emit_here(*events)

    deliver_pending()

    assert heard == [event.bell_id for event in events]


@pytest.mark.django_db(transaction=True)
def test_worker_needs_no_hint_for_what_its_handlers_emit(handlers: Handlers, hints: list[Any]) -> None:
    heard: list[UUID] = []

    def echo(event: Rang) -> None:
        heard.append(event.bell_id)
        if len(heard) == 1:
            emit(ring())

    handlers["first"] = echo
    emit_here(ring())
    hints.clear()

    drained = deliver_pending()

    assert (drained, len(heard), hints) == (Drained(2, 0), 2, [])


def test_handlers_of_one_tenant_run_in_the_order_of_the_facts(handlers: Handlers) -> None:
    heard: list[UUID] = []
    handlers["first"] = lambda event: heard.append(event.bell_id)
    events = [ring() for _ in range(5)]
    emit_here(*events)

    deliver_pending()

    assert heard == [event.bell_id for event in events]


# --- Clocks that are set back ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attempts", "waits_seconds", "is_due"),
    [
        (0, 3_600, True),  # told an hour ahead
        (1, 3_600, True),  # leased
        (4, 3_600 + 15, True),
        (7, 900 - 1, False),  # waits as long as it should
        (8, 3_600 - 1, False),
        (8, 2 * 3_600, True),
        (20, 3_600 - 1, False),
    ],
)
def test_event_put_off_by_a_clock_that_was_set_back_is_due(attempts: int, waits_seconds: int, is_due: bool) -> None:
    at = clock.now() + timedelta(seconds=waits_seconds)
    with tenant_scope(HERE):
        OutboxRow.objects.create(event="x", handler="x", payload={}, claimable_at=at, attempts=attempts)

    outbox.straighten()
    outbox.straighten()

    assert [row.claimable_at < at for row in rows()] == [is_due]
