"""What groups were while they seemed unknown, from what is known of their members by now.

Members are those of today: who belonged to a group then is written down nowhere.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.db import connection

from apps.checks.domain.group_members import groups_of, members_of
from apps.checks.domain.hindsight import Piece, Rules, look_back_at_members, overlaid
from apps.checks.domain.settings import config_of
from apps.checks.domain.unknown_times import (
    REACHES_BACK,
    FlipRow,
    Noted,
    UnknownTime,
    flips_from,
    forget,
    rows_of,
    unknown_times,
)
from apps.checks.enums import State
from apps.checks.models import Check, Hindsight
from apps.checks.types.group import GroupConfig, compose
from apps.core import clock
from apps.core.tenancy import current_tenant_id

DEEPEST = 20  # groups within groups; tags given later may have closed a circle


def look_back_at_groups(learned: Sequence[UnknownTime]) -> list[UnknownTime]:
    """Judge the groups of checks of which something was learned anew, and the groups of these; return their times.

    Rivals: another worker that learned of another member. One tenant's groups are judged by one after the other, so that
    the later one sees what the earlier one learned.
    """
    changed = {part.noted.check_id for part in learned}
    if not changed or not (groups := groups_of(Check.objects.filter(id__in=changed))):
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"hindsight:{current_tenant_id()}"])
    since = min(part.since for part in learned)
    until = max(part.until or clock.now() for part in learned)
    told: list[UnknownTime] = []
    for _level in range(DEEPEST):
        if not groups:
            break
        own = [part for group in groups for part in _look_back_at(group, since, until)]
        told += own
        groups = groups_of(Check.objects.filter(id__in={part.noted.check_id for part in own}))
    return told


def _look_back_at(group: Check, since: datetime, until: datetime) -> list[UnknownTime]:
    """Replace what was known of the group's unknown times around that time; return them."""
    rules = Rules(timedelta(seconds=group.interval_seconds), group.retries, group.recoveries, group.confirmations)
    noted = Noted(group.id, group.tenant_id, since, until, rules)
    with connection.cursor() as cursor:
        flips = flips_from(cursor, [group.id], [since]).get(group.id)
        unknown = unknown_times(noted, flips) if flips else []
        if not unknown:
            return []
        cursor.execute("SELECT FROM checks_check WHERE id = %s FOR KEY SHARE SKIP LOCKED", [group.id])
        if not cursor.rowcount:
            return []  # somebody deletes it at this moment; to wait for that person might be a deadlock
        now = clock.now()
        members = _members(cursor, group, since=min(part.since for part in unknown), now=now)
        forget(cursor, unknown, [part.until or now + REACHES_BACK for part in unknown])
    config = cast("GroupConfig", config_of(group))
    judge = partial(compose, rule=config.rule, quorum=config.quorum)
    Hindsight.objects.bulk_create(
        row
        for part in unknown
        for row in rows_of(part, look_back_at_members(members, judge, since=part.since, until=part.until or now))
    )
    return unknown


def _members(cursor: Any, group: Check, *, since: datetime, now: datetime) -> list[list[Piece]]:
    """Return what each member has been since then, as far as it is known by now."""
    members = {member.id: member for member in members_of(group)}
    flips = flips_from(cursor, list(members), [since] * len(members))
    learned: dict[UUID, list[Piece]] = {}
    for row in Hindsight.objects.filter(watched_id__in=members, until_at__gt=since, since_at__lt=now):
        learned.setdefault(row.watched_id, []).append(Piece(row.since_at, row.until_at, State(row.state)))
    return [
        overlaid(
            _pieces(flips.get(member.id, []), member.checkstate.state, since=max(since, member.created_at), now=now),
            learned.get(member.id, []),
        )
        for member in members.values()
    ]


def _pieces(flips: Iterable[FlipRow], state: str, *, since: datetime, now: datetime) -> list[Piece]:
    """Return what flips say a check has been; ``state`` is what it is now."""
    pieces: list[Piece] = []
    at = since
    for moment, before, _after in flips:
        if at < moment:
            pieces.append(Piece(at, moment, State(before)))
            at = moment
    return [*pieces, Piece(at, max(at, now), State(state))]
