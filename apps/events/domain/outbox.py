"""Putting events into the outbox, and working it off."""

import json
import logging
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from operator import itemgetter
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F

from apps.core import clock
from apps.core.ids import uuid7
from apps.core.tenancy import checked_tenant_id, system_scope, tenant_scope
from apps.events.base import Event, portion_of
from apps.events.domain.storms import Storms
from apps.events.domain.table import event_classes, event_table, handler_function
from apps.events.hints import hint
from apps.events.models import OutboxRow

logger = logging.getLogger(__name__)

DELIVER_TASK = "events.deliver"
QUEUE = "events"
LEASE = timedelta(seconds=10)
# A worker that manages less in its time than it claimed claims less the next time: what it gives back costs two writes a row.
BATCH_SIZE, SMALLEST_BATCH = 200, 20
# A tenant with more rows than this in a full batch waits for the others: its storm must not delay their pages.
FAIR_SHARE = 50
# What a worker leased and has not begun by then goes back: another one may be free for it.
HOLD = timedelta(milliseconds=250)
RETRY_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 15, 60, 300, 900, 3600))

# A worker takes up what its own handlers emit in its next round, so nobody needs to be told of that.
_is_working: ContextVar[bool] = ContextVar("obsera_outbox_is_working", default=False)
_storms = Storms()


class NotInTransaction(RuntimeError):
    """An event must share the transaction of the fact it tells."""


@dataclass(frozen=True, slots=True)
class Drained:
    """How a round of deliveries went."""

    handled: int = 0
    failed: int = 0

    def __add__(self, other: "Drained") -> "Drained":
        return Drained(self.handled + other.handled, self.failed + other.failed)


def emit(event: Event) -> None:
    """Tell a fact to its handlers, in the transaction that makes it true."""
    emit_many((event,))


