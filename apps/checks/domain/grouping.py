"""Groups: their members, and the state that follows from theirs."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial, reduce
from operator import or_
from typing import Protocol, cast
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from apps.checks.domain.dependencies import find_cycle
from apps.checks.domain.flips import Change, change_state, flip, lock_states, record_flips
from apps.checks.domain.settings import config_of, keep_config
from apps.checks.enums import HELD_STATES, State
from apps.checks.models import Check, CheckState, Flip
from apps.checks.types.group import BY_KEY, GroupCheck, GroupConfig, compose
from apps.core import clock
from apps.core.ids import is_uuid
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id, system_scope, tenant_scope

logger = logging.getLogger(__name__)

KIND = GroupCheck.kind
NAMED = 5
# Flips of so long before may not have been told of yet: events come in any order.
ON_THEIR_WAY = timedelta(minutes=10)

MemberFlip = tuple[UUID, str, datetime]  # whose, the state before it, when


class _Named(Protocol):
    """What of a check groups may know it by."""

    @property
    def id(self) -> UUID: ...
    @property
    def key(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def tags(self) -> Sequence[str]: ...


class GroupCycle(Refusal):
    """A group would belong to itself."""


class GroupSource:
    """Where a group's state comes from: its members."""

    def begin(self, checks: Sequence[Check]) -> None:
        self.settings_changed(checks)

    def settings_changed(self, checks: Sequence[Check]) -> None:
        """Judge by the new members; raise `GroupCycle` where a group would belong to itself.

        One tenant's groups change one after the other: two changes at once, each harmless, could close a circle.
        """
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"groups:{current_tenant_id()}"])
        _refuse_cycle(checks)
        self.resume(checks)

    def pause(self, checks: Sequence[Check]) -> None:
        """Nothing runs that would have to stop."""

    def resume(self, checks: Sequence[Check]) -> None:
        for group in sorted(checks, key=lambda group: group.id):  # the order in which all lock states
            regroup(group, at=clock.now())

    def leave(self, checks: Sequence[Check], *, at: datetime) -> list[Flip]:
        """Nothing is known at first: the flip that says so has the members looked at, who may be leaving as well."""
        change = Change(after=State.UNKNOWN, at=at)
        ids = sorted(group.id for group in checks)
        flips = (change_state(group_id, change, only_from=[State.MAINTENANCE]) for group_id in ids)
        return [made for made in flips if made]


def members_of(group: Check) -> QuerySet[Check]:
    """Return the checks that belong to a group."""
    found: QuerySet[Check] = Check.objects.filter(_wanted(_config(group))).exclude(id=group.id)
    return found.select_related("checkstate").order_by("name", "id")


def _wanted(config: GroupConfig) -> Q:
    keys = [member.removeprefix(BY_KEY) for member in config.members]
    names = [member for member in config.members if not member.startswith(BY_KEY)]
    wanted = Q(name__in=names) | (Q(key__in=keys) & ~Q(key=""))
    if ids := list(_ids_in(config)):
        wanted |= Q(id__in=ids)
    if config.tag:
        wanted |= Q(tags__contains=[config.tag.lower()])
    return wanted


def _called(config: GroupConfig) -> set[str]:
    """Return what a group's settings call its members; ids as we write them, whatever their spelling there."""
    return {*config.members, *map(str, _ids_in(config))}


def _names(called: Set[str], tag: str, check: _Named) -> bool:
    """Tell whether a group's settings name a check: `members_of`, seen from the member and without a query."""
    names = {str(check.id), *([check.key, BY_KEY + check.key] if check.key else [])}
    if not check.name.startswith(BY_KEY):  # such a text means a key alone
        names.add(check.name)
    return not names.isdisjoint(called) or tag.lower() in check.tags


def _ids_in(config: GroupConfig) -> Iterator[UUID]:
    return (UUID(member) for member in config.members if is_uuid(member))


def groups_of(checks: Iterable[Check]) -> list[Check]:
    """Return the groups that one of the checks belongs to, by id."""
    members = list(checks)
    return [group for group in _groups().order_by("id") if _has_one_of(members, group)] if members else []


def _has_one_of(checks: Iterable[Check], group: Check) -> bool:
    config = _config(group)
    called = _called(config)
    return any(_names(called, config.tag, check) for check in checks if check.id != group.id)


