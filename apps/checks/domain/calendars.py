"""What the times of a check make of its days, exact to the second. Pure.

Moments are microseconds and days begin at seconds since any one moment, the same for both.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from apps.checks.domain.days import Day
from apps.checks.domain.hindsight import Learned, known_of
from apps.checks.domain.spans import Span, without
from apps.checks.enums import State

Time = tuple[int, int, int]  # its first second, its end, what it was

# The worse come first; where times touch the same second, it is theirs.
KINDS = (State.DOWN, State.DEGRADED, State.MAINTENANCE, State.UNKNOWN)
DOWN, DEGRADED, MAINTENANCE, UNKNOWN = range(len(KINDS))
UNSEEN = len(KINDS)
LATE = UNSEEN + 1  # beside what it was: known by hindsight alone
KIND_OF = {str(state): KINDS.index(state) if state in KINDS else UNSEEN for state in State}
UP = str(State.UP)
SECOND = 1_000_000


class Life(NamedTuple):
    """What is known of a check: its first second, what it is, when it left which state, and what was learned later.

    ``changes`` are in the order in which they came about, each with its moment and the state before it; ``learned`` are
    first moment, end and state.
    """

    born: int
    state: str
    changes: Iterable[tuple[int, str]] = ()
    learned: Sequence[tuple[int, int, str]] = ()


class Calendar:
    """Some days up to now, and what a check's life makes of them."""

    def __init__(self, bounds: Sequence[int], now: int) -> None:
        self.bounds, self._now, self._end = bounds, now, _end(now)
        # Most days of most checks are quiet, and shared.
        self._quiet = [Day(up=max(0, min(later, self._end) - midnight)) for midnight, later in pairwise(bounds)]

    def days_of(self, life: Life) -> list[Day]:
        """Return the days of a check."""
        days, bounds = list(self._quiet), self.bounds
        place = 0
        while place < len(days) and bounds[place] < life.born:
            days[place] = Day(up=max(0, min(bounds[place + 1], self._end) - life.born))
            place += 1
        for start, end, kind in self._apart(life):
            self._take(days, kind, start if start > life.born else life.born, end if end < self._end else self._end)
        return days

    def _take(self, days: list[Day], kind: int, start: int, end: int) -> None:
        """Count a time as what it was, in the days that it touches. Runs tens of thousands of times for a page."""
        bounds = self.bounds
        place = bisect_right(bounds, start) - 1
        while start < end:
            until = end if end < bounds[place + 1] else bounds[place + 1]
            up, degraded, down, maintenance, late = days[place]
            taken = until - start
            if kind == DOWN:
                days[place] = Day(up - taken, degraded, down + taken, maintenance, late)
            elif kind == DEGRADED:
                days[place] = Day(up - taken, degraded + taken, down, maintenance, late)
            elif kind == MAINTENANCE:
                days[place] = Day(up - taken, degraded, down, maintenance + taken, late)
            elif kind == LATE:
                days[place] = Day(up, degraded, down, maintenance, late + taken)
            else:
                days[place] = Day(up - taken, degraded, down, maintenance, late)
            start, place = until, place + 1

    def _apart(self, life: Life) -> list[Time]:
        """Return the times in which it was not simply up, without what others share: a second is the worst one's, once."""
        times, is_apart = self._times(life.changes, life.state)
        if life.learned:
            return _known(times, life.learned)
        return times if is_apart else _worst_first(times)

    def _times(self, changes: Iterable[tuple[int, str]], state: str) -> tuple[list[Time], bool]:
        """Return the times in which it was not simply up, and whether none touches another.

        Whole seconds: what is touched counts. No change comes before the one before it: clocks step back.
        """
        times: list[Time] = []
        since = self.bounds[0] * SECOND
        reached, is_apart = self.bounds[0], True
        for at, before in chain(changes, [(self._now, state)]):
            if at < since:
                at = since
            if before != UP and since < at:  # what lasts no time touches no second
                start = since // SECOND
                is_apart = is_apart and reached <= start
                reached = -(-at // SECOND)
                times.append((start, reached, KIND_OF[before]))
            since = at
        return times, is_apart


def _known(times: Iterable[Time], learned: Iterable[tuple[int, int, str]]) -> list[Time]:
    """Return the times apart, unknown ones as what they are known to have been by now."""
    told = list(times)
    unknown = [Span(start, end) for start, end, kind in told if kind == UNKNOWN]
    late = [Learned(Span(start // SECOND, _end(end)), state) for start, end, state in learned if start < end]
    known = known_of(unknown, late)
    told = [time for time in told if time[2] != UNKNOWN]
    for kind, spans in ((DOWN, known.down), (DEGRADED, known.degraded), (UNKNOWN, known.unseen)):
        told += [(start, end, kind) for start, end in spans]
    return _worst_first(told) + [(start, end, LATE) for start, end in known.late]


def _worst_first(times: Sequence[Time]) -> list[Time]:
    taken: list[Span] = []
    apart: list[Time] = []
    for kind in range(LATE):
        left = without((Span(start, end) for start, end, its in times if its == kind), taken)
        taken += left
        apart += [(start, end, kind) for start, end in left]
    return apart


def _end(moment: int) -> int:
    """Return the first second that a time up to that moment does not touch."""
    return -(-moment // SECOND)
