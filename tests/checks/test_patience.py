"""How many failures it takes before somebody is paged, and how sure we are then."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.checks.domain.checks import Timing, create_check
from apps.checks.domain.learning import forget_a_little, learn_patience
from apps.checks.domain.patience import MEMORY, confidence, false_failure_ratio, retries_needed
from apps.checks.domain.results import store_results
from apps.checks.enums import FalsePagePeriod, State, Verdict
from apps.checks.models import Check, CheckState, Flip, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.kinds import parse_config
from apps.tenants.models import Tenant
from bench.false_pages import STORIES, Story, play
from tests.factories.checks import make_check, make_result


@pytest.mark.parametrize(
    ("ratio", "interval", "period", "retries"),
    [
        # ln(131,040 results a quarter) / -ln(0.01) = 2.56 failures in a row
        (0.01, 60, FalsePagePeriod.QUARTER, 2),
        (0.001, 60, FalsePagePeriod.QUARTER, 1),
        (0.01, 10, FalsePagePeriod.QUARTER, 2),
        (0.01, 60, FalsePagePeriod.WEEK, 2),
        (0.05, 60, FalsePagePeriod.QUARTER, 3),
        (0.3, 10, FalsePagePeriod.YEAR, 10),  # never more than ten
        (1e-9, 3_600, FalsePagePeriod.WEEK, 1),  # never none: then nothing could be learned any more
    ],
)
def test_retries_follow_from_the_share_of_chance_failures(
    ratio: float, interval: int, period: FalsePagePeriod, retries: int
) -> None:
    assert retries_needed(ratio, interval_seconds=interval, regions=1, period=period) == retries


def test_confidence_grows_with_every_failure_and_falls_with_a_poor_history() -> None:
    steps = [confidence(failures, false_failure_ratio=0.01, interval_seconds=60) for failures in (1, 2, 3, 4)]

    assert [round(step, 3) for step in steps] == [0.002, 0.173, 0.952, 0.999]
    assert round(confidence(2, false_failure_ratio=0.2, interval_seconds=60), 3) == 0.001
    assert round(confidence(2, false_failure_ratio=0.001, interval_seconds=60), 3) == 0.954


def test_confidence_is_the_share_of_pages_that_are_true() -> None:
    """Of a check that looks once a minute, 5 % of the results fail by chance, and it is truly down once a month."""
    looks = 30 * 24 * 60
    true, false = 0.95**4, looks * 0.05**4

    told = confidence(4, false_failure_ratio=0.05, interval_seconds=60)

    assert told == pytest.approx(true / (true + false), abs=0.001)


def test_brief_outages_ask_for_more_patience() -> None:
    retries = [
        retries_needed(0.001, interval_seconds=60, regions=1, period=FalsePagePeriod.QUARTER, brief_outages=brief)
        for brief in (0, 1, 4, 99)
    ]

    assert retries == [1, 3, 9, 10]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_simulated_years_keep_the_promise(story: Story) -> None:
    told = play(story, quarters=8, seed=2)

    assert told.a_period <= (1 if story.seconds is None else 2)  # before bursts were heeded: 90 of one a day
    assert told.second_year <= 1


def test_few_results_say_little() -> None:
    assert false_failure_ratio(failures=0, results=0) == 0.01
    assert false_failure_ratio(failures=10, results=950) == pytest.approx(0.0105)


@pytest.mark.django_db
class TestLearning:
    def run_results(self, check: Check, *verdicts: Verdict) -> None:
        for verdict in verdicts:
            store_results([make_result(check, verdict)])

    def test_only_failures_that_were_none_count(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, retries=1)
        good, bad = Verdict.SUCCESS, Verdict.FAILURE

        self.run_results(check, good, bad, good, good)  # forgiven
        self.run_results(check, bad, bad, good)  # an outage

        turn = Turn.objects.get(watched=check)
        assert (turn.measured, turn.forgiven) == (4, 1)

    def test_goal_sets_the_retries_from_the_history(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, false_page_period="quarter", interval_seconds=60)
        Turn.objects.filter(watched=check).update(measured=4_950, forgiven=250)

        assert learn_patience() == 1
        assert learn_patience() == 0

        assert Check.objects.get().retries == 3
        assert CheckState.objects.get().false_failure_ratio == pytest.approx(0.0501, abs=1e-5)

    def test_check_without_a_goal_keeps_its_retries(self, in_acme: Tenant) -> None:
        make_check(state=State.UP, retries=7)

        assert learn_patience() == 0
        assert Check.objects.get().retries == 7

    def test_goal_holds_from_the_first_minute(self, in_acme: Tenant) -> None:
        config = parse_config(CHECK_TYPES.get("http").Config, {"url": "http://127.0.0.1:9/"})

        create_check(name="a", kind="http", config=config, timing=Timing(retries=0, false_page_period="quarter"))

        assert Check.objects.get().retries == 2

    def test_old_counts_fade(self, in_acme: Tenant) -> None:
        check = make_check()
        Turn.objects.filter(watched=check).update(measured=4_000, forgiven=40)

        forget_a_little()

        turn = Turn.objects.get(watched=check)
        assert (turn.measured, turn.forgiven) == (3_900, 39)

    def test_few_failures_are_not_forgotten_overnight(self, in_acme: Tenant) -> None:
        for number in range(60):
            make_check(f"check {number}")
        Turn.objects.update(measured=1_000, forgiven=1)

        forget_a_little()

        assert sum(Turn.objects.values_list("forgiven", flat=True)) > 30  # 58 or 59, most likely

    def test_memory_is_short(self, in_acme: Tenant) -> None:
        check = make_check()
        Turn.objects.filter(watched=check).update(measured=50_000, forgiven=500)

        learn_patience()

        turn = Turn.objects.get(watched=check)
        assert (turn.measured, turn.forgiven) == (MEMORY, 50)

    def test_outages_that_were_over_at_once_ask_for_more_patience(self, in_acme: Tenant) -> None:
        check = make_check(
            state=State.UP, retries=1, false_page_period="quarter", interval_seconds=60, retry_interval_seconds=5
        )
        now = clock.now()
        Turn.objects.update(measured=4_000)
        CheckState.objects.update(since_at=now - timedelta(days=9))
        for hours, seconds in ((9, 65), (6, 70), (3, 600)):  # the last one was no blink
            began = now - timedelta(hours=hours)
            for at, verdict in ((0, Verdict.FAILURE), (5, Verdict.FAILURE), (seconds, Verdict.SUCCESS)):
                store_results([make_result(check, verdict, started_at=began + timedelta(seconds=at))])
        assert Flip.objects.count() == 6

        assert learn_patience() == 1

        assert Check.objects.get().retries == 5

    def test_outages_of_long_ago_are_no_more_heeded(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, retries=1, false_page_period="week")
        Turn.objects.update(measured=4_000)
        CheckState.objects.update(since_at=clock.now() - timedelta(days=90))
        for at, verdict in ((0, Verdict.FAILURE), (5, Verdict.FAILURE), (65, Verdict.SUCCESS)):
            started_at = clock.now() - timedelta(days=57) + timedelta(seconds=at)
            store_results([make_result(check, verdict, started_at=started_at)])

        assert learn_patience() == 0

    def test_learning_waits_for_nobody(self, in_acme: Tenant) -> None:
        """Nor does anybody die: it holds no states while it waits for checks, as those who edit do the other way round."""
        make_check(state=State.UP, false_page_period="quarter", retries=1)
        Turn.objects.update(measured=4_000)
        with CaptureQueriesContext(connection) as queries:
            learn_patience()

        locking = [each["sql"] for each in queries if "FOR UPDATE" in each["sql"]]
        assert [("SKIP LOCKED" in sql) for sql in locking] == [True, True, True]
