"""Groups within groups: how many and how deep there may be, that none belongs to itself, and all that is in one."""

from collections.abc import Collection, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from graphlib import CycleError, TopologicalSorter
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.checks.domain.allowance import allowed
from apps.checks.domain.dependencies import MAX_DEPTH, circle_in, find_cycle
from apps.checks.domain.group_members import Register, all_groups, members_by_group
from apps.checks.models import Check
from apps.core.refusals import Refusal

# Every group is looked at twice a minute, whatever the plan: so many nobody needs for the checks that it allows.
ALWAYS_ALLOWED = 20
MAX_GROUPS = 500

Graph = dict[UUID, set[UUID]]  # each group with the groups that are its members


class GroupCycle(Refusal):
    """A group would belong to itself."""

    field = "config.members"


class GroupsTooDeep(Refusal):
    """So many groups within each other help nobody to understand."""

    message = gettext_lazy(
        "A chain of groups within groups has at most 10 links: name what is in the inner groups as members instead."
    )
    field = "config.members"


class TooManyGroups(Refusal):
    """A tenant has at most as many groups as its plan allows checks, and never more than `MAX_GROUPS`."""


def refuse_too_many() -> None:
    """Raise `TooManyGroups` where there are more by now than there may be."""
    checks = allowed().checks
    most = MAX_GROUPS if checks is None else min(max(checks, ALWAYS_ALLOWED), MAX_GROUPS)
    if all_groups().count() > most:
        text = _("There may be at most %(most)s groups. Delete some first, or give those that are there more members.")
        raise TooManyGroups(text % {"most": most})


def refuse_bad_shape(changed: Collection[UUID]) -> None:
    """Raise `GroupCycle` where one of these groups belongs to itself by now, `GroupsTooDeep` where it is in too long a chain.

    What other groups have become by tags that were given later is not their fault.
    """
    groups = {group.id: group for group in all_groups()}
    graph = _graph(groups)
    below, above = _levels(graph), _levels(_turned(graph))
    circular = graph.keys() - below.keys() - above.keys()
    if first := next((group_id for group_id in changed if group_id in circular), None):
        way = find_cycle(graph, first) or circle_in(graph, circular)
        chain = " → ".join(groups[one].name for one in [*way, way[0]])
        raise GroupCycle(_("This would go round in a circle: %(chain)s.") % {"chain": chain})
    if any(below.get(group_id, 0) + above.get(group_id, 0) > MAX_DEPTH for group_id in changed):
        raise GroupsTooDeep


def _graph(groups: Mapping[UUID, Check]) -> Graph:
    register = Register(groups.values())
    return {group_id: {one.id for one in register.members_of(group)} for group_id, group in groups.items()}


def _turned(graph: Graph) -> Graph:
    found: Graph = {group_id: set() for group_id in graph}
    for group_id, members in graph.items():
        for one in members:
            found[one].add(group_id)
    return found


def _levels(graph: Graph) -> dict[UUID, int]:
    """Return how many links the longest chain below each has; those that have a circle below them, or are in one, are left
    out."""
    sorter = TopologicalSorter(graph)
    with suppress(CycleError):  # the others come all the same
        sorter.prepare()
    found: dict[UUID, int] = {}
    level = 0
    while ready := sorter.get_ready():
        found.update(dict.fromkeys(ready, level))
        sorter.done(*ready)
        level += 1
    return found


@dataclass(frozen=True, slots=True)
class Contents:
    """All that belongs to a group, members of its members too, and when one of these groups was changed last."""

    check_ids: frozenset[UUID]
    changed_at: datetime


def contents_of(group_ids: Collection[UUID]) -> dict[UUID, Contents]:
    """Return what belongs to each of the groups, by their ids, with two queries however deep it is."""
    if not group_ids:
        return {}
    groups = {group.id: group for group in all_groups()}
    register = Register(groups.values())
    met: dict[UUID, Check] = {}
    ahead = [group for group_id in group_ids if (group := groups.get(group_id))]
    while ahead:
        group = ahead.pop()
        if group.id not in met:
            met[group.id] = group
            ahead += register.members_of(group)
    members = {
        group_id: {one.id for one in theirs} for group_id, theirs in members_by_group(list(met.values())).items()
    }
    return {group_id: _contents(group_id, met, members) for group_id in group_ids if group_id in met}


def _contents(group_id: UUID, groups: Mapping[UUID, Check], members: Mapping[UUID, Set[UUID]]) -> Contents:
    """Walk down; a group that was met is not walked again, since tags given later may have closed a circle."""
    seen, ahead = {group_id}, [group_id]
    while ahead:
        fresh = members[ahead.pop()] - seen
        seen |= fresh
        ahead += [check_id for check_id in fresh if check_id in groups]
    changed_at = max(groups[check_id].updated_at for check_id in seen if check_id in groups)
    return Contents(frozenset(seen - {group_id}), changed_at)
