"""Which checks depend on which: a server behind a router cannot be well while the router is down.

A check may have several parents; each must be well for it to be judged by itself. Parents of parents count too.
"""

from collections.abc import Collection, Iterable, Mapping, Set
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
BATCH = 1_000
# What a parent is while its children's failures say nothing of themselves.
BLAMED = (State.DOWN, State.MAINTENANCE)


class DependencyCycle(Refusal):
    """A check would depend on itself."""

    field = "depends_on"


class TooDeep(Refusal):
    """So long a chain helps nobody to understand."""

    message = gettext_lazy("A chain of dependencies has at most 10 links.")
    field = "depends_on"


class TooManyParents(Refusal):
    """A check depends on few things directly."""

    message = gettext_lazy("A check depends on at most 10 others directly.")
    field = "depends_on"


class CheckGone(Refusal):
    """A check that another one shall depend on, or the other one, is not there any more."""

    message = gettext_lazy("A check was deleted meanwhile. Look again and choose anew.")


Graph = Mapping[UUID, Collection[UUID]]


def find_cycle(graph: Graph, start: UUID) -> list[UUID]:
    """Return the way from a check over its parents back to itself, without the repeated end; empty where there is none."""
    ahead = [start]
    came_from: dict[UUID, UUID] = {}
    while ahead:
        here = ahead.pop()
        for parent in graph.get(here, ()):
            if parent == start:
                return _way_from(start, here, came_from)
            if parent not in came_from:
                came_from[parent] = here
                ahead.append(parent)
    return []


def _way_from(start: UUID, end: UUID, came_from: Mapping[UUID, UUID]) -> list[UUID]:
    way = [end]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]


def too_deep(graph: Graph, *, limit: int = MAX_DEPTH) -> set[UUID]:
    """Return the checks whose chains above have more links than that, among them all that stand behind a circle."""
    rest = {check for check, parents in graph.items() if parents}
    for _link in range(limit):  # each time those go that have nothing above them any more
        rest = {check for check in rest if not rest.isdisjoint(graph[check])}
    return rest


def circle_in(graph: Graph, checks: Collection[UUID]) -> list[UUID]:
    """Return a circle that is met going up from the first of these, each time to a parent among them; or nothing."""
    here = min(checks)
    way: list[UUID] = []
    places: dict[UUID, int] = {}
    while here not in places:
        places[here] = len(way)
        way.append(here)
        above = [parent for parent in graph.get(here, ()) if parent in checks]
        if not above:
            return []
        here = min(above)
    return way[places[here] :]


def depends_on(check: Check) -> QuerySet[Check]:
    """Return the checks that this one depends on directly, by name."""
    found: QuerySet[Check] = Check.objects.filter(dependents__child=check)
    return found.select_related("checkstate").order_by("name", "id")


def needed_by(check: Check) -> QuerySet[Check]:
    """Return the checks that depend on this one directly, by name."""
    found: QuerySet[Check] = Check.objects.filter(dependencies__parent=check)
    return found.select_related("checkstate").order_by("name", "id")


def set_parents(check: Check, parents: Collection[Check]) -> None:
    """Make a check depend on exactly these; raises what `set_parents_of` raises."""
    set_parents_of({check.id: {parent.id for parent in parents}})


@transaction.atomic
def set_parents_of(wanted: Mapping[UUID, Set[UUID]]) -> None:
    """Make each check depend on exactly these; or raise `DependencyCycle`, `TooDeep`, `TooManyParents`, `CheckGone`.

    One tenant's dependencies change one after the other: two changes at once, each harmless, could close a circle.
    """
    if any(len(parents) > MAX_PARENTS for parents in wanted.values()):
        raise TooManyParents
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"dependencies:{current_tenant_id()}"])
    graph: dict[UUID, set[UUID]] = {}
    gone: list[UUID] = []
    for link_id, child_id, parent_id in Dependency.objects.values_list("id", "child_id", "parent_id"):
        if child_id in wanted and parent_id not in wanted[child_id]:
            gone.append(link_id)
        else:
            graph.setdefault(child_id, set()).add(parent_id)
    fresh = [
        Dependency(child_id=child, parent_id=parent)
        for child, parents in wanted.items()
        for parent in parents - graph.get(child, set())
    ]
    _refuse_bad_shape({**graph, **wanted}, first=next(iter(wanted), None))
    Dependency.objects.filter(id__in=gone).delete()
    _keep({one for link in fresh for one in (link.child_id, link.parent_id)})
    Dependency.objects.bulk_create(fresh, ignore_conflicts=True, batch_size=BATCH)
    publish(f"tenant:{current_tenant_id()}", [f"check:{child}" for child in wanted])


def _keep(check_ids: Collection[UUID]) -> None:
    """See that the checks are there and stay; raise `CheckGone`. Rival: a colleague who deletes one of them."""
    if not check_ids:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM checks_check WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE", [list(check_ids)])
        if len(cursor.fetchall()) < len(check_ids):
            raise CheckGone


def _refuse_bad_shape(graph: Graph, *, first: UUID | None) -> None:
    rest = too_deep(graph)
    if not rest:
        return
    way = (first and find_cycle(graph, first)) or circle_in(graph, rest)
    if not way:
        raise TooDeep
    names = dict(Check.objects.filter(id__in=way).values_list("id", "name"))
    if len(names) < len(way):
        raise CheckGone
    chain = " → ".join(names[one] for one in [*way, way[0]])
    raise DependencyCycle(_("This would go round in a circle: %(chain)s.") % {"chain": chain})


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
    explained = ancestors_of(guilty) if len(guilty) > 1 else {}
    tops = [one for one in guilty if guilty.keys().isdisjoint(explained.get(one, ()))]
    return {
        check_id: guilty[found]
        for check_id, parents in above.items()
        if (found := next((one for one in tops if one in parents), None))
    }
