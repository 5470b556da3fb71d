"""Uptime, exact to the second."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from apps.checks.domain.day_words import day_text, duration, percentage
from apps.checks.domain.days import Day, Uptime, day_bounds, uptime_of
from apps.checks.domain.spans import Span
from apps.checks.enums import State
from apps.statuspages.domain.facts import ComponentFact, FlipFact, Moment, OutageFact, Past, history_of, moments_of
from apps.statuspages.domain.uptime import History, days_of
from tests.statuspages.histories import at

DAY, HOUR, MINUTE = 86_400, 3_600, 60
BOUNDS = [0, DAY, 2 * DAY, 3 * DAY]
LONG_AGO, LATER = -10 * DAY, 3 * DAY


@pytest.mark.parametrize(
    ("history", "days"),
    [
        pytest.param(History(LONG_AGO, LATER), [Day(up=DAY)] * 3, id="never down"),
        pytest.param(
            History(LONG_AGO, LATER, down=[Span(DAY + 10, DAY + 70)]),
            [Day(up=DAY), Day(up=DAY - 60, down=60), Day(up=DAY)],
            id="a minute",
        ),
        pytest.param(
            History(LONG_AGO, LATER, down=[Span(DAY - 30, DAY + 90)]),
            [Day(up=DAY - 30, down=30), Day(up=DAY - 90, down=90), Day(up=DAY)],
            id="over midnight",
        ),
        pytest.param(
            History(LONG_AGO, 2 * DAY + HOUR, down=[Span(2 * DAY, 2 * DAY + HOUR)]),
            [Day(up=DAY), Day(up=DAY), Day(down=HOUR)],
            id="still open, and the day has only begun",
        ),
        pytest.param(
            History(LONG_AGO, LATER, down=[Span(LONG_AGO, DAY // 2)]),
            [Day(up=DAY // 2, down=DAY // 2), Day(up=DAY), Day(up=DAY)],
            id="open since before the first day",
        ),
        pytest.param(
            History(DAY + 100, LATER, down=[Span(DAY + 100, DAY + 110)]),
            [Day(), Day(up=DAY - 110, down=10), Day(up=DAY)],
            id="born on the second day",
        ),
        pytest.param(
            History(LONG_AGO, LATER, degraded=[Span(0, 100)], down=[Span(40, 60)]),
            [Day(up=DAY - 100, degraded=80, down=20), Day(up=DAY), Day(up=DAY)],
            id="down within degraded",
        ),
        pytest.param(
            History(LONG_AGO, LATER, unseen=[Span(0, DAY + HOUR)]),
            [Day(), Day(up=DAY - HOUR), Day(up=DAY)],
            id="paused: nobody knows",
        ),
        pytest.param(
            History(LONG_AGO, LATER, unseen=[Span(0, 3 * DAY)], down=[Span(10, 20)]),
            [Day(down=10), Day(), Day()],
            id="what was seen counts",
        ),
    ],
)
def test_days_of(history: History, days: list[Day]) -> None:
    assert days_of(history, BOUNDS) == days


@pytest.mark.parametrize(
    ("zone", "day", "seconds"),
    [("Europe/Berlin", date(2026, 3, 29), 23 * HOUR), ("Europe/Berlin", date(2026, 10, 25), 25 * HOUR)],
)
def test_a_day_of_changing_clocks_is_whole(zone: str, day: date, seconds: int) -> None:
    bounds = day_bounds(day, 1, ZoneInfo(zone))

    days = days_of(History(LONG_AGO, bounds[-1] + DAY, down=[Span(bounds[0], bounds[0] + 4 * HOUR)]), bounds)

    assert days == [Day(up=seconds - 4 * HOUR, down=4 * HOUR)]


@pytest.mark.parametrize(
    ("watched", "down", "thousandths", "words"),
    [
        (0, 0, None, "No data"),
        (90 * DAY, 0, 100_000, "100.000 %"),
        (90 * DAY, 1, 99_999, "99.999 %"),
        (90 * DAY, 90 * DAY, 0, "0.000 %"),
        (90 * DAY, 90 * DAY - 1, 0, "0.000 %"),
        (DAY, 43 * MINUTE, 97_013, "97.013 %"),
        (3, 1, 66_666, "66.666 %"),
    ],
)
def test_uptime_is_rounded_down(watched: int, down: int, thousandths: int | None, words: str) -> None:
    uptime = Uptime(watched=watched, down=down)

    assert (uptime.thousandths, percentage(uptime)) == (thousandths, words)


def test_uptime_leaves_out_what_was_not_watched() -> None:
    days = [Day(), Day(up=DAY // 2), Day(up=DAY - 864, degraded=432, down=432)]

    assert uptime_of(days) == Uptime(watched=DAY + DAY // 2, down=432)


@pytest.mark.parametrize(
    ("day", "sign", "text"),
    [
        (Day(), "none", "No data"),
        (Day(up=5), "up", "No outage"),
        (Day(maintenance=5), "maintenance", "5 s of maintenance"),
        (Day(up=5, degraded=61), "degraded", "1 min 1 s degraded"),
        (Day(up=5, degraded=7200, down=3), "down", "3 s of outage · 2 h degraded"),
        (Day(up=5, late=3_600), "up", "No outage · 1 h reported late"),
        (Day(up=5, down=60, late=90), "down", "1 min of outage · 1 min 30 s reported late"),
    ],
)
def test_a_day_in_colour_and_words(day: Day, sign: str, text: str) -> None:
    assert (day.sign, day_text(day)) == (sign, text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3_661, "1 h 1 min"),
        (3_601, "1 h"),
        (90_061, "1 d 1 h"),
        (86_460, "1 d"),
    ],
)
def test_duration_in_two_units(seconds: int, words: str) -> None:
    assert duration(seconds) == words


# --- From outages and flips to a history ---------------------------------------------------------------------------

SINCE, NOW = at("20 00:00"), at("21 00:00")
CHECK = UUID(int=1)


def component(state: State = State.UP, born: datetime = SINCE) -> ComponentFact:
    return ComponentFact(UUID(int=2), CHECK, "API", "", "", born, born, state, born)


def flips(*past: tuple[str, State, State]) -> list[FlipFact]:
    return [FlipFact(10 + n, CHECK, at(when), before, after) for n, (when, before, after) in enumerate(past)]


def outage(start: str, end: str | None, severity: str = "down", *, first: int = 10, last: int = 99) -> OutageFact:
    ended_at = at(end) if end else None
    return OutageFact(UUID(int=5), CHECK, severity, at(start), ended_at, first, last)


def days(outages: Sequence[OutageFact], past: Sequence[FlipFact], state: State = State.UP) -> Day:
    history = history_of(Past(component(state), outages, past), since=SINCE, now=NOW)
    return days_of(history, [int(SINCE.timestamp()), int(NOW.timestamp())])[0]


def test_outage_that_worsened_and_improved_is_split() -> None:
    past = flips(
        ("20 10:00", State.UP, State.DEGRADED),
        ("20 10:20", State.DEGRADED, State.DOWN),
        ("20 10:30", State.DOWN, State.DEGRADED),
        ("20 10:31", State.DEGRADED, State.UP),
    )

    day = days([outage("20 10:00", "20 10:31")], past)

    assert day == Day(up=DAY - 31 * MINUTE, degraded=21 * MINUTE, down=10 * MINUTE)


def test_outage_whose_flips_are_older_counts_as_it_is_now() -> None:
    assert days([outage("19 10:00", None)], [], State.DOWN) == Day(down=DAY)


def test_outage_ahead_of_its_flips_counts_by_its_severity() -> None:
    assert days([outage("20 23:00", None)], [], State.UP) == Day(up=DAY - HOUR, down=HOUR)


def test_open_outage_of_a_degraded_check() -> None:
    past = flips(("20 12:00", State.UP, State.DEGRADED))

    assert days([outage("20 12:00", None, "degraded")], past, State.DEGRADED) == Day(up=12 * HOUR, degraded=12 * HOUR)


def test_pause_and_first_result_are_not_uptime() -> None:
    past = flips(
        ("20 01:00", State.UNKNOWN, State.UP),
        ("20 05:00", State.UP, State.PAUSED),
        ("20 07:00", State.PAUSED, State.UNKNOWN),
        ("20 07:30", State.UNKNOWN, State.UP),
    )

    assert days([], past) == Day(up=DAY - HOUR - 2 * HOUR - 30 * MINUTE)


@pytest.mark.parametrize("hidden", [State.UNKNOWN, State.MAINTENANCE, State.PAUSED])
def test_time_out_of_sight_within_an_outage_counts_neither_as_up_nor_as_down(hidden: State) -> None:
    past = flips(
        ("20 10:00", State.UP, State.DOWN),
        ("20 11:00", State.DOWN, hidden),
        ("20 14:00", hidden, State.DOWN),
        ("20 15:00", State.DOWN, State.UP),
    )

    day = days([outage("20 10:00", "20 15:00")], past)

    assert day == Day(up=DAY - 5 * HOUR, down=2 * HOUR, maintenance=3 * HOUR if hidden == State.MAINTENANCE else 0)


def test_moments_belong_to_their_outage() -> None:
    past = flips(
        ("20 01:00", State.UP, State.DOWN),
        ("20 02:00", State.DOWN, State.UP),
        ("20 03:00", State.UP, State.DEGRADED),
        ("20 04:00", State.DEGRADED, State.DOWN),
        ("20 05:00", State.DOWN, State.UP),
    )

    moments = moments_of(outage("20 03:00", "20 05:00", first=12, last=14), past)

    assert moments == [Moment(at("20 03:00"), "degraded"), Moment(at("20 04:00"), "down"), Moment(at("20 05:00"), "up")]
