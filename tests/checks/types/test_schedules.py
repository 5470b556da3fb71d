"""Schedules: read on the wall clock, counted in true time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oncalendar import BaseIterator

from apps.checks.types import schedules
from apps.checks.types.schedules import (
    UNSEEN,
    BadSchedule,
    Calendar,
    Cron,
    Every,
    check_calendar,
    check_cron,
    check_zone,
)

BERLIN = "Europe/Berlin"
MINUTE = timedelta(minutes=1)
ZONES = (BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca")


def seconds_after(start: datetime, seconds: int) -> datetime:
    return start + timedelta(seconds=seconds)


# Around the changes of the clock of these zones in 2026, and far from them.
INSTANTS = st.one_of(
    *(
        st.integers(0, 3 * 86_400).map(partial(seconds_after, datetime(2026, month, day, tzinfo=UTC)))
        for month, day in ((1, 5), (3, 7), (3, 28), (4, 4), (10, 3), (10, 24), (11, 1))
    )
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_period_counts_from_the_last_report() -> None:
    assert Every(timedelta(hours=1)).following(utc("2026-01-01T10:20:30")) == utc("2026-01-01T11:20:30")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2026-01-10T12:00", "2026-01-11T02:00"),  # winter: three o'clock is two in UTC
        ("2026-07-10T12:00", "2026-07-11T01:00"),  # summer
        ("2026-03-28T12:00", "2026-03-29T01:00"),  # the night that loses an hour
        ("2026-10-24T12:00", "2026-10-25T02:00"),  # the night that gains one
        ("2026-01-11T02:00", "2026-01-12T02:00"),  # on the dot: the next one
    ],
)
def test_cron_follows_the_wall_clock(after: str, expected: str) -> None:
    assert Cron("0 3 * * *", BERLIN).following(utc(after)) == utc(expected)
    assert Calendar("03:00", BERLIN).following(utc(after)) == utc(expected)


def test_job_in_the_hour_that_is_skipped_runs_when_the_clock_has_jumped() -> None:
    assert Cron("30 2 * * *", BERLIN).following(utc("2026-03-28T12:00")) == utc("2026-03-29T01:00")


@pytest.mark.parametrize("schedule", [Cron("30 2 * * *", BERLIN), Calendar("02:30", BERLIN)])
def test_job_in_the_hour_that_is_repeated_runs_once(schedule: Cron | Calendar) -> None:
    first = schedule.following(utc("2026-10-24T12:00"))

    assert first == utc("2026-10-25T00:30")
    assert schedule.following(utc("2026-10-25T00:31")) == utc("2026-10-26T01:30")
    assert schedule.following(utc("2026-10-25T01:10")) == utc("2026-10-26T01:30")  # the hour's second time


def test_what_comes_once_in_decades_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look takes a tenth of a second, and a job may report twice a second."""
    looks: list[datetime] = []

    def counting(expression: str, start: datetime) -> Iterator[datetime]:
        looks.append(start)
        return BaseIterator(expression, start)

    monkeypatch.setattr(schedules, "BaseIterator", counting)
    schedule = Calendar("\n".join(["Mon *-02-29 23:59:59"] * 20), BERLIN)
    found = {schedule.following(utc("2026-01-01") + timedelta(seconds=number)) for number in range(500)}
    later = schedule.following(utc("2044-02-29T22:59:59"))
    before = schedule.following(utc("2026-01-01"))

    assert found == {utc("2044-02-29T22:59:59")}
    assert (before, later) == (utc("2044-02-29T22:59:59"), utc("2072-02-29T22:59:59"))
    assert len(looks) == 3 * 20


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("2025-10-26T00:49:59", "2025-10-26T00:50"),
        ("2025-10-26T00:50", "2025-10-26T02:00"),  # as systemd's: the hour's second time is left out
        ("2025-10-26T01:00:05", "2025-10-26T02:00"),
        ("2025-10-26T01:29:05", "2025-10-26T02:00"),
        ("2025-10-26T01:59:59", "2025-10-26T02:00"),
        ("2025-10-26T02:00", "2025-10-26T02:10"),
        ("2026-03-29T00:50", "2026-03-29T01:00"),  # 01:50 is followed by 03:00
    ],
)
def test_calendar_counts_the_repeated_hour_once(after: str, expected: str) -> None:
    assert Calendar("*:0/10", BERLIN).following(utc(after)) == utc(expected)


def test_lines_of_several_zones_come_in_true_time() -> None:
    """On Berlin's clock the later one comes first: 02:15 for the second time, and 02:45 for the first."""
    schedule = Calendar("00:45 UTC\n01:15 UTC", BERLIN)

    assert schedule.following(utc("2026-10-25T00:30")) == utc("2026-10-25T00:45")
    assert schedule.following(utc("2026-10-25T00:45")) == utc("2026-10-25T01:15")


