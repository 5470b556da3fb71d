"""What a day of watching came to, in whole seconds. Degraded time counts as up and is told apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

DAYS = 90


class Day(NamedTuple):
    """The seconds of a day by what they were. Maintenance is no watched time; what nobody saw is in none of them.

    ``late`` is how many of them nobody seemed to have seen until results came later.
    """

    up: int = 0
    degraded: int = 0
    down: int = 0
    maintenance: int = 0
    late: int = 0

    @property
    def watched(self) -> int:
        return self.up + self.degraded + self.down

    @property
    def sign(self) -> str:
        """The state whose colour stands for the day, the worst first; "none" where nothing is known."""
        if self.down or self.degraded:
            return "down" if self.down else "degraded"
        if self.maintenance:
            return "maintenance"
        return "up" if self.up else "none"


@dataclass(frozen=True, slots=True)
class Uptime:
    """How much of the watched time was not down."""

    watched: int
    down: int

    @property
    def thousandths(self) -> int | None:
        """Thousandths of a percent, rounded down: 100_000 only where nothing was down; None where nothing was watched."""
        return (self.watched - self.down) * 100_000 // self.watched if self.watched else None


def uptime_of(days: Iterable[Day]) -> Uptime:
    """Sum the days up."""
    listed = list(days)
    return Uptime(watched=sum(day.watched for day in listed), down=sum(day.down for day in listed))


def day_bounds(last: date, count: int, zone: ZoneInfo) -> list[int]:
    """Return the ``count + 1`` midnights around the days up to ``last`` in that zone: a day has 23, 24 or 25 hours."""
    days = (last + timedelta(days=offset) for offset in range(1 - count, 2))
    return [int(datetime.combine(day, time.min, tzinfo=zone).timestamp()) for day in days]