@dataclass(frozen=True, slots=True)
class Contents:
    """All that belongs to a group, members of its members too, and when one of these groups was changed last."""

    check_ids: frozenset[UUID]
    changed_at: datetime


def contents_of(groups: Iterable[Check]) -> dict[UUID, Contents]:
    """Return what belongs to each of the groups, by their ids. It takes a query or two for each level of groups in groups."""
    ahead = asked = {group.id: group for group in groups}
    known: dict[UUID, Check] = {}
    members: dict[UUID, set[UUID]] = {}
    while ahead:
        known |= ahead
        wanted = reduce(or_, (_wanted(_config(group)) for group in ahead.values()))
        found = list(Check.objects.filter(wanted).values_list("id", "key", "name", "tags", "kind", named=True))
        for group in ahead.values():
            config = _config(group)
            called = _called(config)
            members[group.id] = {one.id for one in found if one.id != group.id and _names(called, config.tag, one)}
        within = {one.id for one in found if one.kind == KIND} - known.keys()
        ahead = Check.objects.in_bulk(within) if within else {}
    return {group_id: _contents(group_id, known, members) for group_id in asked}


def _contents(group_id: UUID, groups: Mapping[UUID, Check], members: Mapping[UUID, Set[UUID]]) -> Contents:
    """Walk down; a group that was met is not walked again, since tags given later may have closed a circle."""
    seen, ahead = {group_id}, [group_id]
    while ahead:
        fresh = members[ahead.pop()] - seen
        seen |= fresh
        ahead += [check_id for check_id in fresh if check_id in groups]
    changed_at = max(groups[check_id].updated_at for check_id in seen if check_id in groups)
    return Contents(frozenset(seen - {group_id}), changed_at)


def _refuse_cycle(groups: Sequence[Check]) -> None:
    graph = {one.id: set(members_of(one).filter(kind=KIND).values_list("id", flat=True)) for one in _groups()}
    way = next((way for group in groups if (way := find_cycle(graph, group.id))), [])
    if way:
        names = dict(Check.objects.filter(id__in=way).values_list("id", "name"))
        chain = " → ".join(names[one] for one in [*way, way[0]])
        raise GroupCycle(_("This would go round in a circle: %(chain)s.") % {"chain": chain})


def _config(group: Check) -> GroupConfig:
    return cast("GroupConfig", config_of(group))


def _groups() -> QuerySet[Check]:
    found: QuerySet[Check] = Check.objects.filter(kind=KIND)
    return found


def named_rows(check_ids: Collection[UUID], *, renames: bool) -> QuerySet[Check]:
    """Return checks whose rows are locked when they are read; where some get other names, with all groups.

    Rivals: who renames another member of the same group, since what a group calls its members is written as a whole.
    """
    wanted = Q(id__in=check_ids) | Q(kind=KIND) if renames else Q(id__in=check_ids)
    found: QuerySet[Check] = Check.objects.select_for_update(no_key=True).filter(wanted).order_by("id")
    return found


def follow_names(renamed: Mapping[UUID, str]) -> None:
    """Have groups that name checks by their old names (given by id) name them by the new ones; `named_rows` holds them.

    What else bears the old name, or has it for its key, stays a member by it.
    """
    groups = [(group, config) for group in _groups() if set((config := _config(group)).members) & set(renamed.values())]
    if not groups:
        return
    now_called = dict(Check.objects.filter(id__in=renamed).values_list("id", "name"))
    others = Check.objects.filter(name__in=renamed.values()).exclude(id__in=renamed).values_list("name", flat=True)
    kept = {*others, *Check.objects.filter(key__in=renamed.values()).exclude(key="").values_list("key", flat=True)}
    after: dict[str, list[str]] = {name: [name] for name in kept}
    for check_id, name in renamed.items():
        after.setdefault(name, []).append(now_called[check_id])
    for group, config in groups:
        members = [new for name in config.members for new in after.get(name, [name])]
        keep_config(group, replace(config, members=list(dict.fromkeys(members))))
        group.version += 1
    Check.objects.bulk_update([group for group, _was in groups], ["config", "target", "version"], batch_size=500)


def regroup(group: Check, *, at: datetime) -> Flip | None:
    """Bring a group's state in line with its members from that moment on; return the flip. Paused groups and those under
    maintenance stay."""
    return next(iter(_regroup({group.id: at})), None)


