"""Times as Gatus' age() reads them: without a layout, and by each part that a layout of Go's may have."""

from datetime import UTC, datetime

import pytest
import time_machine

from apps.checks.types.gatus_times import age_ms, is_layout

THEN = datetime(2026, 9, 27, 12, 30, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "layout", "later_ms"),
    [
        ("Sun, 27 Sep 2026 12:30:45 GMT", "", 0),
        ("Sunday, 27-Sep-26 12:30:45 GMT", "", 0),
        ("Sun Sep 27 12:30:45 2026", "", 0),
        ("Sun Sep  7 12:30:45 2026", "", -20 * 86_400_000),
        ("2026-09-27T12:30:45Z", "", 0),
        ("2026-09-27T12:30:45.123456789Z", "", 123),
        ("2026-09-27T14:30:45+02:00", "", 0),
        ("2026-09-27T07:00:45-05:30", "", 0),
        (' "2026-09-27T12:30:45Z"\n', "", 0),
        ("1790512245", "", 0),
        ("1790512245.5", "", 500),
        ("1.790512245e+09", "", 0),
        ("1790512245000", "", 0),
        ("2026-09-27 12:30:45", "2006-01-02 15:04:05", 0),
        ("2026-09-27 12:30:45.250", "2006-01-02 15:04:05", 250),
        ("2026-09-27 12:30:45,250", "2006-01-02 15:04:05.000", 250),
        ("27/09/2026 14:30:45 +0200", "02/01/2006 15:04:05 -0700", 0),
        ("27/Sep/2026:14:30:45 +02", "02/Jan/2006:15:04:05 -07", 0),
        ("September 27, 2026 12:30 PM", "January 2, 2006 03:04 PM", -45_000),
        ("9/27/26 12:30:45am", "1/2/06 3:04:05pm", -12 * 3_600_000),
        ("9/27/69 12:30:45pm", "1/2/06 3:04:05pm", -57 * 365 * 86_400_000 - 14 * 86_400_000),
        ("2026-09-27 12:30:45 CEST", "2006-01-02 15:04:05 MST", 0),
        ("20260927T123045Z", "20060102T150405Z0700", 0),
        ("2026-09-27", "2006-01-02", -(12 * 3_600 + 30 * 60 + 45) * 1_000),
    ],
)
def test_time_is_read(text: str, layout: str, later_ms: int) -> None:
    with time_machine.travel(THEN, tick=False):
        assert age_ms(text, layout) == -later_ms


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("", ""),
        ("0", ""),
        ("-1", ""),
        ("inf", ""),
        ("1e99", ""),
        ("9" * 60, ""),
        ("1790512245000000", ""),
        ("1e20", ""),
        ("9e21", ""),
        ("not a date", ""),
        ("2026-09-27", ""),
        ("2026-09-27 12:30:45", ""),
        ("2026-02-30T12:30:45Z", ""),
        ("0000-01-01T00:00:00Z", ""),
        ("0001-01-01T00:00:00+05:00", ""),
        ("2026-09-27T12:30:45Z and more", ""),
        ("٢٠٢٦-09-27T12:30:45Z", ""),
        ("2026-09-27T12:30:45Z" + " " * 3 + "x" * 1_000_000, ""),
        ("2026-09-27T12:30:45Z", "2006-01-02 15:04:05"),
        ("Maybe 27, 2026", "January 2, 2006"),
    ],
)
def test_what_tells_no_time_has_no_age(text: str, layout: str) -> None:
    assert age_ms(text, layout) is None


@pytest.mark.parametrize(
    ("layout", "is_one"),
    [
        ("2006-01-02", True),
        ("Jan _2 06", True),
        ("(2006) [01] .02*", True),
        ("15:04:05", False),
        ("2006-01", False),
        ("2006-01-02 2006", False),
        ("MST" * 22 + "2006-01-02", False),
        ("Mon Monday 2006-01-02", False),
        ("%Y-%m-%d", False),
        ("YYYY-MM-DD", False),
        ("", False),
    ],
)
def test_layout_says_where_year_month_and_day_stand(layout: str, is_one: bool) -> None:
    assert is_layout(layout) is is_one