def emit_many(events: Iterable[Event]) -> None:
    """Write one outbox row per event and handler; once committed, ask a worker to deliver them now."""
    if not connection.in_atomic_block:
        raise NotInTransaction("emit() belongs inside transaction.atomic(), next to the change it tells")
    now = clock.now()
    rows = [
        (uuid7().hex, str(checked_tenant_id(event.tenant_id)), event.name, handler, payload)
        for event in events
        for payload in (event.payload(),)
        for handler in event_table()[type(event)]
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(WRITE, [now, now, json.dumps(rows)])
        tenants = {row[1] for row in rows}
        transaction.on_commit(partial(_kick, *(tenants if len(tenants) == 1 else ())), robust=True)


# One document for all rows: building thousands of them through the ORM cost more than working them off.
WRITE = """
INSERT INTO events_outboxrow
    (id, tenant_id, event, handler, payload, created_at, claimable_at, attempts, last_error, is_parked)
SELECT (entry->>0)::uuid, (entry->>1)::uuid, entry->>2, entry->>3, entry->4, %s, %s, 0, '', false
FROM jsonb_array_elements(%s::jsonb) AS entry
"""


def _kick(*tenant_id: str) -> None:
    if not _is_working.get():
        hint(DELIVER_TASK, *tenant_id, queue=QUEUE)


def deliver_pending(told_by: UUID | None = None) -> Drained:
    """Hand every claimable row to its handler, round after round, until none is left for us; return the counts.

    ``told_by``: the tenant whose news made us look. While enough of our threads work on its storm there is nothing to do.
    """
    drained, size = Drained(), BATCH_SIZE
    if told_by and _storms.is_crowded(told_by):
        return drained
    with _working():
        while rows := _take(size):
            try:
                done = _work_through(rows)
            finally:
                _storms.end(_stormy(rows, size))
            drained += done
            size = _next_size(size, claimed=len(rows), done=done.handled + done.failed)
    return drained


def _take(size: int) -> list[OutboxRow]:
    """Claim a batch of tenants whose storms do not keep enough of our threads busy already."""
    with _storms.claiming() as crowded:
        rows = _claim(size, without=crowded)
        _storms.begin(_stormy(rows, size))
    return rows


def _stormy(rows: Iterable[OutboxRow], size: int) -> list[UUID]:
    """Return the tenants with more than their share of a batch."""
    return [tenant_id for tenant_id, count in Counter(row.tenant_id for row in rows).items() if count > _share(size)]


def _share(size: int) -> int:
    return max(FAIR_SHARE * size // BATCH_SIZE, 1)


def _next_size(size: int, *, claimed: int, done: int) -> int:
    """Return how much to claim after a batch of at most that size, of which so much was done in time."""
    return min(BATCH_SIZE, 2 * size if done == claimed else max(2 * done, SMALLEST_BATCH))


@contextmanager
def _working() -> Iterator[None]:
    token = _is_working.set(True)
    try:
        yield
    finally:
        _is_working.reset(token)


# The tenants that wait, the longest first, by one index step each: a storm of 100,000 rows costs as much as one row. Of each
# the oldest rows, more than a share where few wait, so that several workers find enough in one tenant's storm.
# clock_timestamp(), since now() stands still at the start of a longer transaction; a sub-select, so that an index serves.
CLAIM = """
WITH RECURSIVE oldest AS (
    (SELECT tenant_id, claimable_at FROM events_outboxrow WHERE NOT is_parked ORDER BY tenant_id, claimable_at LIMIT 1)
    UNION ALL
    SELECT following.* FROM oldest, LATERAL (
        SELECT tenant_id, claimable_at FROM events_outboxrow
        WHERE NOT is_parked AND tenant_id > oldest.tenant_id ORDER BY tenant_id, claimable_at LIMIT 1
    ) AS following
), waiting AS (
    SELECT tenant_id, count(*) OVER () AS tenants FROM oldest
    WHERE claimable_at <= (SELECT clock_timestamp()) AND tenant_id <> ALL(%(without)s::uuid[])
    ORDER BY claimable_at LIMIT %(batch)s
), ready AS (
    SELECT own.id, row_number() OVER (PARTITION BY waiting.tenant_id ORDER BY own.claimable_at, own.id) AS turn
    FROM waiting, LATERAL (
        SELECT id, claimable_at FROM events_outboxrow
        WHERE tenant_id = waiting.tenant_id AND NOT is_parked AND claimable_at <= (SELECT clock_timestamp())
        ORDER BY claimable_at LIMIT greatest(%(share)s, 5 * %(batch)s / waiting.tenants)
    ) AS own
), fair AS (
    SELECT row.id FROM events_outboxrow AS row JOIN ready USING (id)
    WHERE row.claimable_at <= (SELECT clock_timestamp())
    ORDER BY (ready.turn - 1) / %(share)s, row.id LIMIT %(batch)s
    FOR UPDATE OF row SKIP LOCKED
)
UPDATE events_outboxrow AS row SET claimable_at = now() + %(lease)s, attempts = row.attempts + 1
FROM fair WHERE row.id = fair.id
RETURNING row.id, row.tenant_id, row.event, row.handler, row.payload, row.attempts
"""


# What the sweep asks: is there anything that a hinted worker would have taken by now?
HAS_WAITING = "SELECT FROM events_outboxrow WHERE NOT is_parked AND claimable_at <= now() - interval '1 second'"


# No clock that runs forward puts a row off for longer than its last wait: what waits longer was put off by one that has
# been set back since, and would stand still for as long as it was set back. Half a minute is for hosts that differ.
_WAITS = ", ".join(str(delay.total_seconds()) for delay in RETRY_DELAYS)
_AHEAD = f"""
NOT is_parked AND claimable_at > now() + make_interval(secs =>
    {LEASE.total_seconds() + 30} + (ARRAY[{_WAITS}])[greatest(least(attempts, {len(RETRY_DELAYS)}), 1)])
"""
HAS_AHEAD = f"SELECT FROM events_outboxrow WHERE {_AHEAD}"
STRAIGHTEN = f"UPDATE events_outboxrow SET claimable_at = now() WHERE {_AHEAD}"  # noqa: S608


def straighten() -> None:
    """Make rows due anew that no clock which runs forward can have put off so long. Safe to repeat."""
    with system_scope("one queue serves every tenant"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(STRAIGHTEN)


def _claim(size: int | None = None, *, without: Sequence[UUID] = ()) -> list[OutboxRow]:
    """Lease a batch, oldest first and fairly among tenants. Rivals: every other worker; SKIP LOCKED parts us."""
    with system_scope("one queue serves every tenant"), transaction.atomic():
        size = size or BATCH_SIZE
        parameters = {"share": _share(size), "batch": size, "lease": LEASE, "without": list(without)}
        return sorted(OutboxRow.unscoped.raw(CLAIM, parameters), key=lambda row: row.id)


def _work_through(rows: Sequence[OutboxRow]) -> Drained:
    """Work off what we leased, as far as we come in `HOLD`."""
    drained, ends_at = Drained(), time.monotonic() + HOLD.total_seconds()
    portions = _portions(rows)
    for place, portion in enumerate(portions):
        if place and time.monotonic() > ends_at:
            _give_back(portions[place:])
            break
        drained += _deliver(portion)
    return drained


def _portions(rows: Iterable[OutboxRow]) -> list[list[OutboxRow]]:
    """Part rows into what is handed over at once: what one tenant has for a handler that takes many, else each alone.

    Tenants take turns, those with few rows first: what goes back in the end is the storm's, however slow its handlers are.
    Rows that failed before are kept apart from fresh ones.
    """
    rows = list(rows)
    waiting = Counter(row.tenant_id for row in rows)
    together: dict[tuple[UUID, str, int], list[OutboxRow]] = {}
    for row in rows:
        many = portion_of(handler_function(row.handler))
        together.setdefault((row.tenant_id if many else row.id, row.handler, row.attempts), []).append(row)
    turns: list[tuple[int, int, list[OutboxRow]]] = []
    had: Counter[UUID] = Counter()
    for portion in (portion for group in together.values() for portion in _parted(group)):
        tenant_id = portion[0].tenant_id
        turns.append((had[tenant_id], waiting[tenant_id], portion))
        had[tenant_id] += 1
    return [portion for *_turn, portion in sorted(turns, key=itemgetter(0, 1))]


def _parted(rows: list[OutboxRow]) -> Iterator[list[OutboxRow]]:
    """Part rows of one handler into portions that it takes at once."""
    size = portion_of(handler_function(rows[0].handler)) or 1
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _deliver(rows: Sequence[OutboxRow]) -> Drained:
    """Hand rows over; those that fail together are tried apart, so that only the one at fault waits for its next try."""
    try:
        _hand_over(rows)
    except Exception as error:
        handler = rows[0].handler
        if len(rows) > 1:
            logger.warning("%s failed on %d events at once, trying them apart: %s", handler, len(rows), error)
            half = len(rows) // 2
            return _deliver(rows[:half]) + _deliver(rows[half:])
        logger.exception("%s failed on %s (try %d)", handler, rows[0].event, rows[0].attempts)
        _postpone(rows[0], f"{type(error).__name__}: {error}")
        return Drained(failed=1)
    return Drained(handled=len(rows))


def _hand_over(rows: Sequence[OutboxRow]) -> None:
    """Run the handler and delete the rows in one transaction."""
    handle = handler_function(rows[0].handler)
    with tenant_scope(rows[0].tenant_id), transaction.atomic():
        mine = _delete(rows)
        events = [event_classes()[row.event].from_payload(row.payload) for row in rows if row.id in mine]
        if events and portion_of(handle):
            handle(events)
        elif events:
            handle(*events)


DELETE = "DELETE FROM events_outboxrow WHERE id = ANY(%s) AND attempts = %s RETURNING id"


def _delete(rows: Sequence[OutboxRow]) -> set[UUID]:
    """Return which rows were ours. Rival: a worker that took over after our lease ran out. Whoever deletes a row does its
    work."""
    with connection.cursor() as cursor:
        cursor.execute(DELETE, [[row.id for row in rows], rows[0].attempts])
        return {row_id for (row_id,) in cursor.fetchall()}


def _give_back(portions: Iterable[Sequence[OutboxRow]]) -> None:
    """End leases of rows that nobody has begun with, as if they had never been claimed."""
    for rows in portions:
        with tenant_scope(rows[0].tenant_id):
            mine = OutboxRow.objects.filter(id__in=[row.id for row in rows], attempts=rows[0].attempts)
            # back to its old place in the queue
            mine.update(claimable_at=F("created_at"), attempts=F("attempts") - 1)


def _postpone(row: OutboxRow, error: str) -> None:
    delay = RETRY_DELAYS[min(row.attempts, len(RETRY_DELAYS)) - 1]
    with tenant_scope(row.tenant_id):
        OutboxRow.objects.filter(id=row.id, attempts=row.attempts).update(
            claimable_at=clock.now() + delay, last_error=error[:2_000], is_parked=row.attempts > 2 * len(RETRY_DELAYS)
        )
