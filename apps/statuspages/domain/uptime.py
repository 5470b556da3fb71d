"""The uptime of a component, day by day: exact, in whole seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from apps.checks.domain.days import Day
from apps.checks.domain.spans import Span, merged, seconds_by_day, without


@dataclass(frozen=True, slots=True)
class History:
    """What is known of a component. Where spans overlap, down counts before degraded, then maintenance, then unseen.

    ``late`` is beside them: what is known by hindsight alone.
    """

    born: int
    now: int
    down: Sequence[Span] = ()
    degraded: Sequence[Span] = ()
    maintenance: Sequence[Span] = ()
    unseen: Sequence[Span] = ()
    late: Sequence[Span] = ()


def days_of(history: History, bounds: Sequence[int]) -> list[Day]:
    """Return a `Day` for each two neighbouring bounds. Nothing counts before the birth, nor in the future."""
    life = [Span(history.born, history.now)]
    outside = [Span(bounds[0], history.born), Span(history.now, bounds[-1])]
    down = without(history.down, outside)
    degraded = without(history.degraded, [*outside, *down])
    maintenance = without(history.maintenance, [*outside, *down, *degraded])
    up = without(life, [*down, *degraded, *maintenance, *history.unseen])
    late = without(history.late, outside)
    parts = (seconds_by_day(merged(spans), bounds) for spans in (up, degraded, down, maintenance, late))
    return [Day(*seconds) for seconds in zip(*parts, strict=True)]
