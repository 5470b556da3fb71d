"""Turns: when each check is probed, and which prober holds it.

A turn is named by its ``due_at``. Claiming moves ``claimable_at`` ahead by a lease; storing the result moves both to the
next turn. A prober that dies lets its leases run out, and the same turn is claimed again, so each turn has one result.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.checks.models import Check, Turn
from apps.core import clock
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import current_tenant_id, system_scope

LEASE = timedelta(seconds=8)
# Claimed a little early, started on the dot.
HEAD_START = timedelta(milliseconds=400)


@dataclass(frozen=True, slots=True)
class ClaimedTurn:
    """A check whose turn it is, leased to us."""

    check_id: UUID
    tenant_id: UUID
    version: int
    due_at: datetime
    starts_in_seconds: float
    timeout_seconds: int
    allows_private: bool


CLAIM = """
WITH mine AS (
    SELECT check_id FROM checks_turn WHERE claimable_at <= now() + %(head_start)s::interval
    ORDER BY claimable_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE checks_turn AS turn SET claimable_at = greatest(turn.due_at, now()) + %(lease)s::interval
    FROM mine WHERE turn.check_id = mine.check_id
    RETURNING turn.check_id, turn.tenant_id, turn.due_at
)
SELECT leased.check_id, leased.tenant_id, watched.version, leased.due_at,
       greatest(extract(epoch FROM leased.due_at - clock_timestamp()), 0)::float8,
       watched.timeout_seconds, tenant.allows_private_targets
FROM leased
JOIN checks_check AS watched ON watched.id = leased.check_id
JOIN tenants_tenant AS tenant ON tenant.id = leased.tenant_id
"""


def claim_turns(limit: int) -> list[ClaimedTurn]:
    """Lease up to ``limit`` due checks. Rivals: other probers; SKIP LOCKED parts us."""
    with system_scope("probers serve every tenant"), transaction.atomic(), connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(CLAIM, {"head_start": str(HEAD_START), "limit": limit, "lease": str(LEASE)})
        return [ClaimedTurn(*row) for row in cursor.fetchall()]


EXTEND = """
UPDATE checks_turn AS turn SET claimable_at = now() + %s::interval
FROM (SELECT unnest(%s::uuid[]) AS check_id, unnest(%s::timestamptz[]) AS due_at) AS held
WHERE turn.check_id = held.check_id AND turn.due_at = held.due_at AND turn.claimable_at IS NOT NULL
"""


def extend_leases(turns: Iterable[ClaimedTurn]) -> None:
    """Keep turns whose probes are still under way."""
    held = sorted(turns, key=lambda turn: turn.check_id)
    with system_scope("probers serve every tenant"), transaction.atomic(), connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(EXTEND, [str(LEASE), [turn.check_id for turn in held], [turn.due_at for turn in held]])


def give_back(turns: Iterable[ClaimedTurn]) -> None:
    """Let others claim turns at once that this prober will not finish."""
    held = list(turns)
    with system_scope("probers serve every tenant"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(EXTEND, ["0", [turn.check_id for turn in held], [turn.due_at for turn in held]])


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What a prober needs to know of a check besides its turn."""

    kind: str
    public: dict[str, Any]
    sealed: str


def settings_of(check_ids: Iterable[UUID]) -> dict[UUID, tuple[int, CheckSettings]]:
    """Return each check's version and settings, secrets still sealed."""
    with system_scope("probers serve every tenant"):
        rows = Check.unscoped.filter(id__in=list(check_ids)).values_list("id", "version", "kind", "config", "secrets")
        return {
            check_id: (version, CheckSettings(kind, public, sealed)) for check_id, version, kind, public, sealed in rows
        }


def start_turns(check: Check, *, at: datetime) -> None:
    """Give a check its first turn, or its next one after a pause or a change of interval."""
    Turn.objects.update_or_create(
        watched=check, defaults={"due_at": at, "claimable_at": at, "tenant_id": current_tenant_id()}
    )


def stop_turns(check: Check) -> None:
    """Take a check out of the probers' hands."""
    Turn.objects.filter(watched=check).update(claimable_at=None)


OVERDUE = timedelta(seconds=2)


def has_overdue_turns() -> bool:
    """Tell whether a turn waits that a living prober would have taken."""
    with system_scope("probers serve every tenant"):
        return Turn.unscoped.filter(claimable_at__lt=clock.now() - OVERDUE).exists()
