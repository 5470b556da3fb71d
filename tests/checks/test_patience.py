"""How many failures it takes before somebody is paged, and how sure we are then."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import render_to_string

from apps.checks.api.serializers import CheckSerializer
from apps.checks.domain.patience import (
    BRIEF,
    MAX_RETRIES,
    OUTAGES,
    PLACES,
    History,
    Watch,
    confidence,
    is_beyond_retries,
    retries_needed,
)
from apps.checks.domain.promises import promise_of
from apps.checks.domain.queries import outage_confidence
from apps.checks.enums import FalsePagePeriod, State, Verdict
from apps.checks.forms import CheckForm
from apps.checks.models import Check, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.tenants.models import Tenant
from bench.false_pages import STORIES, Story, in_bins, play
from tests.factories.checks import make_check

QUARTER = FalsePagePeriod.QUARTER
MINUTELY = Watch(interval_seconds=60, retry_interval_seconds=5)
A_DAY = 1_440


def known(days: int, *lengths: int, brief: Sequence[int] = (), outages: int = 0) -> History:
    """A history of so many days of good minutes; of runs with one failure, with two, and so on; of outages over at once,
    by the failures that made them one."""
    places = [*lengths, *[0] * (OUTAGES - len(lengths)), outages]
    for failures in brief:
        places[BRIEF + failures - 1] += 1
    return History(days * A_DAY, tuple(places))


def by_chance(ratio: float, *, days: int) -> History:
    """What is counted in so many days in which each result fails by itself."""
    runs = days * A_DAY * ratio
    longest = [MAX_RETRIES + 1] * round(runs * ratio**MAX_RETRIES)
    return known(days, *(round(runs * (1 - ratio) * ratio**length) for length in range(MAX_RETRIES)), brief=longest)


def test_counts_of_other_places_than_there_are_tell_nothing() -> None:
    """As turns keep them should the most retries ever change."""
    fits, old = Turn(measured=100, runs=[1] * PLACES), Turn(measured=900, forgiven=5, runs=[1] * (PLACES - 2))

    assert History.of([old]) == History()
    assert History.of([fits, old]) == History.of([fits]) == History(100, (1,) * PLACES)


def test_the_guide_says_how_much_is_forgiven() -> None:
    guide = (Path(settings.BASE_DIR) / "docs/user/first-steps.md").read_text()

    told = re.findall(r"^\| (week|month|quarter|year) \| (\d+) \| (\d+) \| (\d+) \|$", guide, re.MULTILINE)

    assert {period: [int(number) for number in numbers] for period, *numbers in told} == {
        period.value: [retries_needed(known(days), MINUTELY, period=period) for days in (0, 30, 91)]
        for period in FalsePagePeriod
    }


@pytest.mark.parametrize(
    ("history", "retries"),
    [
        (known(0), 10),  # nothing is known
        (known(7), 8),
        (known(30), 5),
        (known(91), 3),
        (known(180), 2),
        (by_chance(0.01, days=90), 6),
        (known(90, 0, 0, 90), 7),  # a burst a day, of three failures each
        (known(30, 12, 7, 4, 3, 2, 2), 10),  # bursts of which more than half go on each time
        (known(30, brief=[2]), 10),  # one page that was over at once, where five retries were enough before
        (known(30, outages=9), 5),  # true outages say nothing of false ones
    ],
)
def test_retries_follow_from_the_history(history: History, retries: int) -> None:
    assert retries_needed(history, MINUTELY, period=QUARTER) == retries


@pytest.mark.parametrize(
    ("watch", "period", "retries"),
    [
        (MINUTELY, FalsePagePeriod.WEEK, 1),
        (MINUTELY, FalsePagePeriod.YEAR, 8),
        (Watch(60, 60), QUARTER, 1),  # a minute apart: never none, then nothing could be learned any more
        (Watch(60, 15), QUARTER, 2),
        (Watch(60, 5, regions=3), QUARTER, 8),  # three times as many runs, and each pages
        (Watch(60, 5, regions=3, confirmations=3), QUARTER, 5),  # each page takes three
    ],
)
def test_retries_follow_from_how_it_is_watched(watch: Watch, period: FalsePagePeriod, retries: int) -> None:
    assert retries_needed(known(30), watch, period=period) == retries


def test_confidence_grows_with_every_failure_and_falls_with_a_poor_history() -> None:
    def sure(history: History) -> list[float]:
        steps = [confidence(history, MINUTELY, failures=failures, retries=3) for failures in (1, 2, 4, 5)]
        return [round(step, 3) for step in steps]

    assert sure(by_chance(0.01, days=90)) == [0.001, 0.051, 0.741, 0.996]
    assert sure(known(90, 0, 0, 90)) == [0.008, 0.008, 0.577, 0.999]  # the fifth failure came a whole minute later


@pytest.mark.parametrize("failures", [1_000, 20_000, 1_000_000])
def test_confidence_in_an_outage_of_weeks_is_a_number(failures: int) -> None:
    assert confidence(known(30), MINUTELY, failures=failures, retries=3) == 1.0


def test_regions_that_agree_are_believed_more() -> None:
    watch = Watch(60, 5, regions=3)

    one, two = (confidence(known(30), watch, failures=3, retries=3, agreeing=agreeing) for agreeing in (1, 2))

    assert one / (1 - one) == pytest.approx(two / (1 - two) / 2)


@pytest.mark.parametrize(
    ("ratio", "interval", "is_beyond"), [(0.15, 10, False), (0.3, 60, False), (0.35, 10, True), (0.4, 60, True)]
)
def test_promise_beyond_all_retries_is_known(ratio: float, interval: int, is_beyond: bool) -> None:
    history = by_chance(ratio, days=30 * 60 // interval)

    assert is_beyond_retries(history, Watch(interval, 5), period=QUARTER) is is_beyond


def test_nothing_is_said_to_be_broken_of_which_little_was_seen() -> None:
    assert not is_beyond_retries(known(0), Watch(10, 5, regions=5), period=QUARTER)
    assert not is_beyond_retries(known(1, 40, 10, 2, 1, 1, 1), Watch(10, 5, regions=5), period=QUARTER)
    # Fifty runs a day that all ended with their sixth failure: whether any lasts for ten nobody has seen.
    assert not is_beyond_retries(known(1, 0, 0, 0, 0, 0, 50), Watch(10, 5, regions=5), period=QUARTER)


def test_what_was_seen_to_outlast_all_retries_is_said_to_be_broken() -> None:
    assert is_beyond_retries(known(1, brief=[11, 11, 11]), MINUTELY, period=QUARTER)
    assert not is_beyond_retries(known(1, brief=[11, 11]), MINUTELY, period=QUARTER)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_simulated_years_keep_the_promise_from_the_first_period_on(story: Story) -> None:
    told = play(story, quarters=32 if any(trouble.seconds for trouble in story.troubles) else 6, seed=2)

    assert (told.first_period <= 1, told.a_period <= 1) == (True, True)
    # A target that is well pages within half a minute from the first quarter on, and soon within a quarter of one.
    if not story.troubles:
        assert (told.late_first <= 30, told.late_in_the_end <= 15) == (True, True)


def test_confidence_shown_is_the_share_of_pages_that_are_true() -> None:
    """Over stories of chance and of bursts, with true outages every 10, 30 or 90 days."""
    stories = [story for story in STORIES if sum(trouble.ratio for trouble in story.troubles) < 0.015]

    bins = in_bins(page for story in stories for page in play(story, quarters=12, seed=3).pages)

    assert sum(each.pages for each in bins) > 1_000
    for each in bins:
        assert each.shown <= each.true + 0.03  # never much too sure
        assert each.pages < 100 or each.shown >= each.true - 0.1
    surest = bins[-1]
    assert (round(surest.shown, 2), round(surest.true, 2)) == (0.99, 0.98)


def test_confidence_in_bursts_is_not_too_high() -> None:
    """Of a burst a day that lasts ten seconds on average, one page in seven is false although ten are forgiven."""
    [story] = [story for story in STORIES if story.name == "a burst a day, 10 s on average"]

    pages = play(story, quarters=80, seed=3).pages

    shown, true = (
        sum(values) / len(pages) for values in zip(*((page.shown, page.is_true) for page in pages), strict=True)
    )
    assert len(pages) > 400
    assert shown == pytest.approx(true, abs=0.05)


@pytest.mark.django_db
class TestPromise:
    def broken(self) -> Check:
        check = make_check(state=State.UP, retries=10, false_page_period="quarter", interval_seconds=10)
        history = by_chance(0.35, days=180)
        Turn.objects.filter(watched=check).update(measured=history.well, runs=list(history.runs))
        return check

    def test_young_check_says_why_it_is_patient(self, in_acme: Tenant) -> None:
        told = promise_of(make_check(state=State.UP, retries=8, false_page_period="quarter", retry_interval_seconds=5))

        assert told is not None
        assert (told.retries, told.is_kept, told.title) == (8, True, "")
        assert (told.seconds, told.seconds_at_most) == (40, 130)  # eight waits; and nine tries of ten seconds
        assert told.says == (
            "At most one false page per quarter takes 8 retries by this check's history: an outage pages about 40 seconds"
            " after its first failure began, up to 130 where tries hang until their timeout. Little is known of this check"
            " yet, so more is forgiven at first; it becomes less as its history grows."
        )

    def test_what_cannot_be_kept_says_so_and_what_helps(self, in_acme: Tenant) -> None:
        told = promise_of(self.broken())

        assert told is not None
        assert told.title == "“At most one false page per quarter” cannot be kept for this check"
        assert told.says == (
            "It fails too often, or for too long at a time, although its target is well: even with 10 retries, the most"
            " there are, up to 9.2 false pages per quarter are to be expected. What helps: a longer time between retries, in"
            " which short trouble passes; a longer timeout, if slow answers are what fails; a longer interval; or several"
            " regions, of which at least two must agree."
        )

    def test_what_cannot_be_kept_is_said_of_the_most_retries(self, in_acme: Tenant) -> None:
        check = self.broken()
        told = promise_of(check)
        Check.objects.filter(id=check.id).update(retries=4)  # by hand, or since it was learned last

        now = promise_of(Check.objects.get(id=check.id))

        assert told is not None
        assert now is not None
        assert (now.retries, now.false_pages, now.says) == (4, told.false_pages, told.says)

    def test_check_without_a_goal_promises_nothing(self, in_acme: Tenant) -> None:
        assert promise_of(make_check(state=State.UP)) is None

    def test_page_form_and_api_say_it(self, in_acme: Tenant) -> None:
        check = self.broken()
        told = promise_of(check)

        form = CheckForm(kind=CHECK_TYPES.get("http"), check=check)
        page = render_to_string("checks/_promise.html", {"promise": told})

        assert told is not None
        assert form.fields["false_page_period"].help_text == told.says
        assert (told.title in page, told.says.replace("'", "&#x27;") in page) == (True, True)
        assert CheckSerializer(check).data["patience"] == {
            **{"retries": 10, "seconds": 50, "seconds_at_most": 160, "false_pages": told.false_pages},
            **{"is_kept": False, "says": told.says},
        }


@pytest.mark.django_db
class TestConfidenceInAnOutage:
    def seen(self, check: Check, **by_region: tuple[Verdict, int]) -> float | None:
        for region, (opinion, failures) in by_region.items():
            Turn.objects.filter(watched=check, region_id=int(region[1:])).update(opinion=opinion, failures=failures)
        return outage_confidence(Check.objects.get(id=check.id))

    def sure(self, check: Check, failures: int, agreeing: int) -> float:
        return confidence(known(0), Watch.of(check), failures=failures, retries=3, agreeing=agreeing)

    def test_is_by_what_each_region_saw_that_says_so(self, in_acme: Tenant) -> None:
        check = make_check(state=State.DOWN, retries=3, regions=[1, 2, 3], confirmations=2)

        shown = self.seen(
            check, r1=(Verdict.FAILURE, 9), r2=(Verdict.FAILURE, 4), r3=(Verdict.SUCCESS, 1)
        )  # the third one is within its retries

        assert shown == self.sure(check, failures=4, agreeing=2)

    def test_is_by_those_that_see_failures_while_none_says_so(self, in_acme: Tenant) -> None:
        check = make_check(state=State.DOWN, retries=3, regions=[1, 2, 3], confirmations=2)

        shown = self.seen(check, r1=(Verdict.SUCCESS, 2), r2=(Verdict.SUCCESS, 3), r3=(Verdict.FAILURE, 0))

        assert shown == self.sure(check, failures=2, agreeing=2)

    def test_is_unknown_where_nothing_fails(self, in_acme: Tenant) -> None:
        assert self.seen(make_check(state=State.DOWN, retries=3)) is None