@transaction.atomic
def _regroup(ats: Mapping[UUID, datetime], *, lookback: timedelta = timedelta(0)) -> list[Flip]:
    """Do so with groups, given with their moments; return the flips.

    A flip is dated by the member's that made it so, if that lies no further back than ``lookback`` before the group's
    moment; else by that.

    Rivals: handlers of other members' flips, and who edits a group: both hold its state. So its settings and its members
    are read when the state is locked, and of two that change at once the later one sees both.
    """
    states = {pk: standing for pk, standing in lock_states(ats).items() if standing.state not in HELD_STATES}
    groups = list(_groups().filter(id__in=states).order_by("id"))
    return [made for group in groups if (made := _follow(group, states[group.id], ats[group.id], lookback))]


def _follow(group: Check, standing: CheckState, at: datetime, lookback: timedelta) -> Flip | None:
    members = list(members_of(group))
    config = _config(group)
    after = _composed(config, [one.checkstate.state for one in members])
    if after == standing.state or (after == State.UNKNOWN and standing.state == State.NEW):
        return None
    if lookback:
        since = max(standing.since_at, at - lookback)
        states = {one.id: str(one.checkstate.state) for one in members}
        at = turned_at(states, _newest_flips(states, since), partial(_composed, config), after) or at
    unwell = [one.name for one in members if one.checkstate.state == State.DOWN]
    more = ["…"] if len(unwell) > NAMED else []
    why: Mapping[str, str] = {"members": ", ".join(unwell[:NAMED] + more)} if after == State.DOWN else {}
    change = Change(after=after, at=at, error_code="group_member_down" if why else "", error_values=why)
    return record_flips([(standing, flip(standing, change))])[0]


def _composed(config: GroupConfig, states: Collection[str]) -> State:
    return compose(states, rule=config.rule, quorum=config.quorum)


def _newest_flips(check_ids: Collection[UUID], since: datetime) -> list[MemberFlip]:
    """Return the checks' flips, the newest first. By their times: a heartbeat's may be written after it came true."""
    rows = Flip.objects.filter(watched__in=check_ids, at__gte=since).order_by("-at", "-sequence")
    return list(rows.values_list("watched_id", "before", "at"))


def turned_at(
    states: Mapping[UUID, str], flips: Iterable[MemberFlip], judge: Callable[[Collection[str]], State], after: State
) -> datetime | None:
    """Return when members came to make a group what they make it now, from their states and their flips, newest first.

    None where they had made it so before the first of these flips.
    """
    then = dict(states)
    for check_id, before, at in flips:
        then[check_id] = before
        if judge(then.values()) != after:
            return at
    return None


def follow_flips(flip_ids: Collection[UUID]) -> None:
    """Let the groups of checks that flipped follow; a group that lost sight of itself looks at its members again.

    Each group is looked at once, whatever the number of its members that flipped.
    """
    groups = list(_groups().order_by("id"))
    if not groups:
        return
    flips = list(Flip.objects.filter(id__in=flip_ids).select_related("watched").order_by("sequence"))
    causes = {group.id: list(_causes(group, flips)) for group in groups}
    _regroup({group_id: min(ats) for group_id, ats in causes.items() if ats}, lookback=ON_THEIR_WAY)


def _causes(group: Check, flips: Iterable[Flip]) -> Iterator[datetime]:
    """Yield when there was a reason to look at the group."""
    config = _config(group)
    called = _called(config)
    for made in flips:
        is_own = made.watched_id == group.id
        if (is_own and made.after == State.UNKNOWN) or (not is_own and _names(called, config.tag, made.watched)):
            yield made.at


def regroup_all() -> int:
    """Look at every group: tags are given and taken, and members deleted, without a flip. Return how many changed."""
    with system_scope("one sweep serves every tenant's groups"):
        found = list(Check.unscoped.filter(kind=KIND).order_by("tenant_id", "id").values_list("tenant_id", "id"))
    return sum(_regroup_one(tenant_id, check_id) for tenant_id, check_id in found)


def _regroup_one(tenant_id: UUID, check_id: UUID) -> bool:
    try:
        with tenant_scope(tenant_id):
            return bool(_regroup({check_id: clock.now()}))
    except Exception:
        logger.exception("looking at group %s failed", check_id)
        return False
