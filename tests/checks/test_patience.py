"""How many failures it takes before somebody is paged, and how sure we are then."""

import random

import pytest

from apps.checks.domain.checks import Timing, create_check
from apps.checks.domain.learning import forget_a_little, learn_patience
from apps.checks.domain.patience import confidence, false_failure_ratio, retries_needed
from apps.checks.domain.results import store_results
from apps.checks.enums import FalsePagePeriod, State, Verdict
from apps.checks.models import Check, CheckState, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.core.kinds import parse_config
from apps.tenants.models import Tenant
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
        (1e-9, 3_600, FalsePagePeriod.WEEK, 0),
    ],
)
def test_retries_follow_from_the_share_of_chance_failures(
    ratio: float, interval: int, period: FalsePagePeriod, retries: int
) -> None:
    assert retries_needed(ratio, interval_seconds=interval, regions=1, period=period) == retries


def test_promise_is_kept_in_a_simulated_year() -> None:
    """Ten years of a well target whose results fail by chance: at most one page a quarter on average."""
    chance, ratio = random.Random(3), 0.02
    retries = retries_needed(ratio, interval_seconds=60, regions=1, period=FalsePagePeriod.QUARTER)

    pages = failures = 0
    for _ in range(10 * 525_600):
        failures = failures + 1 if chance.random() < ratio else 0
        pages += failures == retries + 1

    assert pages <= 40


def test_confidence_grows_with_every_failure_and_falls_with_a_poor_history() -> None:
    steps = [confidence(failures, false_failure_ratio=0.01) for failures in (1, 2, 3)]

    assert [round(step, 3) for step in steps] == [0.087, 0.9, 0.999]
    assert confidence(2, false_failure_ratio=0.2) < confidence(2, false_failure_ratio=0.001)


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
        Turn.objects.filter(watched=check).update(measured=9_950, forgiven=500)

        assert learn_patience() == 1
        assert learn_patience() == 0

        assert Check.objects.get().retries == 3
        assert CheckState.objects.get().false_failure_ratio == pytest.approx(0.05005, abs=1e-5)

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
