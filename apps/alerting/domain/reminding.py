"""Looking again at alerts when time alone may change what is to be told: reminders, ends of silences, deleted checks."""

import logging
from collections.abc import Collection
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction

from apps.alerting.domain.rounds import consider_outage, end_orphan
from apps.alerting.enums import OPEN_STATES, Trigger
from apps.alerting.models import Alert
from apps.checks.domain.dependencies import descendants_of
from apps.checks.models import Dependency
from apps.core import clock
from apps.core.tenancy import system_scope, tenant_scope
from apps.events.hints import hint

logger = logging.getLogger(__name__)

REEVALUATE_TASK = "alerting.reevaluate"
QUEUE = "events"
BATCH_SIZE = 100
# A look that failed is repeated after this; so is one whose worker died.
LEASE = timedelta(seconds=30)

# What the scheduler asks before it starts the sweep.
HAS_DUE = f"""
SELECT FROM alerting_alert
WHERE state <> 'resolved' AND (
    due_at <= now()
    OR outage_id IS NULL AND (due_at IS NULL OR due_at > now() + interval '{LEASE.total_seconds()} seconds')
)
"""
CLAIM = """
WITH mine AS (
    SELECT id FROM alerting_alert
    WHERE state <> 'resolved'
      AND (due_at <= %(now)s OR outage_id IS NULL AND (due_at IS NULL OR due_at > %(leased_until)s))
    ORDER BY due_at NULLS FIRST LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE alerting_alert AS alert SET due_at = %(leased_until)s
FROM mine WHERE alert.id = mine.id
RETURNING alert.tenant_id, alert.id, alert.outage_id
"""


def look_again_now() -> None:
    """Let the sweep look at the tenant's waiting alerts at once."""
    Alert.objects.filter(state__in=OPEN_STATES, due_at__isnull=False).update(due_at=clock.now())
    transaction.on_commit(lambda: hint(REEVALUATE_TASK, queue=QUEUE), robust=True)


def look_again_below(check_ids: Collection[UUID]) -> None:
    """Let the sweep look at the open alerts of all that depends on these checks at once: they are well again."""
    parents = Dependency.objects.filter(parent__in=check_ids).order_by("parent").values_list("parent", flat=True)
    below = {check_id for parent in parents.distinct() for check_id in descendants_of(parent)}
    if below:
        alerts = Alert.objects.filter(state__in=OPEN_STATES, outage__isnull=False, watched__in=below)
        alerts.update(due_at=clock.now())
        transaction.on_commit(lambda: hint(REEVALUATE_TASK, queue=QUEUE), robust=True)


def reevaluate_due() -> int:
    """Look at every alert that is due, batch after batch; return how many were looked at."""
    looked_at = 0
    while claimed := _claim():
        looked_at += len(claimed)
        for tenant_id, outage_id in dict.fromkeys(
            (tenant_id, outage_id) for tenant_id, _alert_id, outage_id in claimed if outage_id
        ):
            _look(tenant_id, outage_id)
        for tenant_id, alert_id in [
            (tenant_id, alert_id) for tenant_id, alert_id, outage_id in claimed if not outage_id
        ]:
            _end(tenant_id, alert_id)
    return looked_at


def _claim() -> list[tuple[UUID, UUID, UUID | None]]:
    """Lease a batch. Rivals: other workers; SKIP LOCKED parts us. The round itself locks the outage and guards the rest."""
    with system_scope("one sweep serves every tenant"), transaction.atomic(), connection.cursor() as cursor:
        now = clock.now()  # the clock that wrote ``due_at``
        cursor.execute(CLAIM, {"limit": BATCH_SIZE, "now": now, "leased_until": now + LEASE})
        claimed: list[tuple[UUID, UUID, UUID | None]] = cursor.fetchall()
        return claimed


def _look(tenant_id: UUID, outage_id: UUID) -> None:
    try:
        with tenant_scope(tenant_id), transaction.atomic():
            consider_outage(outage_id, Trigger.TIME)
    except Exception:
        logger.exception("looking again at the alerts of outage %s failed", outage_id)


def _end(tenant_id: UUID, alert_id: UUID) -> None:
    try:
        with tenant_scope(tenant_id):
            end_orphan(alert_id)
    except Exception:
        logger.exception("ending alert %s, whose outage is gone, failed", alert_id)
