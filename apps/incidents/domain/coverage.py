"""Which checks a maintenance window covers: every one, those with one of its tags, those it names, and all that belongs to
a group that it names, groups within it included.

What belongs to a group is asked of `apps.checks.domain.group_shape` and handed to the statements: its rule is written there.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from apps.checks.domain.group_members import KIND
from apps.checks.domain.group_shape import Contents, contents_of
from apps.checks.domain.settings import UNREADABLE
from apps.checks.enums import State
from apps.checks.models import Check
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.incidents.models import MaintenanceWindow

logger = logging.getLogger(__name__)

# Of a window alone, ``plan``, and a check, ``watched``.
COVERS_BY_ITSELF = """(
    plan.covers_all OR watched.tags && plan.tags
    OR EXISTS (SELECT FROM incidents_windowcheck AS named WHERE named.window_id = plan.id AND named.check_id = watched.id)
)"""
# The statement is given `Grouped.values`.
COVERS = f"""
watched.tenant_id = plan.tenant_id AND ({COVERS_BY_ITSELF} OR (plan.id, watched.id) IN (
    SELECT * FROM unnest(%(grouping_windows)s::uuid[], %(grouped_checks)s::uuid[])
))
"""  # noqa: S608 - constants alone
# For statements that ask when the group became what it is by which a window covers a check: ``inside.changed_at``.
JOIN_GROUPED = """
LEFT JOIN unnest(%(grouping_windows)s::uuid[], %(grouped_checks)s::uuid[], %(grouped_ats)s::timestamptz[])
    AS inside (window_id, check_id, changed_at) ON inside.window_id = plan.id AND inside.check_id = watched.id
"""

NAMED_GROUPS = f"""
SELECT plan.tenant_id, plan.id, bundle.id
FROM checks_check AS bundle JOIN incidents_windowcheck AS named ON named.check_id = bundle.id
JOIN incidents_maintenancewindow AS plan ON plan.id = named.window_id
WHERE bundle.kind = '{KIND}' AND """  # noqa: S608 - constants alone
# Windows that run, whose edge has come, or that ended while some check that is still in maintenance was.
AT_WORK = f"""(
    plan.running_until_at IS NOT NULL OR plan.next_edge_at <= %(now)s OR plan.last_ended_at > (
        SELECT min(standing.since_at) FROM checks_checkstate AS standing
        WHERE standing.state = '{State.MAINTENANCE}' AND standing.tenant_id = plan.tenant_id
    )
)"""  # noqa: S608 - constants alone
TO_COME = "(plan.is_public AND (plan.next_edge_at IS NOT NULL OR plan.running_until_at > %(now)s))"
OF_IDS = "plan.id = ANY(%(window_ids)s::uuid[])"

Pair = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Grouped:
    """Which checks windows cover through a group: window and check, and when the group became what it is."""

    pairs: dict[Pair, datetime] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """Return what `COVERS` and `JOIN_GROUPED` ask for."""
        return {
            "grouping_windows": [window_id for window_id, _check_id in self.pairs],
            "grouped_checks": [check_id for _window_id, check_id in self.pairs],
            "grouped_ats": list(self.pairs.values()),
        }

    def add(self, window_id: UUID, check_ids: Iterable[UUID], changed_at: datetime) -> None:
        for check_id in check_ids:
            pair = window_id, check_id
            self.pairs[pair] = min(self.pairs.get(pair, changed_at), changed_at)


def grouped(which: str, *, among: Collection[UUID] | None = None, **values: Any) -> Grouped:
    """Return what windows cover through groups, within the open scope: one tenant's, or the system's.

    ``which`` is one of this module's conditions on windows, and ``values`` are what it asks for besides the time. With
    ``among`` other checks are left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(NAMED_GROUPS + which, {"now": clock.now(), **values})
        rows: list[tuple[UUID, UUID, UUID]] = cursor.fetchall()
    by_tenant: dict[UUID, list[Pair]] = {}
    for tenant_id, window_id, group_id in rows:
        by_tenant.setdefault(tenant_id, []).append((window_id, group_id))
    found = Grouped()
    for tenant_id, named in by_tenant.items():
        contents = _contents(tenant_id, {group_id for _window_id, group_id in named})
        for window_id, group_id in named:
            if inside := contents.get(group_id):
                wanted = inside.check_ids if among is None else inside.check_ids.intersection(among)
                found.add(window_id, wanted, inside.changed_at)
    return found


def _contents(tenant_id: UUID, group_ids: Collection[UUID]) -> Mapping[UUID, Contents]:
    """Return what belongs to one tenant's groups; nothing where the settings of one cannot be read."""
    with tenant_scope(tenant_id):
        try:
            return contents_of(group_ids)
        except UNREADABLE:
            logger.exception("the groups that windows of tenant %s name cannot be read", tenant_id)
            return {}


def count_grouped(windows: Iterable[MaintenanceWindow]) -> dict[UUID, int]:
    """Return how many checks each window covers through groups alone; reads ``checks``, so prefetch them for lists."""
    named = {window.id: {check.id for check in window.checks.all()} for window in windows}
    counts = dict.fromkeys(named, 0)
    for window_id, check_id in grouped(OF_IDS, window_ids=list(named)).pairs:
        counts[window_id] += check_id not in named[window_id]
    return counts


def count_within(named: Iterable[Check]) -> int:
    """Return how many checks a window that names these would cover through groups alone."""
    checks = {check.id: check for check in named}
    groups = [check.id for check in checks.values() if check.kind == KIND]
    inside = {check_id for contents in contents_of(groups).values() for check_id in contents.check_ids}
    return len(inside - checks.keys())
