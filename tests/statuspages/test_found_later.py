"""Outages that late results tell of: listed once, with their times, and marked."""

import random
from datetime import UTC, date, datetime
from uuid import UUID
from xml.etree import ElementTree

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.checks.domain.hindsight import Learned
from apps.checks.domain.spans import Span, common, merged
from apps.checks.enums import State
from apps.checks.models import Check, Hindsight
from apps.core import clock
from apps.events.models import OutboxRow
from apps.incidents.models import Outage
from apps.statuspages.domain.board import board_of
from apps.statuspages.domain.components import add_component
from apps.statuspages.domain.diary import diary_of, recent_days
from apps.statuspages.domain.facts import ComponentFact, FlipFact, Moment, OutageFact, Past, history_of
from apps.statuspages.domain.found_later import found_later
from apps.statuspages.domain.outages import ShownOutage, latest
from apps.statuspages.models import StatusPage
from tests.statuspages.histories import at, watch

UP, DOWN, SLOW, UNKNOWN = State.UP, State.DOWN, State.DEGRADED, State.UNKNOWN
NOTE = "Found later: what was measured then reached us only afterwards, so nobody could see it at the time."
Row = tuple[str, str, State]


def learn(check: Check, *rows: Row) -> Check:
    """Let late results have told that the check was so, whatever its flips say."""
    for since, until, state in rows:
        Hindsight.objects.create(watched=check, since_at=at(since), until_at=at(until), state=state)
    return check


def told(outages: list[ShownOutage]) -> list[tuple[str, str, bool]]:
    return [
        (f"{one.started_at:%d %H:%M}", f"{one.ended_at:%d %H:%M}" if one.ended_at else "", one.is_found_later)
        for one in outages
    ]


def everywhere(page: StatusPage) -> list[list[tuple[str, str, bool]]]:
    """What the board, the feeds and the diary list."""
    board, now = board_of(page, clock.now()), clock.now()
    days = [one for day in recent_days(board.outages, last=board.last_day, zone=board.zone) for one in day.outages]
    months = [one for month in diary_of(page, now=now).months for one in month.outages]
    return [told(days), told(latest(page, limit=50, since=at("2026-09-01 00:00"), now=now)), told(months)]


@pytest.fixture
def blind(page: StatusPage, noon: time_machine.Traveller) -> Check:
    """A component's check that nobody saw from 8:00 to 10:00 today."""
    check = watch("API", ("2026-01-01 00:00", UP), ("21 08:00", UNKNOWN), ("21 10:00", UP))
    add_component(page, check, name="Public API")
    return check


# --- In the lists ---------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rows", "listed"),
    [
        ([("21 08:00", "21 10:00", UP)], []),
        ([("21 08:30", "21 09:00", DOWN)], [("21 08:30", "21 09:00", True)]),
        # outside of what flips call unknown, hindsight counts for nothing
        ([("21 07:00", "21 08:10", DOWN), ("21 09:50", "21 11:00", DOWN)], None),
        # one outage may worsen; two are two
        (
            [("21 08:10", "21 08:20", SLOW), ("21 08:20", "21 08:30", DOWN), ("21 08:40", "21 08:50", SLOW)],
            [("21 08:40", "21 08:50", True), ("21 08:10", "21 08:30", True)],
        ),
    ],
)
def test_found_outages_are_listed_once_wherever_a_page_lists_outages(
    page: StatusPage, blind: Check, rows: list[Row], listed: list[tuple[str, str, bool]] | None
) -> None:
    expected = listed if listed is not None else [("21 09:50", "21 10:00", True), ("21 08:00", "21 08:10", True)]
    before = OutboxRow.objects.count()

    learn(blind, *rows)

    assert everywhere(page) == [expected] * 3
    # nothing is opened, and nobody is told
    assert (Outage.objects.count(), OutboxRow.objects.count()) == (0, before)


