"""The uptime of a component, day by day: exact, in whole seconds. Degraded time counts as up and is told apart."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apps.statuspages.domain.spans import Span, merged, seconds_by_day, without


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a component. Where spans overlap, down counts before degraded, and both before unseen."""

    born: int
    now: int
    down: Sequence[Span] = ()
    degraded: Sequence[Span] = ()
    unseen: Sequence[Span] = ()


@dataclass(frozen=True, slots=True)
class Day:
    """The seconds of a day by what they were; what was not watched is in none of them."""

    up: int = 0
    degraded: int = 0
    down: int = 0

    @property
    def watched(self) -> int:
        return self.up + self.degraded + self.down

    @property
    def sign(self) -> str:
        """The state whose colour stands for the day; "none" where nothing is known."""
        if self.down or self.degraded:
            return "down" if self.down else "degraded"
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


def days_of(history: History, bounds: Sequence[int]) -> list[Day]:
    """Return a `Day` for each two neighbouring bounds. Nothing counts before the birth, nor in the future."""
    life = [Span(history.born, history.now)]
    outside = [Span(bounds[0], history.born), Span(history.now, bounds[-1])]
    down = without(history.down, outside)
    degraded = without(history.degraded, [*outside, *down])
    up = without(life, [*down, *degraded, *history.unseen])
    parts = (seconds_by_day(merged(spans), bounds) for spans in (up, degraded, down))
    return [Day(*seconds) for seconds in zip(*parts, strict=True)]


def uptime_of(days: Iterable[Day]) -> Uptime:
    """Sum the days up."""
    listed = list(days)
    return Uptime(watched=sum(day.watched for day in listed), down=sum(day.down for day in listed))
