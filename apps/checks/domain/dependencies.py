"""Which checks depend on which: a server behind a router cannot be well while the router is down.

A check may have several parents; each must be well for it to be judged by itself. Parents of parents count too.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.checks.enums import State
from apps.checks.models import Check, Dependency
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id
from apps.live.domain.publish import publish

MAX_PARENTS = 10
MAX_DEPTH = 10
# What a parent is while its children's failures say nothing of themselves.
BLAMED = (State.DOWN, State.MAINTENANCE)


class DependencyCycle(Refusal):
    """A check would depend on itself."""


class TooDeep(Refusal):
    """So long a chain helps nobody to understand."""

    message = gettext_lazy("A chain of dependencies has at most 10 links.")


class TooManyParents(Refusal):
    """A check depends on few things directly."""

    message = gettext_lazy("A check depends on at most 10 others directly.")


Graph = Mapping[UUID, Collection[UUID]]


def find_cycle(graph: Graph, start: UUID) -> list[UUID]:
    """Return the way from a check over its parents back to itself, without the repeated end; empty where there is none."""
    stack: list[tuple[UUID, list[UUID]]] = [(start, [start])]
    seen: set[UUID] = set()
    while stack:
        here, way = stack.pop()
        for parent in graph.get(here, ()):
            if parent == start:
                return way
            if parent not in seen:
                seen.add(parent)
                stack.append((parent, [*way, parent]))
    return []


def longest_chain(graph: Graph) -> int:
    """Return the number of links in the longest chain; the graph has no cycles."""
    known: dict[UUID, int] = {}

    def depth(check: UUID) -> int:
        if check not in known:
            known[check] = max((1 + depth(parent) for parent in graph.get(check, ())), default=0)
        return known[check]

    return max(map(depth, graph), default=0)


def depends_on(check: Check) -> QuerySet[Check]:
    """Return the checks that this one depends on directly, by name."""
    found: QuerySet[Check] = Check.objects.filter(dependents__child=check)
    return found.select_related("checkstate").order_by("name", "id")


def needed_by(check: Check) -> QuerySet[Check]:
    """Return the checks that depend on this one directly, by name."""
    found: QuerySet[Check] = Check.objects.filter(dependencies__parent=check)
    return found.select_related("checkstate").order_by("name", "id")


@transaction.atomic
def set_parents(check: Check, parents: Collection[Check]) -> None:
    """Make a check depend on exactly these; raise `DependencyCycle`, `TooDeep`, `TooManyParents`.

    One tenant's dependencies change one after the other: two changes at once, each harmless, could close a circle.
    """
    wanted = {parent.id: parent for parent in parents}
    if len(wanted) > MAX_PARENTS:
        raise TooManyParents
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"dependencies:{current_tenant_id()}"])
    _refuse_bad_shape(check, wanted)
    Dependency.objects.filter(child=check).exclude(parent__in=wanted).delete()
    rows = [Dependency(child=check, parent_id=parent_id) for parent_id in wanted]
    Dependency.objects.bulk_create(rows, ignore_conflicts=True)
    publish(f"tenant:{current_tenant_id()}", [check.live_id])


def _refuse_bad_shape(check: Check, wanted: Mapping[UUID, Check]) -> None:
    graph: dict[UUID, set[UUID]] = {}
    for child_id, parent_id in Dependency.objects.exclude(child=check).values_list("child_id", "parent_id"):
        graph.setdefault(child_id, set()).add(parent_id)
    graph[check.id] = set(wanted)
    if way := find_cycle(graph, check.id):
        names = dict(Check.objects.filter(id__in=way).values_list("id", "name"))
        chain = " → ".join(names[one] for one in [*way, check.id])
        raise DependencyCycle(_("This would go round in a circle: %(chain)s.") % {"chain": chain})
    if longest_chain(graph) > MAX_DEPTH:
        raise TooDeep


# UNION (not ALL) ends by itself, whatever the rows say.
ABOVE = """
WITH RECURSIVE above AS (
    SELECT child_id AS check_id, parent_id FROM checks_dependency WHERE child_id = ANY(%s)
    UNION
    SELECT above.check_id, link.parent_id FROM above JOIN checks_dependency AS link ON link.child_id = above.parent_id
)
SELECT check_id, parent_id FROM above
"""
BELOW = """
WITH RECURSIVE below AS (
    SELECT child_id FROM checks_dependency WHERE parent_id = %s
    UNION
    SELECT link.child_id FROM below JOIN checks_dependency AS link ON link.parent_id = below.child_id
)
SELECT child_id FROM below
"""


def ancestors_of(check_ids: Iterable[UUID]) -> dict[UUID, list[UUID]]:
    """Return all that each check depends on, directly or not; checks that depend on nothing are left out."""
    found: dict[UUID, list[UUID]] = {}
    with connection.cursor() as cursor:
        cursor.execute(ABOVE, [list(check_ids)])
        for check_id, parent_id in cursor.fetchall():
            found.setdefault(check_id, []).append(parent_id)
    return found


def descendants_of(check_id: UUID) -> list[UUID]:
    """Return all that depend on a check, directly or not."""
    with connection.cursor() as cursor:
        cursor.execute(BELOW, [check_id])
        return [child_id for (child_id,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Blamed:
    """The check that explains why another is not well."""

    id: UUID
    name: str
    state: str


def blamed_for(checks: Iterable[Check]) -> dict[UUID, Blamed]:
    """Return, for those of the checks (with states) that are not well, the one above that is down or under maintenance."""
    unwell = [check.id for check in checks if check.checkstate.state in (State.DOWN, State.DEGRADED)]
    above = ancestors_of(unwell) if unwell else {}
    if not above:
        return {}
    ids = {parent for parents in above.values() for parent in parents}
    rows = Check.objects.filter(id__in=ids, checkstate__state__in=BLAMED).order_by("name", "id")
    guilty = {row[0]: Blamed(*row) for row in rows.values_list("id", "name", "checkstate__state")}
    # The topmost explains most: one that is itself explained by another is no answer.
    tops = (
        {one for one in guilty if not set(ancestors_of([one]).get(one, ())) & set(guilty)}
        if len(guilty) > 1
        else set(guilty)
    )
    return {
        check_id: guilty[found]
        for check_id, parents in above.items()
        if (found := next((one for one in guilty if one in parents and one in tops), None))
    }
