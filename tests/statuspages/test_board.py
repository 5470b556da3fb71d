"""What a page shows: exact, with few questions to the database."""

from datetime import date

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.checks.domain.days import Day, Uptime
from apps.checks.enums import State
from apps.core import clock
from apps.core.refusals import Refusal
from apps.statuspages.domain.board import board_of
from apps.statuspages.domain.components import add_component
from apps.statuspages.domain.diary import NoSuchMonth, diary_of, recent_days
from apps.statuspages.domain.facts import Moment
from apps.statuspages.domain.outages import latest
from apps.statuspages.enums import Indicator
from apps.statuspages.formats.sentences import headline, subline
from apps.statuspages.models import StatusPage
from tests.statuspages.histories import at, watch

pytestmark = pytest.mark.django_db
HOUR, DAY = 3_600, 86_400


def test_board_tells_ninety_days_to_the_second(page: StatusPage, noon: time_machine.Traveller) -> None:
    check = watch(
        "API",
        ("2026-11-18 00:00", State.UP),
        ("19 23:59:30", State.DOWN),
        ("20 00:01:00", State.UP),
        ("21 11:00", State.DEGRADED),
        ("21 11:30", State.DOWN),
        since="2026-11-17 12:00",
    )
    add_component(page, check, name="Public API")

    [component] = board_of(page, clock.now()).components

    assert len(component.days) == 90
    assert component.days[-5:] == [
        Day(),
        Day(up=DAY),
        Day(up=DAY - 30, down=30),
        Day(up=DAY - 60, down=60),
        Day(up=11 * HOUR, degraded=HOUR // 2, down=HOUR // 2),
    ]
    assert component.uptime == Uptime(watched=3 * DAY + 12 * HOUR, down=90 + HOUR // 2)
    assert component.status == "major_outage"


def test_board_days_follow_the_tenants_zone(page: StatusPage, noon: time_machine.Traveller) -> None:
    page.tenant.time_zone = "Pacific/Auckland"  # 01:00 on the 22nd there
    check = watch("API", ("2026-01-01 00:00", State.UP), ("21 10:59", State.DOWN), ("21 11:02", State.UP))
    add_component(page, check)

    board = board_of(page, clock.now())

    assert board.last_day == date(2026, 11, 22)
    assert board.components[0].days[-2:] == [Day(up=DAY - 60, down=60), Day(up=HOUR - 120, down=120)]


def test_board_asks_five_questions_for_any_number_of_components(page: StatusPage) -> None:
    past = (("2026-01-02 00:00", State.UP), ("19 10:00", State.DOWN), ("19 11:00", State.UP), ("20 10:00", State.DOWN))
    add_component(page, watch("one", *past))
    assert page.tenant  # the door reads it together with the page
    with CaptureQueriesContext(connection) as one:
        board_of(page, clock.now())

    add_component(page, watch("two", *past))
    add_component(page, watch("three", *past))
    with CaptureQueriesContext(connection) as three:
        board = board_of(page, clock.now())

    assert (len(one), len(three)) == (5, 5)
    assert [len(component.days) for component in board.components] == [90, 90, 90]


def test_outages_tell_their_moments_and_names(page: StatusPage, noon: time_machine.Traveller) -> None:
    check = watch(
        "API",
        ("2026-01-01 00:00", State.UP),
        ("21 09:00", State.DEGRADED),
        ("21 09:10", State.DOWN),
        ("21 10:00", State.UP),
    )
    add_component(page, check, name="Public API")

    [outage] = latest(page, limit=5, since=at("2026-09-01 00:00"), now=clock.now())

    assert outage.title == "Public API: outage"
    assert (outage.started_at, outage.ended_at, outage.seconds) == (at("21 09:00"), at("21 10:00"), HOUR)
    assert outage.moments == [
        Moment(at("21 09:00"), "degraded"),
        Moment(at("21 09:10"), "down"),
        Moment(at("21 10:00"), "up"),
    ]


def test_verdict_names_the_worst_first(page: StatusPage) -> None:
    for name, state in (
        ("One", State.UP),
        ("Two", State.DEGRADED),
        ("Three", State.DOWN),
        ("Four", State.DOWN),
        ("Five", State.DOWN),
    ):
        add_component(page, watch(name, ("20 10:00", State.UP), ("20 11:00", state)))

    board = board_of(page, clock.now())

    assert board.indicator == Indicator.MAJOR
    assert (headline(board), subline(board)) == ("Partial outage", "Affected: Three, Four, Five and 1 more")


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ([], "Nothing is shown here yet"),
        ([State.UNKNOWN], "Waiting for the first results"),
        ([State.UP], "Everything works"),
        ([State.UP, State.UP], "All systems operational"),
        ([State.UP, State.DEGRADED], "Degraded performance"),
        ([State.DOWN], "Major outage"),
    ],
)
def test_headline(page: StatusPage, states: list[State], words: str) -> None:
    for number, state in enumerate(states):
        add_component(page, watch(f"check {number}", ("20 10:00", state)))

    assert headline(board_of(page, clock.now())) == words