@pytest.mark.django_db
def test_what_a_seen_outage_covers_is_not_listed_again(page: StatusPage, noon: time_machine.Traveller) -> None:
    past = (("20 08:00", DOWN), ("20 09:00", UNKNOWN), ("20 11:00", UP), ("20 12:00", UNKNOWN), ("20 13:00", DOWN))
    check = watch("API", ("2026-01-01 00:00", UP), *past, ("20 14:00", UP))
    add_component(page, check)

    learn(check, ("20 09:00", "20 10:30", DOWN), ("20 12:40", "20 13:00", DOWN))

    listed = [("20 13:00", "20 14:00", False), ("20 12:40", "20 13:00", True), ("20 08:00", "20 11:00", False)]
    assert everywhere(page) == [listed] * 3
    [_seen, found, _older] = board_of(page, clock.now()).outages
    assert found.moments == [Moment(at("20 12:40"), DOWN), Moment(at("20 13:00"), DOWN)]


@pytest.mark.django_db
def test_feeds_know_of_a_seen_outage_that_they_do_not_list(page: StatusPage, blind: Check) -> None:
    long_ago = watch("Old", ("2026-01-01 00:00", UP), ("20 01:00", DOWN), ("20 02:00", UNKNOWN))
    add_component(page, learn(long_ago, ("20 03:00", "20 04:00", DOWN)))
    add_component(page, watch("New", ("2026-01-01 00:00", UP), ("21 01:00", DOWN)))

    assert told(latest(page, limit=1, since=at("2026-09-01 00:00"), now=clock.now())) == [("21 01:00", "", False)]
    assert told(latest(page, limit=2, since=at("2026-09-01 00:00"), now=clock.now()))[1:] == [("20 01:00", "", False)]


@pytest.mark.django_db
def test_outage_over_the_turn_of_a_month_stands_in_the_month_in_which_it_began(
    page: StatusPage, noon: time_machine.Traveller
) -> None:
    check = watch("API", ("2026-05-01 00:00", UP), ("2026-08-31 22:00", UNKNOWN), ("2026-09-01 02:00", UP))
    add_component(page, check)
    month = date(2026, 8, 1)

    learn(check, ("2026-08-31 23:00", "2026-09-01 00:00", SLOW), ("2026-09-01 00:00", "2026-09-01 01:00", DOWN))

    newer, older = diary_of(page, now=clock.now()), diary_of(page, now=clock.now(), until=month)
    assert [one for each in newer.months for one in each.outages] == []
    assert [told(list(each.outages)) for each in older.months] == [[("31 23:00", "01 01:00", True)], [], []]


@pytest.mark.django_db
def test_lists_ask_as_few_questions_for_many_components(page: StatusPage, noon: time_machine.Traveller) -> None:
    def questions() -> list[int]:
        counts = []
        for read in (
            lambda: latest(page, limit=50, since=at("2026-09-01 00:00"), now=clock.now()),
            lambda: diary_of(page, now=clock.now()),
        ):
            with CaptureQueriesContext(connection) as asked:
                read()
            counts.append(len(asked))
        return counts

    assert page.tenant  # the door reads it together with the page
    add_component(page, watch("quiet", ("2026-01-01 00:00", UP), ("20 08:00", DOWN), ("20 09:00", UP)))
    quiet = questions()
    for name in ("one", "two", "three"):
        check = watch(name, ("2026-01-01 00:00", UP), ("21 08:00", UNKNOWN), ("21 10:00", UP))
        add_component(page, learn(check, ("21 08:30", "21 09:00", DOWN)))

    assert (quiet, questions()) == ([4, 4], [5, 5])


# --- In words -------------------------------------------------------------------------------------------------------


def address(name: str) -> str:
    return reverse(f"statuspages:{name}", args=["acme"])


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["public", "live", "history"])
def test_screens_say_that_it_was_found_later(client: Client, blind: Check, name: str) -> None:
    before = client.get(address(name)).content.decode()
    learn(blind, ("21 08:30", "21 09:00", DOWN), ("21 09:00", "21 10:00", UP))
    StatusPage.objects.update(version=99)

    text = client.get(address(name)).content.decode()

    title = "Public API: outage (found later)"
    assert [(words in before, text.count(words)) for words in (title, NOTE)] == [(False, 1), (False, 1)]
    assert text.count('id="outage-') == 1


