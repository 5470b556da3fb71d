"""When a job is expected to report: every so often, by a cron expression, or by systemd's OnCalendar. Pure.

All instants are aware and come back in UTC. An expression is read on the wall clock of its zone, so that a job at three
in the morning is expected at three in summer and in winter.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from oncalendar import OnCalendar, OnCalendarError

CRON_FIELDS = 5
MAX_EXPRESSIONS = 20
# An instant at which every expression that is not out of date has a next one.
PROBE = datetime(2024, 1, 1, tzinfo=UTC)

Reader = Callable[[str, datetime], Iterator[datetime]]


class BadSchedule(ValueError):
    """The expression cannot be read, or never comes true."""


class Schedule(Protocol):
    """What says when the next report is expected."""

    def following(self, after: datetime) -> datetime | None:
        """Return the first expected instant later than ``after``; None when there is none any more."""
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
        return _following(CronSim, self.expression, self.zone, after.replace(microsecond=0))


@dataclass(frozen=True, slots=True)
class Calendar:
    """One OnCalendar expression a line, each with a zone of its own or in ``zone``."""

    expressions: str
    zone: str

    def following(self, after: datetime) -> datetime | None:
        return _following(OnCalendar, self.expressions, self.zone, after.replace(microsecond=0))


class _Gap:
    """Between two instants of one schedule: whenever it is asked for within, the same one follows.

    Some expressions come true once in decades, and finding out when takes a tenth of a second; reports come all the time.
    """

    span: tuple[datetime, datetime | None] | None = None


@lru_cache(4_096)
def _gap(_reader: Reader, _expression: str, _zone: str) -> _Gap:
    return _Gap()


def _following(reader: Reader, expression: str, zone: str, after: datetime) -> datetime | None:
    gap = _gap(reader, expression, zone)
    known = gap.span  # one read: several threads ask
    if known is not None and known[0] <= after and (known[1] is None or after < known[1]):
        return known[1]
    found = _first_later(reader(expression, after.astimezone(ZoneInfo(zone))), after)
    gap.span = after, found
    return found


def _first_later(instants: Iterator[datetime], after: datetime) -> datetime | None:
    """Return the first instant that is truly later.

    Both libraries count on the wall clock; where that repeats an hour in autumn, what they call next may have been before.
    """
    return next((at for at in (found.astimezone(UTC) for found in instants) if at > after), None)


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
    try:
        found = next(iter(CronSim(expression, PROBE)), None)
    except (CronSimError, AssertionError, TypeError, ValueError) as error:
        raise BadSchedule(str(error)) from error
    if found is None:
        raise BadSchedule("never")


def check_calendar(expressions: str) -> None:
    """Refuse OnCalendar expressions of which one cannot be read or never comes true; raises `BadSchedule`."""
    lines = expressions.strip().splitlines()
    if len(lines) > MAX_EXPRESSIONS:
        raise BadSchedule("lines")
    for line in lines or [""]:
        try:
            found = next(iter(OnCalendar(line, PROBE)), None)
        except (OnCalendarError, AssertionError, TypeError, ValueError, IndexError, OSError) as error:
            raise BadSchedule(str(error)) from error
        if found is None:
            raise BadSchedule("never")