def test_groups_stand_where_their_first_component_does(page: StatusPage) -> None:
    for name, group in (("a", ""), ("b", "Regions"), ("c", ""), ("d", "Regions"), ("e", "")):
        add_component(page, watch(name, ("20 10:00", State.UP)), group=group)

    groups = board_of(page, clock.now()).groups

    assert [(group.name, [one.name for one in group.components]) for group in groups] == [
        ("", ["a"]),
        ("Regions", ["b", "d"]),
        ("", ["c", "e"]),
    ]


def test_recent_days_call_no_day_quiet_that_was_not(page: StatusPage, noon: time_machine.Traveller) -> None:
    over_days = (("2026-01-01 00:00", State.UP), ("16 10:00", State.DOWN), ("17 10:00", State.UP))
    add_component(page, watch("over", *over_days))
    add_component(page, watch("open", ("2026-01-01 00:00", State.UP), ("20 10:00", State.DOWN)))
    board = board_of(page, clock.now())

    stretches = recent_days(board.outages, last=board.last_day, zone=board.zone, count=7)

    days = [(stretch.first.day, stretch.last.day, stretch.is_quiet) for stretch in stretches]
    assert days == [(21, 21, False), (20, 20, False), (18, 19, True), (17, 17, False), (16, 16, False), (15, 15, True)]
    assert [len(stretch.outages) for stretch in stretches] == [0, 0, 0, 0, 1, 0]
    assert [stretch.is_ongoing for stretch in stretches] == [True, True, False, False, False, False]


def test_diary_pages_through_the_months_of_the_components_life(page: StatusPage, noon: time_machine.Traveller) -> None:
    past = (("2026-06-02 00:00", State.UP), ("2026-07-31 23:00", State.DOWN), ("2026-08-01 01:00", State.UP))
    add_component(page, watch("API", *past, since="2026-06-02 00:00"))

    newest, older = diary_of(page, now=clock.now()), diary_of(page, now=clock.now(), until=date(2026, 8, 1))

    assert [(month.first, len(month.outages)) for month in newest.months] == [
        (date(2026, 11, 1), 0),
        (date(2026, 10, 1), 0),
        (date(2026, 9, 1), 0),
    ]
    assert (newest.older, newest.newer) == (date(2026, 8, 1), None)
    assert [(month.first, len(month.outages)) for month in older.months] == [
        (date(2026, 8, 1), 0),
        (date(2026, 7, 1), 1),
        (date(2026, 6, 1), 0),
    ]
    assert (older.older, older.newer) == (None, date(2026, 11, 1))


@pytest.mark.parametrize("until", [date(2026, 5, 1), date(2026, 12, 1)])
def test_diary_has_no_month_outside_that_life(page: StatusPage, noon: time_machine.Traveller, until: date) -> None:
    add_component(page, watch("API", since="2026-06-02 00:00"))

    with pytest.raises(NoSuchMonth):
        diary_of(page, now=clock.now(), until=until)


def test_check_is_shown_once(page: StatusPage) -> None:
    check = watch("API")
    add_component(page, check)

    with pytest.raises(Refusal, match="shows this check already"):
        add_component(page, check)
