"""Putting events into the outbox, and working it off."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction

from apps.core import clock
from apps.core.tenancy import system_scope, tenant_scope
from apps.events.base import Event
from apps.events.domain.table import event_classes, event_table, handler_function
from apps.events.hints import hint
from apps.events.models import OutboxRow

logger = logging.getLogger(__name__)

DELIVER_TASK = "events.deliver"
QUEUE = "events"
LEASE = timedelta(seconds=10)
BATCH_SIZE = 50
# A tenant with more rows than this in one batch waits for the others: its storm must not delay their pages.
FAIR_SHARE = 20
RETRY_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5, 15, 60, 300, 900, 3600))


class NotInTransaction(RuntimeError):
    """An event must share the transaction of the fact it tells."""


@dataclass(frozen=True, slots=True)
class Drained:
    """How a round of deliveries went."""

    handled: int
    failed: int


def emit(event: Event) -> None:
    """Tell a fact to its handlers, in the transaction that makes it true."""
    emit_many((event,))


def emit_many(events: Iterable[Event]) -> None:
    """Write one outbox row per event and handler; once committed, ask a worker to deliver them now."""
    if not connection.in_atomic_block:
        raise NotInTransaction("emit() belongs inside transaction.atomic(), next to the change it tells")
    rows = [
        OutboxRow(tenant_id=event.tenant_id, event=event.name, handler=handler, payload=event.payload())
        for event in events
        for handler in event_table()[type(event)]
    ]
    if rows:
        OutboxRow.unscoped.bulk_create(rows)
        transaction.on_commit(_kick, robust=True)


def _kick() -> None:
    hint(DELIVER_TASK, queue=QUEUE)


def deliver_pending() -> Drained:
    """Hand every claimable row to its handler, round after round, until none is left; return the counts."""
    handled = failed = 0
    while rows := _claim():
        for row in rows:
            if _deliver(row):
                handled += 1
            else:
                failed += 1
    return Drained(handled, failed)


# clock_timestamp(), since now() stands still at the start of a longer transaction; a sub-select, so that an index serves.
CLAIM = """
WITH ready AS (
    SELECT id, row_number() OVER (PARTITION BY tenant_id ORDER BY id) AS turn
    FROM (SELECT id, tenant_id FROM events_outboxrow
          WHERE claimable_at <= (SELECT clock_timestamp()) AND NOT is_parked ORDER BY claimable_at LIMIT 1000) AS oldest
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


def _claim() -> list[OutboxRow]:
    """Lease a batch, oldest first and fairly among tenants. Rivals: every other worker; SKIP LOCKED parts us."""
    with system_scope("one queue serves every tenant"), transaction.atomic():
        parameters = {"share": FAIR_SHARE, "batch": BATCH_SIZE, "lease": LEASE}
        return sorted(OutboxRow.unscoped.raw(CLAIM, parameters), key=lambda row: row.id)


def _deliver(row: OutboxRow) -> bool:
    """Run the handler and delete the row in one transaction; on failure plan the next try."""
    try:
        with tenant_scope(row.tenant_id), transaction.atomic():
            # Rival: a worker that took over after our lease ran out. Whoever deletes the row has done the work.
            mine, _ = OutboxRow.objects.filter(id=row.id, attempts=row.attempts).delete()
            if mine:
                handler_function(row.handler)(event_classes()[row.event].from_payload(row.payload))
    except Exception as error:
        logger.exception("%s failed on %s (try %d)", row.handler, row.event, row.attempts)
        _postpone(row, f"{type(error).__name__}: {error}")
        return False
    return True


def _postpone(row: OutboxRow, error: str) -> None:
    delay = RETRY_DELAYS[min(row.attempts, len(RETRY_DELAYS)) - 1]
    with tenant_scope(row.tenant_id):
        OutboxRow.objects.filter(id=row.id, attempts=row.attempts).update(
            claimable_at=clock.now() + delay, last_error=error[:2_000], is_parked=row.attempts > 2 * len(RETRY_DELAYS)
        )
