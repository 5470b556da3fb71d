"""Arithmetic on spans of time in whole seconds: what overlaps, what is left, how much falls on each day."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple


class Span(NamedTuple):
    """Seconds since 1970, the end not included."""

    start: int
    end: int


def span(start: datetime, end: datetime) -> Span:
    """Return the whole seconds that the time touches: half a second of downtime counts as one, never as none.

    What lasts no time touches none.
    """
    first = math.floor(start.timestamp())
    return Span(first, math.ceil(end.timestamp()) if start < end else first)


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the same seconds as disjoint spans in order."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if whole and start <= whole[-1].end:
            whole[-1] = Span(whole[-1].start, max(whole[-1].end, end))
        else:
            whole.append(Span(start, end))
    return whole


def without(spans: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """Return the seconds of ``spans`` that lie in none of ``holes``."""
    cuts = merged(holes)
    left: list[Span] = []
    first = 0
    for start, end in merged(spans):
        while first < len(cuts) and cuts[first].end <= start:
            first += 1
        at, index = start, first
        while index < len(cuts) and cuts[index].start < end:
            if cuts[index].start > at:
                left.append(Span(at, cuts[index].start))
            at = max(at, cuts[index].end)
            index += 1
        if at < end:
            left.append(Span(at, end))
    return left


def common(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """Return the seconds that lie in both."""
    whole = merged(spans)
    return without(whole, without(whole, others))


def seconds_by_day(spans: Iterable[Span], bounds: Sequence[int]) -> list[int]:
    """Return how many seconds fall between each two neighbouring bounds."""
    seconds = [0] * (len(bounds) - 1)
    day = 0
    for start, end in merged(spans):
        while day < len(seconds) and bounds[day + 1] <= start:
            day += 1
        index = day
        while index < len(seconds) and bounds[index] < end:
            seconds[index] += min(end, bounds[index + 1]) - max(start, bounds[index])
            index += 1
    return seconds
