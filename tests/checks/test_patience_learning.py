"""How many retries a check has is learned of its own results, and old counts fade."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.checks.domain import learning
from apps.checks.domain.checks import Timing, create_check, pause_check, resume_check, update_check
from apps.checks.domain.learning import forget_a_little, learn_patience
from apps.checks.domain.patience import OUTAGES, History, Watch, retries_needed
from apps.checks.domain.results import store_results
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, Flip, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.core.kinds import parse_config
from apps.tenants.models import Tenant
from tests.checks.test_patience import A_DAY, QUARTER, by_chance, known
from tests.factories.checks import make_check, make_result


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
        assert History.of([turn]) == History(3, known(0, 1, brief=[2]).runs)

    def test_runs_are_counted_by_what_came_of_them(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, retries=2)
        # Three are outages; of these the first two were over at once.
        for failures in (0, 1, 2, 2, 3, 4, 5, 0):
            self.run_results(check, *[Verdict.FAILURE] * failures, Verdict.SUCCESS)
        # Nobody knows whether that one went on.
        self.run_results(check, Verdict.FAILURE, Verdict.UNKNOWN, Verdict.SUCCESS)

        turn = Turn.objects.get(watched=check)
        assert turn.runs == list(known(0, 1, 2, brief=[3, 3], outages=1).runs)

    def test_failures_within_an_outage_are_no_runs(self, in_acme: Tenant) -> None:
        check = make_check(state=State.DOWN, retries=2, recoveries=2)
        good, bad = Verdict.SUCCESS, Verdict.FAILURE

        self.run_results(check, bad, good, bad, bad, good, good)

        assert Turn.objects.get(watched=check).runs is None

    def test_counts_from_before_runs_were_counted_say_nothing(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, retries=1)
        Turn.objects.update(measured=91 * A_DAY, forgiven=500, runs=None)

        assert History.of(Turn.objects.all()) == known(0)

        self.run_results(check, Verdict.SUCCESS, Verdict.FAILURE, Verdict.SUCCESS)
        turn = Turn.objects.get()
        assert (turn.measured, turn.forgiven, turn.runs) == (3, 1, list(known(0, 1).runs))
        assert History.of([turn]) == History(2, known(0, 1).runs)

    def test_counts_of_a_check_that_never_failed_go_on(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP)
        Turn.objects.update(measured=91 * A_DAY, forgiven=0, runs=None)

        self.run_results(check, Verdict.SUCCESS)

        assert History.of(Turn.objects.all()) == History(91 * A_DAY + 1)

    def test_goal_sets_the_retries_from_the_history(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, false_page_period="quarter", interval_seconds=60, regions=[1, 2])
        half = by_chance(0.01, days=45)
        Turn.objects.filter(watched=check).update(measured=half.well, runs=list(half.runs))

        assert learn_patience() == 1
        assert learn_patience() == 0

        assert Check.objects.get().retries == retries_needed(
            History(2 * half.well, tuple(2 * count for count in half.runs)),
            Watch(60, check.retry_interval_seconds, regions=2),
            period=QUARTER,
        )

    def test_check_without_a_goal_keeps_its_retries(self, in_acme: Tenant) -> None:
        make_check(state=State.UP, retries=7)

        assert learn_patience() == 0
        assert Check.objects.get().retries == 7

    def test_goal_holds_from_the_first_minute(self, in_acme: Tenant) -> None:
        config = parse_config(CHECK_TYPES.get("http").Config, {"url": "http://127.0.0.1:9/"})

        create_check(name="a", kind="http", config=config, timing=Timing(retries=0, false_page_period="quarter"))

        assert Check.objects.get().retries == 10

    @pytest.mark.parametrize(
        ("config", "timing", "is_kept"),
        [
            ({}, {}, True),  # a new name
            ({}, {"retries": 4, "recoveries": 2, "degraded_ms": 900}, True),
            ({"url": "http://127.0.0.1:9/other"}, {}, False),
            ({"method": "HEAD"}, {}, False),
            ({}, {"timeout_seconds": 30}, False),
            ({}, {"interval_seconds": 120}, False),
            ({}, {"retry_interval_seconds": 4}, False),
        ],
    )
    def test_history_counts_for_the_settings_it_was_seen_under(
        self, in_acme: Tenant, config: dict[str, str], timing: dict[str, Any], is_kept: bool
    ) -> None:
        kind = CHECK_TYPES.get("http").Config
        url = "http://127.0.0.1:9/"
        check, other = (
            create_check(name=name, kind="http", config=parse_config(kind, {"url": url}), timing=Timing())
            for name in ("edited", "left alone")
        )
        counts = (91 * A_DAY, 7, [7, *[0] * OUTAGES])
        Turn.objects.update(measured=counts[0], forgiven=counts[1], runs=counts[2])

        wanted = Timing(false_page_period="quarter", **timing)
        update_check(check, name="b", config=parse_config(kind, {"url": url, **config}), timing=wanted, tags=[])

        turns = {turn.watched_id: (turn.measured, turn.forgiven, turn.runs) for turn in Turn.objects.all()}
        assert turns == {check.id: counts if is_kept else (0, 0, None), other.id: counts}
        assert (Check.objects.get(id=check.id).retries == 10) is not is_kept  # learned with the edit

    def test_history_outlives_settings_that_its_kind_got_since(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP)  # of its settings only the address was kept
        Turn.objects.update(measured=100)
        config = parse_config(CHECK_TYPES.get("http").Config, {"url": "http://127.0.0.1:9/"})
        Check.objects.update(target=CHECK_TYPES.get("http").target(config))

        update_check(check, name="b", config=config, timing=Timing(), tags=[])

        assert Turn.objects.get().measured == 100

    def test_history_outlives_a_pause(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, regions=[1, 2])
        runs = [7, *[0] * OUTAGES]
        Turn.objects.filter(region_id=1).update(measured=100, forgiven=7, runs=runs, failures=1, last_ms=5.0)

        pause_check(check)
        resume_check(check)

        counted = Turn.objects.order_by("region_id").values_list("measured", "forgiven", "runs")
        assert list(counted) == [(100, 7, runs), (0, 0, None)]
        assert set(Turn.objects.values_list("opinion", "failures", "last_ms")) == {(None, 0, None)}

    def test_old_counts_fade(self, in_acme: Tenant) -> None:
        check = make_check()
        Turn.objects.filter(watched=check).update(measured=3_600, forgiven=360, runs=[360, *[0] * OUTAGES])

        forget_a_little()

        turn = Turn.objects.get(watched=check)
        assert (turn.measured, turn.forgiven, turn.runs) == (3_580, 358, [358, *[0] * OUTAGES])

    def test_counts_fade_in_portions_each_once(self, in_acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(learning, "BATCH", 2)
        for number in range(3):
            make_check(f"check {number}", regions=[1, 2])
        make_check("young")
        Turn.objects.exclude(watched__name="young").update(measured=3_600)
        Turn.objects.filter(watched__name="young").update(measured=180)

        with CaptureQueriesContext(connection) as queries:
            forget_a_little()

        assert sorted(Turn.objects.values_list("measured", flat=True)) == [180, *[3_580] * 6]
        assert [("FOR NO KEY UPDATE SKIP LOCKED" in each["sql"]) for each in queries if "WITH mine" in each["sql"]] == [
            *[True] * 4  # three portions, and none after the last
        ]

    def test_few_failures_are_not_forgotten_overnight(self, in_acme: Tenant) -> None:
        for number in range(60):
            make_check(f"check {number}")
        Turn.objects.update(measured=1_000, forgiven=1, runs=[1, *[0] * OUTAGES])

        forget_a_little()

        assert sum(Turn.objects.values_list("forgiven", flat=True)) > 30  # 59 or 60, most likely
        assert sum(runs[0] for runs in Turn.objects.values_list("runs", flat=True)) > 30

    def test_outages_that_were_over_at_once_ask_for_more_patience(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, retries=1, false_page_period="quarter", interval_seconds=60)
        Turn.objects.update(measured=91 * A_DAY)
        learn_patience()
        before = Check.objects.get().retries

        for failures in (before + 1, before + 1, before + 9):  # the last one was no blink
            self.run_results(check, *[Verdict.FAILURE] * failures, Verdict.SUCCESS)
        assert Flip.objects.count() == 6
        learn_patience()

        assert (before, Check.objects.get().retries) == (3, 10)

    def test_learning_waits_for_nobody(self, in_acme: Tenant) -> None:
        make_check(state=State.UP, false_page_period="quarter", retries=1)
        with CaptureQueriesContext(connection) as queries:
            learn_patience()

        locking = [each["sql"] for each in queries if " UPDATE" in each["sql"]]
        assert [("FOR NO KEY UPDATE SKIP LOCKED" in sql) for sql in locking] == [
            True
        ]  # nor do flips, which refer to it
