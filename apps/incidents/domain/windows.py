"""When a maintenance window takes place: pure functions over values. Instants are aware and come back in UTC.

The wall clock of the window's zone decides when it begins; how long it lasts is time that truly passes. So work at three in
the morning begins at three in summer and in winter, and two hours are two hours in the night in which clocks change. A
time that the clocks leave out in spring is taken as if they had not been put forward yet, one that comes twice in autumn
as its first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

from apps.checks.types.schedules import Cron
from apps.incidents.enums import Repeat

# An expression such as "at 29 February" has long pauses, but none is longer than this.
HORIZON = timedelta(days=366 * 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What people said of a window. Monday is 0; ``starts_at`` is its begin, of a repeated one its earliest begin.

    Nothing begins at ``repeats_until_at`` or later. What had begun by ``cut_off_at`` ended then at the latest.
    """

    repeat: Repeat
    time_zone: str
    duration: timedelta
    starts_at: datetime | None = None
    repeats_until_at: datetime | None = None
    weekdays: frozenset[int] = field(default_factory=frozenset)
    time_of_day: time | None = None
    cron: str = ""
    cut_off_at: datetime | None = None


@dataclass(frozen=True, slots=True, order=True)
class Occurrence:
    """One time that a window takes place: from, and up to but not including."""

    starts_at: datetime
    ends_at: datetime

    def covers(self, moment: datetime) -> bool:
        return self.starts_at <= moment < self.ends_at


def occurrences(plan: Plan, *, since: datetime) -> Iterator[Occurrence]:
    """Return the occurrences that end later than ``since``, in the order in which they begin."""
    for begin in _begins(plan, since - plan.duration):
        end = begin + plan.duration
        if plan.cut_off_at and begin <= plan.cut_off_at:
            end = min(end, plan.cut_off_at)
        if end > since and end > begin:
            yield Occurrence(begin, end)


def upcoming(plan: Plan, *, since: datetime, count: int) -> list[Occurrence]:
    """Return the next occurrences, one that runs at the moment included."""
    return list(islice(occurrences(plan, since=since), count))


def running_at(plan: Plan, moment: datetime) -> Occurrence | None:
    """Return what runs then; where occurrences of one window overlap, all of them as one."""
    running = list(takewhile(lambda one: one.starts_at <= moment, occurrences(plan, since=moment)))
    return Occurrence(running[0].starts_at, max(one.ends_at for one in running)) if running else None


def next_edge(plan: Plan, moment: datetime) -> datetime | None:
    """Return when, later than that moment, what runs may change: the next begin or end; None when there is none any more."""
    edges: list[datetime] = []
    for one in occurrences(plan, since=moment):
        if one.starts_at > moment:
            return min([*edges, one.starts_at])
        edges.append(one.ends_at)
    return min(edges, default=None)


def _begins(plan: Plan, after: datetime) -> Iterator[datetime]:
    """Return the begins later than that, in their order."""
    if plan.repeat == Repeat.ONCE:
        begins = iter([plan.starts_at.astimezone(UTC)] if plan.starts_at else [])
    elif plan.repeat == Repeat.WEEKLY:
        begins = _weekly(plan, max(after, plan.starts_at or after))
    else:
        begins = _cron(plan, max(after, (plan.starts_at or after) - timedelta(seconds=1)))
    for begin in begins:
        if plan.repeat != Repeat.ONCE and plan.repeats_until_at and begin >= plan.repeats_until_at:
            return
        if begin > after and (plan.starts_at is None or begin >= plan.starts_at):
            yield begin


def _weekly(plan: Plan, after: datetime) -> Iterator[datetime]:
    if plan.time_of_day is None or not plan.weekdays:
        return
    zone = ZoneInfo(plan.time_zone)
    # A day earlier than asked, since what the clocks leave out is moved into the next day where that happens at midnight.
    first = after.astimezone(zone).date() - timedelta(days=1)
    for offset in range(HORIZON.days):
        day = first + timedelta(days=offset)
        if day.weekday() in plan.weekdays:
            yield datetime.combine(day, plan.time_of_day, tzinfo=zone).astimezone(UTC)


def _cron(plan: Plan, after: datetime) -> Iterator[datetime]:
    schedule, last = Cron(plan.cron, plan.time_zone), after + HORIZON
    at = schedule.following(after)
    while at and at <= last:
        yield at
        at = schedule.following(at)