@pytest.mark.django_db
def test_programs_are_told_that_it_was_found_later(client: Client, blind: Check) -> None:
    learn(blind, ("21 08:30", "21 09:00", DOWN), ("21 09:00", "21 10:00", UP))

    [incident] = client.get(address("incidents")).json()["incidents"]
    summary = client.get(address("summary")).json()
    [entry] = ElementTree.fromstring(client.get(address("feed")).content).findall("{http://www.w3.org/2005/Atom}entry")

    assert (incident["name"], incident["status"]) == ("Public API: outage (found later)", "resolved")
    assert (incident["started_at"][11:16], incident["resolved_at"][11:16]) == ("08:30", "09:00")
    assert [(each["status"], each["body"]) for each in incident["incident_updates"]] == [
        ("resolved", "Works as it should again."),
        ("investigating", f"Not available. {NOTE}"),
    ]
    assert summary["incidents"] == []
    assert entry.findtext("{http://www.w3.org/2005/Atom}id") == f"urn:uuid:{incident['id']}"
    assert entry.findtext("{http://www.w3.org/2005/Atom}summary") == (
        f"{NOTE}\n2026-11-21 08:30 UTC: Not available.\n2026-11-21 09:00 UTC: Works as it should again.\n"
        "It lasted 30 min."
    )


@pytest.mark.django_db
def test_outage_keeps_its_id_when_it_is_learned_anew(client: Client, blind: Check) -> None:
    learn(blind, ("21 08:30", "21 09:00", DOWN))
    [first] = client.get(address("incidents")).json()["incidents"]
    Hindsight.objects.all().delete()
    learn(blind, ("21 08:30", "21 09:30", DOWN))
    StatusPage.objects.update(version=99)

    [again] = client.get(address("incidents")).json()["incidents"]

    assert (again["id"], again["resolved_at"][11:16]) == (first["id"], "09:30")
    assert again["incident_updates"][0]["body"] == "Not measured at the moment."


# --- Any story ------------------------------------------------------------------------------------------------------

SINCE, NOW, CHECK = 1_000_000, 1_000_400, UUID(int=1)


def moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, tz=UTC)


def any_past(dice: random.Random) -> Past:
    """A check's flips, the outages that follow from them, and hindsight of any times."""
    state, flips, outages = State(dice.choice([UP, UNKNOWN])), [], []
    opened: tuple[int, int] | None = None
    for number, second in enumerate(sorted(dice.sample(range(SINCE, NOW), dice.randint(0, 8)))):
        after = State(dice.choice([each for each in (UP, DOWN, SLOW, UNKNOWN, State.PAUSED) if each != state]))
        flips.append(FlipFact(number, CHECK, moment(second), state, after))
        if after in (DOWN, SLOW) and opened is None:
            opened = (second, number)
        elif after in (UP, State.PAUSED) and opened:
            outages.append(OutageFact(UUID(int=9), CHECK, "down", moment(opened[0]), moment(second), opened[1], number))
            opened = None
        state = after
    if opened:
        outages.append(OutageFact(UUID(int=9), CHECK, "down", moment(opened[0]), None, opened[1], 99))
    learned, at = [], SINCE
    while at < NOW:
        until = at + dice.randint(1, 90)
        if dice.random() < 0.8:
            learned.append(Learned(Span(at, until), dice.choice([UP, DOWN, SLOW])))
        at = until
    component = ComponentFact(UUID(int=2), CHECK, "API", "", "", moment(0), moment(0), state, moment(0))
    return Past(component, outages, flips, learned)


@pytest.mark.parametrize("seed", range(200))
def test_every_second_of_counted_downtime_is_listed_once(seed: int) -> None:
    past = any_past(random.Random(seed))

    found = found_later(past, since=moment(SINCE), now=moment(NOW))

    counted = history_of(past, since=moment(SINCE), now=moment(NOW))
    seen = merged(
        Span(int(each.started_at.timestamp()), int((each.ended_at or moment(NOW)).timestamp())) for each in past.outages
    )
    late = [Span(int(each.started_at.timestamp()), int(each.ended_at.timestamp())) for each in found]
    unwell = merged([*counted.down, *counted.degraded])
    assert common(unwell, [*seen, *late]) == unwell
    assert common(seen, late) == []
    assert merged(late) == sorted(late)
    assert common(late, unwell) == sorted(late)
    for outage in found:
        assert [one.at for one in outage.moments] == sorted({one.at for one in outage.moments})
        assert (outage.moments[0].at, outage.moments[-1].at) == (outage.started_at, outage.ended_at)
