"""Changes of state: each is written with its event in one transaction, whoever noticed it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.checks.domain.flapping import mark_flapping
from apps.checks.enums import State
from apps.checks.events import FLIP_EVENTS
from apps.checks.models import CheckState, Flip
from apps.core import clock
from apps.core.ids import uuid7
from apps.events.domain.outbox import emit_many


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A new state, since when, and why. ``regions`` are those that say so; ``confidence_ratio`` is 0–1."""

    after: State
    at: datetime
    error_code: str = ""
    error_values: Mapping[str, Any] | None = None
    regions: tuple[int, ...] = ()
    confidence_ratio: float | None = None


def lock_states(check_ids: Iterable[UUID]) -> dict[UUID, CheckState]:
    """Lock the states of checks, in the order of their ids, so that rivals who change several wait instead of dying.

    Rivals: probers, agents' results, heartbeats, maintenance windows and people.
    """
    rows = CheckState.unscoped.select_for_update().filter(pk__in=list(check_ids)).order_by("pk")
    return {row.pk: row for row in rows}


def lock_free_states(check_ids: Iterable[UUID]) -> dict[UUID, CheckState]:
    """Lock those of the states that nobody holds: for who holds more than states already, and must not wait."""
    rows = CheckState.unscoped.select_for_update(skip_locked=True).filter(pk__in=list(check_ids)).order_by("pk")
    return {row.pk: row for row in rows}


def flip(standing: CheckState, change: Change) -> Flip:
    """Return the flip of a state row that the caller has locked, and change the row; `record_flips` keeps both."""
    made = Flip(
        id=uuid7(),
        tenant_id=standing.tenant_id,
        watched_id=standing.pk,
        at=max(change.at, standing.since_at),  # never before the state that it ends
        before=standing.state,
        after=change.after,
        error_code=change.error_code,
        error_values=dict(change.error_values or {}),
        regions=list(change.regions),
        confidence_ratio=change.confidence_ratio,
    )
    standing.state, standing.since_at = change.after, made.at
    return made


KEEP_STATES = """
UPDATE checks_checkstate AS standing SET state = became.state, since_at = became.since_at
FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[]) AS became (check_id, state, since_at)
WHERE standing.check_id = became.check_id
"""


def record_flips(changed: Iterable[tuple[CheckState, Flip]]) -> list[Flip]:
    """Keep flips and the state rows they changed, and tell of them."""
    pairs = list(changed)
    if not pairs:
        return []
    with connection.cursor() as cursor:
        standings = [standing for standing, _flip in pairs]
        columns = zip(*((row.pk, row.state, row.since_at) for row in standings), strict=True)
        cursor.execute(KEEP_STATES, [list(column) for column in columns])
    flips = Flip.unscoped.bulk_create(made for _standing, made in pairs)
    mark_flapping(flips)
    emit_many(
        FLIP_EVENTS[made.after](tenant_id=made.tenant_id, check_id=made.watched_id, flip_id=made.id) for made in flips
    )
    return flips


@transaction.atomic
def change_state(check_id: UUID, change: Change, *, only_from: Iterable[State] | None = None) -> Flip | None:
    """Change one check's state unless it is that already, or is none of ``only_from``; return the flip.

    ``change.at`` may lie in the past: a heartbeat is down since its deadline, not since somebody looked.
    """
    standing = lock_states([check_id]).get(check_id)
    if standing is None or standing.state == change.after:
        return None
    if only_from is not None and standing.state not in set(only_from):
        return None
    return record_flips([(standing, flip(standing, change))])[0]


def now_as(after: State) -> Change:
    """Return a change that is true from this moment on."""
    return Change(after=after, at=clock.now())
