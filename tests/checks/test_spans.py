"""The arithmetic of spans and days."""

from datetime import date
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from apps.checks.domain.days import day_bounds
from apps.checks.domain.spans import Span, common, merged, seconds_by_day, span, without
from tests.statuspages.histories import at

HOUR = 3_600


@pytest.mark.parametrize(
    ("spans", "whole"),
    [
        ([], []),
        ([Span(5, 5), Span(9, 3)], []),
        ([Span(5, 9), Span(1, 3)], [Span(1, 3), Span(5, 9)]),
        ([Span(1, 5), Span(3, 9)], [Span(1, 9)]),
        ([Span(1, 5), Span(5, 9)], [Span(1, 9)]),
        ([Span(1, 9), Span(3, 5)], [Span(1, 9)]),
    ],
)
def test_merged(spans: list[Span], whole: list[Span]) -> None:
    assert merged(spans) == whole


@pytest.mark.parametrize(
    ("spans", "holes", "left"),
    [
        ([Span(0, 10)], [], [Span(0, 10)]),
        ([Span(0, 10)], [Span(0, 10)], []),
        ([Span(0, 10)], [Span(3, 5)], [Span(0, 3), Span(5, 10)]),
        ([Span(0, 10)], [Span(-5, 2), Span(8, 20)], [Span(2, 8)]),
        ([Span(0, 10)], [Span(1, 2), Span(4, 5)], [Span(0, 1), Span(2, 4), Span(5, 10)]),
        ([Span(0, 4), Span(6, 10)], [Span(3, 7)], [Span(0, 3), Span(7, 10)]),
        ([Span(0, 4)], [Span(10, 20)], [Span(0, 4)]),
    ],
)
def test_without(spans: list[Span], holes: list[Span], left: list[Span]) -> None:
    assert without(spans, holes) == left


def test_common() -> None:
    assert common([Span(0, 10), Span(20, 30)], [Span(5, 25)]) == [Span(5, 10), Span(20, 25)]


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        ("20 10:00:00", "20 10:00:10", 10),
        ("20 10:00:00.900", "20 10:00:01.100", 2),
        ("20 10:00:00.200", "20 10:00:00.300", 1),
        ("20 10:00:00", "20 10:00:00", 0),
    ],
)
def test_span_touches_whole_seconds(start: str, end: str, seconds: int) -> None:
    whole = span(at(start), at(end))

    assert whole.end - whole.start == seconds


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], [0, 0, 0]),
        ([Span(12, 18)], [0, 6, 0]),
        ([Span(8, 23)], [2, 10, 3]),
        ([Span(-5, 2), Span(4, 6), Span(19, 99)], [4, 1, 10]),
        ([Span(-9, -1), Span(30, 40)], [0, 0, 0]),
        ([Span(10, 20)], [0, 10, 0]),
    ],
)
def test_seconds_by_day(spans: list[Span], seconds: list[int]) -> None:
    assert seconds_by_day(spans, [0, 10, 20, 30]) == seconds


@pytest.mark.parametrize(
    ("zone", "last", "hours"),
    [
        ("UTC", date(2026, 3, 30), [24, 24, 24]),
        ("Europe/Berlin", date(2026, 3, 30), [24, 23, 24]),
        ("Europe/Berlin", date(2026, 10, 26), [24, 25, 24]),
        ("America/New_York", date(2026, 3, 9), [24, 23, 24]),
        ("Africa/Cairo", date(2026, 4, 25), [24, 23, 24]),  # the clock jumps at midnight: that midnight does not exist
        ("Australia/Lord_Howe", date(2026, 4, 6), [24, 24.5, 24]),
    ],
)
def test_day_bounds_follow_the_zone(zone: str, last: date, hours: list[float]) -> None:
    bounds = day_bounds(last, 3, ZoneInfo(zone))

    assert [(end - start) / HOUR for start, end in pairwise(bounds)] == hours
