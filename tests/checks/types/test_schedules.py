"""Schedules: read on the wall clock, counted in true time."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oncalendar import OnCalendar

from apps.checks.types import schedules
from apps.checks.types.schedules import (
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

    def counting(expressions: str, start: datetime) -> Iterator[datetime]:
        looks.append(start)
        return OnCalendar(expressions, start)

    monkeypatch.setattr(schedules, "OnCalendar", counting)
    schedule = Calendar("\n".join(["Mon *-02-29 23:59:59"] * 20), BERLIN)
    found = {schedule.following(utc("2026-01-01") + timedelta(seconds=number)) for number in range(500)}
    later = schedule.following(utc("2044-02-29T22:59:59"))
    before = schedule.following(utc("2026-01-01"))

    assert found == {utc("2044-02-29T22:59:59")}
    assert (before, later) == (utc("2044-02-29T22:59:59"), utc("2072-02-29T22:59:59"))
    assert len(looks) == 3


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


@pytest.mark.parametrize("text", ["", "25:00", "*-02-30", "2020-01-01", "10:00\nnever", "\n".join(["daily"] * 21)])
def test_bad_calendar_is_refused(text: str) -> None:
    with pytest.raises(BadSchedule):
        check_calendar(text)


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
    for text in ("daily", "Mon..Fri 03:00", "*-*~1 10:00 Europe/Riga", "minutely\nweekly"):
        check_calendar(text)
    check_zone(BERLIN)
