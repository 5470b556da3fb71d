"""When a job is expected to report: every so often, by a cron expression, or by systemd's OnCalendar. Pure.

All instants are aware and come back in UTC. An expression is read on the wall clock of its zone, so that a job at three
in the morning is expected at three in summer and in winter.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol, cast
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from oncalendar import BaseIterator, OnCalendarError, parse_tz

CRON_FIELDS = 5
MAX_EXPRESSIONS = 20
# An instant at which every expression that is not out of date has a next one.
PROBE = datetime(2024, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
UNSEEN = "unseen"  # `BadSchedule`: a sign that nobody sees, which may look like the end of a line
# What the libraries raise at what they cannot read.
UNREAD = (CronSimError, OnCalendarError, AssertionError, TypeError, ValueError, IndexError, RecursionError)

Search = Callable[[str, str, datetime], datetime | None]  # an expression, its zone, and after when it is to come true


class BadSchedule(ValueError):
    """The expression cannot be read, or never comes true; its text is a word for the reason, or the library's own."""


class Schedule(Protocol):
    """What says when the next report is expected."""

    def following(self, after: datetime) -> datetime | None:
        """Return the first expected instant later than ``after``; None when there is none any more.

        Raises `BadSchedule` where a stored expression cannot be read, and `LookupError` where its zone is gone.
        """
        ...


@dataclass(frozen=True, slots=True)
class Every:
    """A report at least every ``period``, counted from the last one."""

    period: timedelta

    def following(self, after: datetime) -> datetime:
        return after + self.period


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields, read as Debian's cron reads them."""

    expression: str
    zone: str

    def following(self, after: datetime) -> datetime | None:
        return _following(_next_cron, self.expression, self.zone, after.replace(microsecond=0))


@dataclass(frozen=True, slots=True)
class Calendar:
    """One OnCalendar expression a line, each with a zone of its own or in ``zone``."""

    expressions: str
    zone: str

    def following(self, after: datetime) -> datetime | None:
        return _following(_next_calendar, self.expressions, self.zone, after.replace(microsecond=0))


class _Gap:
    """Between two instants of one schedule: whenever it is asked for within, the same one follows.

    Some expressions come true once in decades, and finding out when takes a tenth of a second; reports come all the time.
    """

    span: tuple[datetime, datetime | None] | None = None


@lru_cache(4_096)
def _gap(_search: Search, _expression: str, _zone: str) -> _Gap:
    return _Gap()


def _following(search: Search, expression: str, zone: str, after: datetime) -> datetime | None:
    gap = _gap(search, expression, zone)
    known = gap.span  # one read: several threads ask
    if known is not None and known[0] <= after and (known[1] is None or after < known[1]):
        return known[1]
    try:
        found = search(expression, zone, after)
    except UNREAD as error:
        raise BadSchedule(str(error)) from error
    gap.span = after, found
    return found


def _next_cron(expression: str, zone: str, after: datetime) -> datetime | None:
    """Return the first instant that is truly later: where the clock repeats an hour, what the library calls next may have
    been before."""
    instants = CronSim(expression, after.astimezone(ZoneInfo(zone)))
    return next((at for at in (found.astimezone(UTC) for found in instants) if at > after), None)


def _next_calendar(expressions: str, zone: str, after: datetime) -> datetime | None:
    found = [_next_of(line, ZoneInfo(zone), after) for line in calendar_lines(expressions)]
    return min((at for at in found if at is not None), default=None)


def calendar_lines(expressions: str) -> list[str]:
    """Return OnCalendar expressions one by one; only what people see as a line's end divides them."""
    return [line.strip() for line in expressions.strip().split("\n")]


def _next_of(line: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Return when one expression comes true next, as systemd's timers do: what the clock skips in spring is left out, and
    the hour that it repeats in autumn counts once.

    The library walks on the wall clock alone: from second to second, which at such an hour may be for hours on end.
    """
    words = line.rsplit(maxsplit=1)
    own = parse_tz(words[1]) if len(words) > 1 else None
    expression, zone = (words[0], own) if own else (line, zone)
    local = after.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    found = next(BaseIterator(expression, _last_alike(wall, zone) if local.fold else wall), None)
    while found is not None and _jump(found, zone) > timedelta(0):
        found = next(BaseIterator(expression, _last_alike(found, zone)), None)
    return found.replace(tzinfo=zone).astimezone(UTC) if found is not None else None


def _jump(wall: datetime, zone: ZoneInfo) -> timedelta:
    """Return by how much a zone's clock jumps over what it never shows; negative for what it shows twice."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return cast("timedelta", second) - cast("timedelta", first)


def _last_alike(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the last second of the stretch that a zone's clock never shows, or shows twice."""
    seconds = range(1, abs(_jump(wall, zone)) // SECOND + 1)
    return wall + bisect_left(seconds, True, key=lambda ahead: not _jump(wall + ahead * SECOND, zone)) * SECOND


def check_zone(zone: str) -> None:
    """Refuse what is no IANA time zone; raises `BadSchedule`."""
    if zone not in _zones():
        raise BadSchedule("zone")


@lru_cache(1)
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def check_cron(expression: str) -> None:
    """Refuse a cron expression that nobody could run; raises `BadSchedule`."""
    if len(expression.split()) != CRON_FIELDS:
        raise BadSchedule("fields")
    check_comes_true(Cron(expression, "UTC"))


def check_calendar(expressions: str) -> None:
    """Refuse OnCalendar expressions of which one cannot be read or never comes true; raises `BadSchedule`."""
    lines = calendar_lines(expressions)
    if len(lines) > MAX_EXPRESSIONS:
        raise BadSchedule("lines")
    if not all(line.isprintable() for line in lines):
        raise BadSchedule(UNSEEN)
    for line in lines:
        check_comes_true(Calendar(line, "UTC"))


def check_comes_true(schedule: Schedule) -> None:
    """Refuse what its user could not read, or would wait for in vain; raises `BadSchedule`."""
    try:
        found = schedule.following(PROBE)
    except OSError as error:  # a folder of zones, given as one
        raise BadSchedule(str(error)) from error
    if found is None:
        raise BadSchedule("never")
