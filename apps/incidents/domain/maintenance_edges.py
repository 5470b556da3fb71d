"""Bringing checks into maintenance and out of it again, in line with the windows as they are.

Nothing is remembered of who was brought in by which window: what is wanted is compared with what is. So windows may overlap,
be changed or deleted, checks may get or lose a tag meanwhile, and the job may be down across an edge. A flip's instant is
the edge, not the moment at which somebody looked.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Greatest

from apps.checks.domain.flips import Change, flip, lock_free_states, lock_states, record_flips
from apps.checks.domain.group_members import KIND
from apps.checks.domain.judging import rejudge
from apps.checks.domain.unprobed import parted
from apps.checks.enums import HELD_STATES, State
from apps.checks.models import Check, Flip
from apps.core import clock
from apps.core.tenancy import system_scope, tenant_scope
from apps.events.hints import hint
from apps.incidents.domain.coverage import AT_WORK, COVERS, COVERS_BY_ITSELF, JOIN_GROUPED, grouped
from apps.incidents.domain.plans import take_up
from apps.incidents.models import MaintenanceWindow

logger = logging.getLogger(__name__)

APPLY_TASK = "incidents.apply_maintenance"
QUEUE = "events"
BATCH_SIZE = 500
# What clocks of several hosts may differ by; what lies further ahead was written by one that was set back since.
CLOCKS_DIFFER = timedelta(seconds=30)
# What a request does itself before it answers; the job does the rest.
AT_ONCE = 100

# Since when: the window's begin, or when window, check or group became what they are, so that no past is told differently.
# Groups go first and come back last: what is left of a group's members must not be judged without the others.
ENTERING = f"""
SELECT watched.tenant_id, watched.id, min(greatest(
    plan.running_since_at, plan.updated_at, watched.updated_at,
    CASE WHEN NOT {COVERS_BY_ITSELF} THEN inside.changed_at END
)) AS since
FROM incidents_maintenancewindow AS plan JOIN checks_check AS watched ON {COVERS} {JOIN_GROUPED}
JOIN checks_checkstate AS standing ON standing.check_id = watched.id
WHERE plan.running_until_at > %(now)s AND standing.state <> ALL(%(held)s)
  AND watched.id = ANY(coalesce(%(check_ids)s::uuid[], ARRAY[watched.id]))
GROUP BY watched.tenant_id, watched.id ORDER BY watched.tenant_id, watched.kind <> '{KIND}', watched.id LIMIT %(limit)s
"""  # noqa: S608 - constants alone
# Until when: the end of what covered it last; without one, a window was changed or deleted, and it is over now. A window
# whose edge has come and that nobody has turned yet may go on at that very moment, so its checks wait for that.
LEAVING = f"""
SELECT watched.tenant_id, watched.id, (
    SELECT max(plan.ended_at) FROM (
        SELECT *, CASE WHEN running_until_at <= %(now)s THEN running_until_at ELSE last_ended_at END AS ended_at
        FROM incidents_maintenancewindow
    ) AS plan
    WHERE plan.ended_at > standing.since_at AND {COVERS}
) AS until
FROM checks_checkstate AS standing JOIN checks_check AS watched ON watched.id = standing.check_id
WHERE standing.state = '{State.MAINTENANCE}' AND NOT EXISTS (
    SELECT FROM incidents_maintenancewindow AS plan
    WHERE (plan.running_until_at > %(now)s OR plan.next_edge_at <= %(now)s) AND {COVERS}
)
ORDER BY watched.tenant_id, watched.kind = '{KIND}', watched.id LIMIT %(limit)s
"""  # noqa: S608 - constants alone
# What the scheduler asks: only where a window turns or runs, or a check is in maintenance, can anything be out of line.
# An occurrence that began or ended in the future, as seen by a clock that was set back since.
AHEAD = "greatest(running_since_at, last_ended_at, cut_off_at) > now() + interval '30 seconds'"
MAY_APPLY = f"""
SELECT FROM incidents_maintenancewindow WHERE next_edge_at <= now() OR {AHEAD}
UNION ALL SELECT FROM incidents_maintenancewindow WHERE running_until_at > now()
UNION ALL SELECT FROM checks_checkstate WHERE state = '{State.MAINTENANCE}'
"""  # noqa: S608 - constants alone

Edge = tuple[UUID, UUID, datetime | None]


@dataclass(frozen=True, slots=True)
class Edges:
    """Which checks (tenant, check, instant) must be brought in, and which out again."""

    entering: list[Edge]
    leaving: list[Edge]

    def check_ids(self) -> list[UUID]:
        return [check_id for _tenant, check_id, _at in (*self.entering, *self.leaving)]

    def of_checks(self, wanted: Collection[UUID]) -> "Edges":
        return Edges(
            [edge for edge in self.entering if edge[1] in wanted], [edge for edge in self.leaving if edge[1] in wanted]
        )

    def of_tenants(self) -> dict[UUID, "Edges"]:
        """Return the same by tenant."""
        found: dict[UUID, Edges] = {}
        for edge in self.entering:
            found.setdefault(edge[0], Edges([], [])).entering.append(edge)
        for edge in self.leaving:
            found.setdefault(edge[0], Edges([], [])).leaving.append(edge)
        return found


def apply_edges() -> int:
    """Bring every tenant's checks in line with its windows; return how many changed their state."""
    turn_windows()
    changed = 0
    while found := _find_all().of_tenants():
        done = sum(_apply_to(tenant_id, edges) for tenant_id, edges in found.items())
        changed += done
        if not done:  # each failed, or rivals were faster: the next run looks again
            break
    return changed


