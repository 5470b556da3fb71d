"""Groups: their members, and the state that follows from theirs."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from apps.checks.domain.flips import Change, change_state, flip, lock_states, record_flips
from apps.checks.domain.group_members import KIND, Register, all_groups, group_config, members_by_group
from apps.checks.domain.group_shape import Before, refuse_bad_shape, refuse_too_many
from apps.checks.domain.settings import keep_config
from apps.checks.enums import HELD_STATES, State
from apps.checks.models import Check, CheckState, Flip
from apps.checks.types.group import GroupConfig, compose
from apps.core import clock
from apps.core.tenancy import current_tenant_id, system_scope, tenant_scope

logger = logging.getLogger(__name__)

NAMED = 5
# Flips of so long before may not have been told of yet: events come in any order.
ON_THEIR_WAY = timedelta(minutes=10)

MemberFlip = tuple[UUID, str, datetime]  # whose, the state before it, when


class GroupSource:
    """Where a group's state comes from: its members."""

    def begin(self, checks: Sequence[Check]) -> None:
        """Judge by the members; raise `TooManyGroups`, and what `settings_changed` raises."""
        _wait_for_turn()
        refuse_too_many()
        self.settings_changed(checks, {})

    def settings_changed(self, checks: Sequence[Check], before: Mapping[UUID, Before]) -> None:
        """Judge by the new members; raise `GroupCycle` where a group would belong to itself, `GroupsTooDeep` where too many
        would be within each other, more than there were."""
        _wait_for_turn()
        refuse_bad_shape([group.id for group in checks], before)
        self.resume(checks)

    def pause(self, checks: Sequence[Check]) -> None:
        """Nothing runs that would have to stop."""

    def resume(self, checks: Sequence[Check]) -> None:
        now = clock.now()
        _regroup({group.id: now for group in checks})

    def leave(self, checks: Sequence[Check], *, at: datetime) -> list[Flip]:
        """Nothing is known at first: the flip that says so has the members looked at, who may be leaving as well."""
        change = Change(after=State.UNKNOWN, at=at)
        ids = sorted(group.id for group in checks)
        flips = (change_state(group_id, change, only_from=[State.MAINTENANCE]) for group_id in ids)
        return [made for made in flips if made]


def _wait_for_turn() -> None:
    """One tenant's groups change one after the other: two changes at once, each harmless, could close a circle, and rivals
    who make one each could make more than there may be."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"groups:{current_tenant_id()}"])


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
    configs = [(group, group_config(group)) for group in all_groups()]
    groups = [(group, config) for group, config in configs if set(config.members) & set(renamed.values())]
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


@transaction.atomic
def _regroup(ats: Mapping[UUID, datetime], *, lookback: timedelta = timedelta(0)) -> list[Flip]:
    """Bring groups, given with their moments, in line with their members; return the flips. Paused groups and those under
    maintenance stay.

    A flip is dated by the member's that made it so, if that lies no further back than ``lookback`` before the group's
    moment; else by that.

    Rivals: handlers of other members' flips, and who edits a group: both hold its state. So its settings and its members
    are read when the state is locked, and of two that change at once the later one sees both.
    """
    states = {pk: standing for pk, standing in lock_states(ats).items() if standing.state not in HELD_STATES}
    groups = list(all_groups().filter(id__in=states).order_by("id"))
    members = members_by_group(groups)
    made: list[Flip] = []
    for group in groups:
        # A member that is one of these groups is what it became just now.
        theirs = [(one, str(states.get(one.id, one.checkstate).state)) for one in members[group.id]]
        made += _follow(group, theirs, states[group.id], at=ats[group.id], lookback=lookback)
    return made


def _follow(
    group: Check, members: Sequence[tuple[Check, str]], standing: CheckState, *, at: datetime, lookback: timedelta
) -> list[Flip]:
    config = group_config(group)
    states = {one.id: state for one, state in members}
    after = _composed(config, states.values())
    if not _is_news(after, standing):
        return []
    if lookback:
        since = max(standing.since_at, at - lookback)
        at = turned_at(states, _newest_flips(states, since), partial(_composed, config), after) or at
    unwell = [one.name for one, state in members if state == State.DOWN]
    more = ["…"] if len(unwell) > NAMED else []
    why: Mapping[str, str] = {"members": ", ".join(unwell[:NAMED] + more)} if after == State.DOWN else {}
    change = Change(after=after, at=at, error_code="group_member_down" if why else "", error_values=why)
    return record_flips([(standing, flip(standing, change))])


def _is_news(after: State, standing: CheckState) -> bool:
    return after != standing.state and not (after == State.UNKNOWN and standing.state == State.NEW)


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
    groups = list(all_groups().order_by("id"))
    if not groups:
        return
    flips = list(Flip.objects.filter(id__in=flip_ids).select_related("watched").order_by("sequence"))
    register = Register({made.watched_id: made.watched for made in flips}.values())
    causes = {group.id: list(_causes(group, flips, register)) for group in groups}
    _regroup({group_id: min(ats) for group_id, ats in causes.items() if ats}, lookback=ON_THEIR_WAY)


def _causes(group: Check, flips: Iterable[Flip], register: Register) -> Iterator[datetime]:
    """Yield when there was a reason to look at the group."""
    members = {one.id for one in register.members_of(group)}
    for made in flips:
        is_own_loss = made.watched_id == group.id and made.after == State.UNKNOWN
        if is_own_loss or made.watched_id in members:
            yield made.at


def regroup_all() -> int:
    """Look at every group: tags are given and taken, and members deleted, without a flip. Return how many changed."""
    with system_scope("one sweep serves every tenant's groups"):
        groups = Check.unscoped.filter(kind=KIND)
        tenant_ids = list(groups.order_by("tenant_id").values_list("tenant_id", flat=True).distinct())
    return sum(_regroup_tenant(tenant_id) for tenant_id in tenant_ids)


def _regroup_tenant(tenant_id: UUID) -> int:
    try:
        with tenant_scope(tenant_id):
            now = clock.now()
            return len(_regroup({group.id: now for group in _out_of_line()}))
    except Exception:
        logger.exception("looking at the groups of tenant %s failed", tenant_id)
        return 0


def _out_of_line() -> Iterator[Check]:
    """Yield the groups that are not what their members make them, as it seems while nobody's state is held."""
    groups = list(all_groups().exclude(checkstate__state__in=HELD_STATES).select_related("checkstate"))
    members = members_by_group(groups)
    for group in groups:
        after = _composed(group_config(group), [one.checkstate.state for one in members[group.id]])
        if _is_news(after, group.checkstate):
            yield group
