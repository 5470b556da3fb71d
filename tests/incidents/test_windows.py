"""When maintenance windows take place: known nights of changing clocks, and what holds for every plan."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.incidents.domain.windows import Occurrence, Plan, next_edge, occurrences, running_at, upcoming
from apps.incidents.enums import Repeat

BERLIN = "Europe/Berlin"
HOUR = timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def weekly(*weekdays: int, at: str = "02:30", **fields: object) -> Plan:
    given = {"repeat": Repeat.WEEKLY, "time_zone": BERLIN, "duration": HOUR, **fields}
    return Plan(weekdays=frozenset(weekdays), time_of_day=time.fromisoformat(at), **given)  # type: ignore[arg-type]


def cron(expression: str, **fields: object) -> Plan:
    given = {"repeat": Repeat.CRON, "time_zone": BERLIN, "duration": HOUR, **fields}
    return Plan(cron=expression, **given)  # type: ignore[arg-type]


def begins(plan: Plan, since: str, count: int) -> list[str]:
    return [f"{one.starts_at:%m-%d %H:%M}" for one in upcoming(plan, since=utc(since), count=count)]


def test_once_takes_place_once() -> None:
    plan = Plan(repeat=Repeat.ONCE, time_zone="UTC", duration=2 * HOUR, starts_at=utc("2026-11-21 10:00"))
    only = Occurrence(utc("2026-11-21 10:00"), utc("2026-11-21 12:00"))

    assert upcoming(plan, since=utc("2026-01-01"), count=5) == [only]
    assert upcoming(plan, since=utc("2026-11-21 11:59:59"), count=5) == [only]
    assert upcoming(plan, since=utc("2026-11-21 12:00"), count=5) == []


@pytest.mark.parametrize(
    ("plan", "since", "expected"),
    [
        pytest.param(weekly(0, 4, at="22:00"), "2026-11-16", ["11-16 21:00", "11-20 21:00", "11-23 21:00"], id="winter"),
        pytest.param(weekly(6), "2026-03-21", ["03-22 01:30", "03-29 01:30", "04-05 00:30"], id="spring: 02:30 is left out"),
        pytest.param(weekly(6), "2026-10-17", ["10-18 00:30", "10-25 00:30", "11-01 01:30"], id="autumn: the first 02:30"),
        pytest.param(
            weekly(6, at="03:30"), "2026-10-17", ["10-18 01:30", "10-25 02:30", "11-01 02:30"], id="autumn, after it"
        ),
        pytest.param(
            weekly(0, starts_at=utc("2026-11-17")), "2026-11-01", ["11-23 01:30", "11-30 01:30"], id="not before its begin"
        ),
        pytest.param(
            weekly(0, repeats_until_at=utc("2026-11-23 01:30")), "2026-11-10", ["11-16 01:30"], id="not from its end on"
        ),
        pytest.param(cron("30 3 * * 0"), "2026-10-17", ["10-18 01:30", "10-25 02:30", "11-01 02:30"], id="cron in autumn"),
        pytest.param(cron("0 0 29 2 *"), "2026-11-01", ["02-28 23:00", "02-28 23:00"], id="cron on leap days alone"),
        pytest.param(
            cron("0 4 * * *", starts_at=utc("2026-11-21 03:00")), "2026-11-01", ["11-21 03:00", "11-22 03:00"], id="cron from"
        ),
    ],
)  # fmt: skip
def test_begins(plan: Plan, since: str, expected: Sequence[str]) -> None:
    count = len(expected) if plan.repeats_until_at is None else 9

    assert begins(plan, since, count) == expected


def test_two_hours_are_two_hours_when_the_clocks_change() -> None:
    night = upcoming(weekly(6, at="01:00", duration=2 * HOUR), since=utc("2026-03-28 12:00"), count=1)[0]

    assert (night.starts_at, night.ends_at) == (utc("2026-03-29 00:00"), utc("2026-03-29 02:00"))
    assert night.ends_at.astimezone(ZoneInfo(BERLIN)).strftime("%H:%M") == "04:00"


def test_cut_off_ends_what_had_begun_and_nothing_later() -> None:
    plan = weekly(0, 1, at="02:30", duration=4 * HOUR, cut_off_at=utc("2026-11-23 02:00"))

    assert upcoming(plan, since=utc("2026-11-23 01:00"), count=2) == [
        Occurrence(utc("2026-11-23 01:30"), utc("2026-11-23 02:00")),
        Occurrence(utc("2026-11-24 01:30"), utc("2026-11-24 05:30")),
    ]


def test_overlapping_occurrences_run_as_one() -> None:
    plan = cron("0 * * * *", duration=3 * HOUR)
    moment = utc("2026-11-21 10:30")

    assert running_at(plan, moment) == Occurrence(utc("2026-11-21 08:00"), utc("2026-11-21 13:00"))
    assert next_edge(plan, moment) == utc("2026-11-21 11:00")


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it
ZONES = st.sampled_from(
    ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"]
)
DURATIONS = st.integers(1, 7 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
WEEKLY = st.builds(
    Plan,
    repeat=st.just(Repeat.WEEKLY),
    time_zone=ZONES,
    duration=DURATIONS,
    starts_at=st.none() | MOMENTS,
    repeats_until_at=st.none() | MOMENTS,
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    time_of_day=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    cut_off_at=st.none() | MOMENTS,
)
CRON = st.builds(
    Plan,
    repeat=st.just(Repeat.CRON),
    time_zone=ZONES,
    duration=DURATIONS,
    cron=st.sampled_from(["0 3 * * *", "30 2 * * 0", "*/20 * * * *", "15 1 1 * *", "0 12 * * 1-5"]),
    cut_off_at=st.none() | MOMENTS,
)


@settings(max_examples=150, deadline=None)
@given(plan=WEEKLY | CRON, since=MOMENTS)
def test_every_plan_keeps_its_word(plan: Plan, since: datetime) -> None:
    found = upcoming(plan, since=since, count=12)

    assert found == sorted(found)
    assert len(set(found)) == len(found)
    for one in found:
        assert one.ends_at > since
        assert timedelta(0) < one.ends_at - one.starts_at <= plan.duration
        assert plan.starts_at is None or one.starts_at >= plan.starts_at
        assert plan.repeats_until_at is None or one.starts_at < plan.repeats_until_at
        if plan.repeat == Repeat.WEEKLY:
            _at_its_wall_clock(plan, one)


def _at_its_wall_clock(plan: Plan, one: Occurrence) -> None:
    """It begins at its time of day, or, where the clocks leave that out, less than two hours later."""
    local = one.starts_at.astimezone(ZoneInfo(plan.time_zone)).replace(tzinfo=None)
    assert plan.time_of_day
    late = (local - datetime.combine(local.date(), plan.time_of_day)) % timedelta(days=1)
    assert late <= timedelta(hours=2)
    assert (local - late).weekday() in plan.weekdays


@settings(max_examples=100, deadline=None)
@given(plan=WEEKLY | CRON, moment=MOMENTS)
def test_nothing_changes_between_a_moment_and_the_next_edge(plan: Plan, moment: datetime) -> None:
    """The job looks at edges alone: between them it must not miss anything."""
    edge = next_edge(plan, moment)
    before = running_at(plan, moment)

    assert edge is None or edge > moment
    for share in (0.1, 0.5, 0.999):
        later = moment + (edge - moment) * share if edge else moment + timedelta(days=9_000) * share
        assert (running_at(plan, later) is None) == (before is None)
        if before and not (edge and edge < before.ends_at):
            assert running_at(plan, later) == before


@settings(max_examples=60, deadline=None)
@given(plan=WEEKLY | CRON, since=MOMENTS, gap=st.integers(0, 20 * 24 * 60))
def test_looking_later_finds_the_same_occurrences(plan: Plan, since: datetime, gap: int) -> None:
    later = since + timedelta(minutes=gap)
    early = [one for one in upcoming(plan, since=since, count=200) if one.ends_at > later][:5]

    if len(early) == 5:
        assert upcoming(plan, since=later, count=5) == early


def test_edges_walk_through_all_begins_and_ends() -> None:
    plan = cron("0 3 * * *", duration=2 * HOUR)
    edges = [utc("2026-11-20 00:00")]
    for _step in range(6):
        edge = next_edge(plan, edges[-1])
        assert edge
        edges.append(edge)

    assert [f"{edge:%d %H}" for edge in edges[1:]] == ["20 02", "20 04", "21 02", "21 04", "22 02", "22 04"]
    assert all(earlier < later for earlier, later in pairwise(edges))
    assert next(iter(occurrences(plan, since=edges[2]))).starts_at == edges[3]