def apply_edges_now() -> None:
    """Apply what people just changed: few checks at once, within the open scope; the job does the rest without delay.

    Checks that a rival holds (a prober, somebody deleting them) are the job's, too: we hold a window already.
    """
    edges = _find(AT_ONCE)
    free = lock_free_states(edges.check_ids())
    _apply(edges.of_checks(free))
    transaction.on_commit(lambda: hint(APPLY_TASK, queue=QUEUE), robust=True)


def enter_running_windows(check_ids: Collection[UUID]) -> None:
    """Bring in those of the open tenant's checks that a window covers which has begun, if the job has not come round yet.

    What has flipped since its begin is then no outage: it lasted no time.
    """
    now = clock.now()
    begun = Q(next_edge_at__lte=now) | Q(running_until_at__gt=now)
    windows = list(MaintenanceWindow.objects.filter(begun).order_by("id")) if check_ids else []
    if not windows:
        return
    with transaction.atomic():
        if any(window.next_edge_at and window.next_edge_at <= now for window in windows):
            # Rivals: the job, and people; whatever they make of the windows is seen once they are done.
            _turn(list(MaintenanceWindow.objects.filter(next_edge_at__lte=now).select_for_update().order_by("id")))
        given = grouped(AT_WORK, among=check_ids).values() | {"now": clock.now(), "limit": BATCH_SIZE}
        _apply(Edges(_find_entering(given, check_ids), []))


def turn_windows() -> int:
    """Move on the windows whose edge has come; return how many. Rivals: other workers; SKIP LOCKED parts us."""
    with system_scope("one job turns every tenant's windows"), transaction.atomic():
        now = clock.now()
        latest_edge = Greatest("running_since_at", "last_ended_at", "cut_off_at")
        due = MaintenanceWindow.unscoped.alias(latest_edge=latest_edge).filter(
            Q(next_edge_at__lte=now) | Q(latest_edge__gt=now + CLOCKS_DIFFER)
        )
        windows = list(due.select_for_update(skip_locked=True).order_by("next_edge_at")[:BATCH_SIZE])
        _turn(windows)
    return len(windows)


def _turn(windows: list[MaintenanceWindow]) -> None:
    for window in windows:
        take_up(window)
    kept = ("running_since_at", "running_until_at", "last_ended_at", "next_edge_at", "cut_off_at")
    MaintenanceWindow.unscoped.bulk_update(windows, kept)


def _find_all() -> Edges:
    with system_scope("one job finds every tenant's edges"), transaction.atomic():
        return _find(BATCH_SIZE)


def _find(limit: int) -> Edges:
    """Return what is not as it should be, within the open scope: one tenant's, or the system's."""
    given = grouped(AT_WORK).values() | {"now": clock.now(), "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(LEAVING, given)
        leaving = cursor.fetchall()
    return Edges(_find_entering(given), leaving)


def _find_entering(given: dict[str, Any], check_ids: Collection[UUID] | None = None) -> list[Edge]:
    wanted = None if check_ids is None else list(check_ids)
    with connection.cursor() as cursor:
        cursor.execute(ENTERING, given | {"held": list(HELD_STATES), "check_ids": wanted})
        found: list[Edge] = cursor.fetchall()
    return found


def _apply_to(tenant_id: UUID, edges: Edges) -> int:
    try:
        with tenant_scope(tenant_id):
            return _apply(edges)
    except Exception:
        logger.exception("the maintenance of tenant %s could not be applied", tenant_id)
        return 0


@transaction.atomic
def _apply(edges: Edges) -> int:
    lock_states(edges.check_ids())  # all at once: who goes and who comes are locked in one order
    flips = _enter({check_id: since for _tenant, check_id, since in edges.entering if since})
    by_end: dict[datetime | None, list[UUID]] = {}
    for _tenant, check_id, until in edges.leaving:
        by_end.setdefault(until, []).append(check_id)
    for until, check_ids in by_end.items():
        flips += _leave(check_ids, at=until or clock.now())
    return len(flips)


def _enter(since: Mapping[UUID, datetime]) -> list[Flip]:
    """Bring checks in. Rivals: a prober's result, a person pausing one; locking the state makes us take turns."""
    if not since:
        return []
    states = lock_states(since)
    return record_flips(
        (standing, flip(standing, Change(after=State.MAINTENANCE, at=since[check_id])))
        for check_id, standing in states.items()
        if standing.state not in HELD_STATES
    )


def _leave(check_ids: list[UUID], *, at: datetime) -> list[Flip]:
    """Let checks go: what is seen of them decides at once, and where nothing is sent out, what was heard."""
    probed, unprobed = parted(Check.objects.filter(id__in=check_ids))
    flips = rejudge([check.id for check in probed], at=at, leaving=State.MAINTENANCE)
    for source, theirs in unprobed:
        flips += source.leave(theirs, at=at)
    return flips