@pytest.mark.parametrize(
    ("line", "after", "expected", "most"),
    [
        ("*-*-* *:*:*", "2025-10-26T01:00:05", "2025-10-26T02:00", 1),
        ("Sun *-03-25..31 02:*:*", "2026-01-01", None, 200),  # what the clock skips, each year again
    ],
)
def test_clock_that_is_set_costs_a_look_and_no_walk(
    line: str, after: str, expected: str | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From second to second it took minutes, on the thread that stores everybody's pings."""
    seen: list[datetime | None] = []

    class Counting(BaseIterator):
        def __next__(self) -> datetime:
            seen.append(None)
            return super().__next__()

    monkeypatch.setattr(schedules, "BaseIterator", Counting)
    found = Calendar(line, BERLIN).following(utc(after))

    assert found == (utc(expected) if expected else None)
    assert len(seen) <= most


def test_expression_that_is_over_has_no_next() -> None:
    assert Calendar("2026-01-01 10:00", "UTC").following(utc("2026-06-01")) is None


def test_calendar_lines_each_bring_their_own_zone() -> None:
    schedule = Calendar("10:00 Europe/Riga\n10:00 America/New_York", "UTC")

    assert schedule.following(utc("2026-01-05T07:00")) == utc("2026-01-05T08:00")
    assert schedule.following(utc("2026-01-05T08:00")) == utc("2026-01-05T15:00")


@settings(max_examples=150, deadline=None)
@given(after=INSTANTS, zone=st.sampled_from(ZONES), step=st.sampled_from((1, 5, 7, 15, 30)))
def test_every_few_minutes_means_true_time(after: datetime, zone: str, step: int) -> None:
    """The slow model: ask each coming minute what its wall clock says."""
    at = after.replace(second=0, microsecond=0) + MINUTE
    while at.astimezone(ZoneInfo(zone)).minute % step:
        at += MINUTE

    assert Cron(f"*/{step} * * * *", zone).following(after) == at


@settings(max_examples=150, deadline=None)
@given(
    after=INSTANTS,
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    weekday=st.one_of(st.none(), st.integers(0, 6)),
)
def test_daily_and_weekly_jobs_run_once_a_day_on_the_wall_clock(
    after: datetime, zone: str, hour: int, minute: int, weekday: int | None
) -> None:
    """The slow model: write down the job's instant of each coming day, take the first that is later."""
    place = ZoneInfo(zone)
    instants = []
    for days in range(-2, 10):
        day = (after.astimezone(place) + timedelta(days=days)).date()
        if weekday is None or day.isoweekday() % 7 == weekday:
            wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=place)
            while wall.astimezone(UTC).astimezone(place).replace(tzinfo=None) != wall.replace(tzinfo=None):
                wall += MINUTE  # the clock never shows this: the first minute that it shows
            instants.append(wall.astimezone(UTC))
    expected = min(at for at in instants if at > after.replace(microsecond=0))
    days_of_week = "*" if weekday is None else weekday

    assert Cron(f"{minute} {hour} * * {days_of_week}", zone).following(after) == expected


@settings(max_examples=100, deadline=None)
@given(after=INSTANTS, zone=st.sampled_from(ZONES), minute=st.integers(0, 59), every=st.sampled_from((1, 2, 6)))
def test_what_follows_is_later_and_agrees_with_the_wall_clock(
    after: datetime, zone: str, minute: int, every: int
) -> None:
    found = Calendar(f"0/{every}:{minute:02}" if every > 1 else f"*:{minute:02}", zone).following(after)

    assert found is not None
    wall = found.astimezone(ZoneInfo(zone))
    assert after.replace(microsecond=0) < found <= after + timedelta(hours=every + 2)
    assert (wall.minute, wall.second, wall.hour % every) == (minute, 0, 0)


@pytest.mark.parametrize(
    "text",
    ["", "* * * *", "* * * * * *", "60 * * * *", "0 0 31 2 *", "@daily", "a b c d e", "*/0 * * * *", "5-1 * * * *"],
)
def test_bad_cron_is_refused(text: str) -> None:
    with pytest.raises(BadSchedule):
        check_cron(text)


@pytest.mark.parametrize(
    "text", ["", "25:00", "*-02-30", "2020-01-01", "10:00\nnever", "10:00 Europe", "\n".join(["daily"] * 21)]
)
def test_bad_calendar_is_refused(text: str) -> None:
    with pytest.raises(BadSchedule):
        check_calendar(text)


@pytest.mark.parametrize("sign", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\t", "\xa0", "\u200b"])
def test_calendar_with_what_nobody_sees_is_refused(sign: str) -> None:
    with pytest.raises(BadSchedule, match=UNSEEN):
        check_calendar(f"Mon 03:00{sign}Tue 03:00")


@pytest.mark.parametrize(
    "schedule",
    [
        Calendar("Mon 03:00\u2028Tue 03:00", BERLIN),
        Calendar("03:00\r04:00", BERLIN),
        Calendar("Mon" + "," * 5_000, BERLIN),
        Calendar("", BERLIN),
        Cron("0 3 * *", BERLIN),
        Cron("0 61 * * *", BERLIN),
    ],
)
def test_stored_schedule_that_cannot_be_read_says_so(schedule: Calendar | Cron) -> None:
    """As an earlier release may have taken it."""
    with pytest.raises(BadSchedule):
        schedule.following(utc("2026-01-01"))


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="034:\r\n\x0b\x85\u2028 Mon,", max_size=20))
def test_what_is_taken_can_be_read(text: str) -> None:
    try:
        check_calendar(text)
    except BadSchedule:
        return

    for zone in ZONES:
        assert Calendar(text, zone).following(utc("2024-01-01")) is not None


@pytest.mark.parametrize("text", ["Europe", "Mars/Olympus", "../etc/passwd", ""])
def test_bad_zone_is_refused(text: str) -> None:
    with pytest.raises(BadSchedule):
        check_zone(text)


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="0123456789*/-,LW#~:. \nMONFRIdaily", max_size=30))
def test_whatever_is_written_is_taken_or_refused(text: str) -> None:
    for check in (check_cron, check_calendar):
        try:
            check(text)
        except BadSchedule:
            continue


def test_sound_expressions_are_taken() -> None:
    for text in ("0 3 * * *", "*/5 8-18 * * MON-FRI", "0 0 L * *", "0 0 * * 5L"):
        check_cron(text)
    for text in ("daily", "Mon..Fri 03:00", "*-*~1 10:00 Europe/Riga", "minutely\nweekly", " 03:00\r\n04:00 \r\n"):
        check_calendar(text)
    check_zone(BERLIN)
