"""Past outages in the calendar of the tenant: the last days with their quiet stretches, and whole months."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from apps.statuspages.domain.outages import ShownOutage, begun_between
from apps.statuspages.domain.queries import shown_components
from apps.statuspages.models import StatusPage

RECENT_DAYS = 14
MONTHS_A_PAGE = 3
# A check that flaps all night must not make a page that nobody can read.
SHOWN_A_DAY = 5
SHOWN_A_MONTH = 100


@dataclass(frozen=True)
class Stretch:
    """A day on which something was wrong, or quiet days in a row; ``first`` is the earlier end.

    ``outages`` are those that began that day and are over; a day may be disturbed by others alone, ``is_ongoing`` by one
    that is not over.
    """

    first: date
    last: date
    is_quiet: bool
    is_ongoing: bool = False
    outages: Sequence[ShownOutage] = field(default=())

    @property
    def shown(self) -> Sequence[ShownOutage]:
        return self.outages[:SHOWN_A_DAY]

    @property
    def hidden_count(self) -> int:
        return len(self.outages) - len(self.shown)


def recent_days(
    outages: Iterable[ShownOutage], *, last: date, zone: ZoneInfo, count: int = RECENT_DAYS
) -> list[Stretch]:
    """Return the last days, newest first, by the day an outage began; quiet days in a row become one stretch."""
    begun: dict[date, list[ShownOutage]] = {}
    disturbed: set[date] = set()
    ongoing: set[date] = set()
    days = [last - timedelta(days=back) for back in range(count)]
    for outage in outages:
        first = outage.started_at.astimezone(zone).date()
        end = outage.ended_at.astimezone(zone).date() if outage.ended_at else last
        touched = [day for day in days if first <= day <= end]
        disturbed.update(touched)
        if outage.is_open:
            ongoing.update(touched)
        else:
            begun.setdefault(first, []).append(outage)
    stretches: list[Stretch] = []
    for day in days:
        if day in disturbed:
            stretches.append(Stretch(day, day, is_quiet=False, is_ongoing=day in ongoing, outages=begun.get(day, ())))
        elif stretches and stretches[-1].is_quiet:
            stretches[-1] = Stretch(day, stretches[-1].last, is_quiet=True)
        else:
            stretches.append(Stretch(day, day, is_quiet=True))
    return stretches


@dataclass(frozen=True)
class Month:
    """A calendar month with its outages, newest first."""

    first: date
    outages: Sequence[ShownOutage]

    @property
    def shown(self) -> Sequence[ShownOutage]:
        return self.outages[:SHOWN_A_MONTH]

    @property
    def hidden_count(self) -> int:
        return len(self.outages) - len(self.shown)


@dataclass(frozen=True)
class Diary:
    """Some months, newest first, and the last months of the pages before and after."""

    months: Sequence[Month]
    older: date | None
    newer: date | None


class NoSuchMonth(LookupError):
    """Nothing was watched yet, or the month has not begun."""


def month_after(month: date, steps: int) -> date:
    """Return the first day of the month that many months later (or earlier)."""
    index = month.year * 12 + month.month - 1 + steps
    return date(index // 12, index % 12 + 1, 1)


def diary_of(page: StatusPage, *, now: datetime, until: date | None = None) -> Diary:
    """Return three months up to ``until`` (default: this month); raise `NoSuchMonth` outside the page's life."""
    zone = ZoneInfo(page.tenant.time_zone)
    components = shown_components(page)
    this_month = now.astimezone(zone).date().replace(day=1)
    births = (component.watched_since.astimezone(zone).date().replace(day=1) for component in components)
    began = min(births, default=this_month)
    last = until or this_month
    if not min(began, this_month) <= last <= this_month:
        raise NoSuchMonth
    firsts = [month_after(last, -back) for back in range(-1, MONTHS_A_PAGE)]
    starts = [datetime.combine(first, time.min, tzinfo=zone) for first in firsts]
    outages = begun_between(components, starts[-1], starts[0], now=now)
    months = [
        Month(start.date(), [outage for outage in outages if start <= outage.started_at < end])
        for end, start in pairwise(starts)
    ]
    older, newer = month_after(last, -MONTHS_A_PAGE), month_after(last, MONTHS_A_PAGE)
    return Diary(
        months=[month for month in months if month.first >= began or month.outages],
        older=older if older >= began else None,
        newer=min(newer, this_month) if last < this_month else None,
    )
