"""Groups within groups: how many and how deep there may be, that none belongs to itself, and all that is in one."""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.checks.domain.allowance import allowed
from apps.checks.domain.dependencies import MAX_DEPTH, find_cycle
from apps.checks.domain.group_members import KIND, Register, all_groups, members_by_group
from apps.checks.models import Check
from apps.core.refusals import Refusal

# Every group is looked at twice a minute, whatever the plan: so many nobody needs for the checks that it allows.
ALWAYS_ALLOWED = 20
MAX_GROUPS = 500
FOUND_BY = ("name", "key", "tags", "config")  # decides what belongs to a group, and to which groups a check belongs

Graph = dict[UUID, set[UUID]]  # each group with the groups that are its members
Before = Mapping[str, Any]


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


def refuse_bad_shape(changed: Collection[UUID], before: Mapping[UUID, Before]) -> None:
    """Raise `GroupCycle` where one of these groups belongs to itself by now, `GroupsTooDeep` where a chain through it is too long
    and longer than it was ``before``: what checks had in `FOUND_BY`, of all that became different; new groups had nothing.

    What other groups have become by tags that were given later is not their fault, and what is stored may stay as it is.
    """
    groups = {group.id: group for group in all_groups()}
    graph = _graph(groups)
    knots = _knots(graph)
    circular = {group_id for knot in knots if len(knot) > 1 for group_id in knot}
    if first := next((group_id for group_id in changed if group_id in circular), None):
        way = find_cycle(graph, first)
        chain = " → ".join(groups[one].name for one in [*way, way[0]])
        raise GroupCycle(_("This would go round in a circle: %(chain)s.") % {"chain": chain})
    links = _links(graph, knots)
    deep = [group_id for group_id in changed if links.get(group_id, 0) > MAX_DEPTH]
    if not deep:
        return
    made = set(changed) - before.keys()
    stood = _graph({pk: _as_before(pk, before) or group for pk, group in groups.items() if pk not in made})
    links_before = _links(stood, _knots(stood))
    if any(links[group_id] > links_before.get(group_id, 0) for group_id in deep):
        raise GroupsTooDeep


def _as_before(group_id: UUID, before: Mapping[UUID, Before]) -> Check | None:
    given = before.get(group_id)
    return Check(id=group_id, kind=KIND, **{name: given[name] for name in FOUND_BY}) if given else None


def _graph(groups: Mapping[UUID, Check]) -> Graph:
    register = Register(groups.values())
    return {group_id: {one.id for one in register.members_of(group)} for group_id, group in groups.items()}


def _turned(graph: Graph) -> Graph:
    found: Graph = {group_id: set() for group_id in graph}
    for group_id, members in graph.items():
        for one in members:
            found[one].add(group_id)
    return found


def _knots(graph: Graph) -> list[list[UUID]]:
    """Return the groups, outer ones first, together with those that belong to each other by circles; most stand alone.

    The algorithm is Kosaraju's: who was left last on the way down has nothing above that is not in its own knot.
    """
    turned = _turned(graph)
    seen: set[UUID] = set()
    found = []
    for start in reversed(_left_in_order(graph)):
        knot, ahead = [], [start]
        while ahead:
            here = ahead.pop()
            if here not in seen:
                seen.add(here)
                knot.append(here)
                ahead += turned[here] - seen
        if knot:
            found.append(knot)
    return found


def _left_in_order(graph: Graph) -> list[UUID]:
    """Return the groups as a walk down leaves them: each when all that is met below it was left."""
    left: list[UUID] = []
    seen: set[UUID] = set()
    ahead = [(group_id, False) for group_id in graph]
    while ahead:
        here, is_left = ahead.pop()
        if is_left:
            left.append(here)
        elif here not in seen:
            seen.add(here)
            ahead.append((here, True))
            ahead += [(one, False) for one in graph[here] - seen]
    return left


def _links(graph: Graph, knots: Sequence[Collection[UUID]]) -> dict[UUID, int]:
    """Return how many links the longest chain through each group has; a circle counts with all of its groups."""
    below, above = _longest(graph, reversed(knots)), _longest(_turned(graph), knots)
    return {one: below[one] + above[one] - len(knot) - 1 for knot in knots for one in knot}


def _longest(graph: Graph, knots: Iterable[Collection[UUID]]) -> dict[UUID, int]:
    """Return how many groups the longest chain from each has, itself included; where it leads to comes first among the knots."""
    found: dict[UUID, int] = {}
    for knot in knots:
        beyond = max((found[there] for one in knot for there in graph[one] if there in found), default=0)
        found.update(dict.fromkeys(knot, beyond + len(knot)))
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
