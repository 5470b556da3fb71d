"""Storing results: kept once, judged by the rule, flips told."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.checks.domain.results import NewResult, store_results
from apps.checks.domain.turns import claim_turns
from apps.checks.domain.verdicts import Standing, judged, next_standing, waits_for_retry
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Flip, Region, Result, Turn
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.events.models import OutboxRow
from apps.tenants.models import Tenant
from tests.factories.checks import OPINIONS, make_check, make_result

pytestmark = pytest.mark.django_db


def standing(check: Check) -> tuple[str, int]:
    return CheckState.objects.get(watched=check).state, Turn.objects.get(watched=check).failures


def test_first_success_makes_a_check_up_and_tells_it(in_acme: Tenant) -> None:
    check = make_check()

    store_results([make_result(check)])

    flip = Flip.objects.get()
    assert standing(check) == ("up", 0)
    assert (flip.watched_id, flip.before, flip.after) == (check.id, "unknown", "up")
    told = OutboxRow.objects.filter(event__startswith="checks.").values_list("event", flat=True).distinct()
    assert list(told) == ["checks.went_up"]


def test_result_is_kept_whole(in_acme: Tenant) -> None:
    check = make_check()
    result = make_result(
        check,
        Verdict.FAILURE,
        **{
            "status_code": 503,
            "dns_ms": 1.5,
            "connect_ms": 2.5,
            "tls_ms": 3.5,
            "first_byte_ms": 4.5,
            "transfer_ms": 0.5,
        },
        **{
            "body_bytes": 17,
            "remote_ip": "192.0.2.1",
            "error_code": "status_mismatch",
            "error_values": {"status": 503},
            "details": {"conditions": [{"text": "[STATUS] (503) == 200", "ok": False}]},
        },
    )

    store_results([result])

    row = Result.objects.get()
    kept = NewResult(**{name: getattr(row, name) for name in NewResult.__slots__})
    assert kept == result


def test_same_turn_stored_twice_counts_once(in_acme: Tenant) -> None:
    check = make_check(state=State.UP)
    result = make_result(check, Verdict.FAILURE)

    store_results([result])
    store_results([result])

    assert Result.objects.count() == 1
    assert standing(check) == ("down", 1)
    assert Flip.objects.count() == 1


def test_down_only_after_the_retries_and_since_the_first_failure(in_acme: Tenant) -> None:
    check = make_check(state=State.UP, retries=2)
    states, started = [], []

    for _ in range(3):
        result = make_result(check, Verdict.FAILURE)
        started.append(result.started_at)
        store_results([result])
        states.append(standing(check))

    flip = Flip.objects.get()
    assert states == [("up", 1), ("up", 2), ("down", 3)]
    assert (flip.at, flip.error_code) == (started[0], "connect_refused")
    assert CheckState.objects.get(watched=check).since_at == started[0]


def test_next_turn_keeps_the_beat_and_skips_what_was_missed(in_acme: Tenant) -> None:
    due_at = clock.now() - timedelta(seconds=250)
    check = make_check(due_at=due_at, interval_seconds=100)

    store_results([make_result(check)])

    assert Turn.objects.get(watched=check).due_at == due_at + timedelta(seconds=300)


def test_failure_within_retries_comes_again_after_the_retry_interval(in_acme: Tenant) -> None:
    check = make_check(state=State.UP, retries=3, interval_seconds=60, retry_interval_seconds=5)
    before = clock.now()

    store_results([make_result(check, Verdict.FAILURE)])

    turn = Turn.objects.get(watched=check)
    assert before + timedelta(seconds=5) <= turn.due_at < clock.now() + timedelta(seconds=8)


def test_paused_check_keeps_its_state_and_gets_no_turn(in_acme: Tenant) -> None:
    check = make_check(state=State.PAUSED)

    store_results([make_result(check, Verdict.FAILURE)])

    assert standing(check) == ("paused", 0)
    assert Turn.objects.get(watched=check).claimable_at is None
    assert claim_turns(5) == []


def test_result_of_a_deleted_check_is_dropped(in_acme: Tenant) -> None:
    check = make_check()
    result = make_result(check)
    check.delete()

    assert store_results([result]).flips == []
    assert Result.objects.count() == 0


def test_batch_of_two_tenants_stays_apart(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(acme.id):
        ours = make_result(make_check())
    with tenant_scope(globex.id):
        theirs = make_result(make_check(), Verdict.FAILURE)

    store_results([ours, theirs])

    with tenant_scope(acme.id):
        assert [(flip.watched_id, flip.after) for flip in Flip.objects.all()] == [(ours.check_id, "up")]
    with tenant_scope(globex.id):
        assert [(flip.watched_id, flip.after) for flip in Flip.objects.all()] == [(theirs.check_id, "down")]


def test_far_future_turn_finds_a_partition(in_acme: Tenant) -> None:
    check = make_check(due_at=clock.now() + timedelta(days=4_000))

    store_results([make_result(check)])

    assert Result.objects.count() == 1


STATES = {
    None: State.UNKNOWN,
    Verdict.SUCCESS: State.UP,
    Verdict.DEGRADED: State.DEGRADED,
    Verdict.FAILURE: State.DOWN,
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    verdicts=st.lists(st.tuples(st.sampled_from(Verdict), st.sampled_from([None, 5.0, 500.0])), min_size=1, max_size=8),
    retries=st.integers(0, 2),
    recoveries=st.integers(1, 3),
    degraded_ms=st.sampled_from([None, 100]),
    start=st.sampled_from([State.UNKNOWN, State.UP, State.DEGRADED, State.DOWN]),
)
def test_sql_says_what_the_rule_says(
    in_acme: Tenant,
    verdicts: list[tuple[Verdict, float | None]],
    retries: int,
    recoveries: int,
    degraded_ms: int | None,
    start: State,
) -> None:
    check = make_check(
        state=start, retries=retries, recoveries=recoveries, degraded_ms=degraded_ms, interval_seconds=3_600
    )
    expected = Standing(OPINIONS.get(start))

    for verdict, total_ms in verdicts:
        store_results([make_result(check, verdict, total_ms=total_ms)])
        final = judged(verdict, total_ms=total_ms, degraded_ms=degraded_ms)
        expected = next_standing(expected, verdict=final, retries=retries, recoveries=recoveries)

        turn = Turn.objects.get(watched=check)
        assert Standing(turn.opinion, turn.failures, turn.successes) == expected
        assert CheckState.objects.get(watched=check).state == STATES[expected.opinion]
        assert (turn.due_at < clock.now() + timedelta(minutes=30)) == waits_for_retry(expected)


def test_what_was_not_measured_starts_anew() -> None:
    for now in (Standing(Verdict.SUCCESS, 0, 9), Standing(Verdict.FAILURE, 4), Standing(Verdict.SUCCESS, 1)):
        assert next_standing(now, verdict=Verdict.UNKNOWN, retries=2, recoveries=1) == Standing()


def test_up_again_only_after_the_recoveries_and_since_the_first(in_acme: Tenant) -> None:
    check = make_check(state=State.DOWN, recoveries=3, interval_seconds=60)
    states, started = [], []

    for _ in range(3):
        result = make_result(check)
        started.append(result.started_at)
        store_results([result])
        states.append(CheckState.objects.get(watched=check).state)

    assert states == ["down", "down", "up"]
    assert Flip.objects.get().at == started[0]


def test_late_result_is_kept_and_judges_nothing(in_acme: Tenant) -> None:
    check = make_check(state=State.UP)
    late = make_result(check, Verdict.FAILURE)
    Turn.objects.filter(watched=check).update(due_at=clock.now(), claimable_at=clock.now())

    store_results([late])

    assert Result.objects.count() == 1
    assert standing(check) == ("up", 0)
    assert Flip.objects.count() == 0


class TestRegions:
    """Two of three regions must agree."""

    @pytest.fixture
    def check(self, in_acme: Tenant) -> Check:
        return make_check(state=State.UP, regions=[1, 2, 3], confirmations=2, interval_seconds=60)

    def see(self, check: Check, region_id: int, verdict: Verdict) -> str:
        store_results([make_result(check, verdict, region_id=region_id)])
        return str(CheckState.objects.get(watched=check).state)

    def test_one_failing_region_is_not_enough(self, check: Check) -> None:
        assert self.see(check, 1, Verdict.FAILURE) == "up"

    def test_second_region_confirms_and_both_are_named(self, check: Check) -> None:
        self.see(check, 1, Verdict.FAILURE)

        assert self.see(check, 3, Verdict.FAILURE) == "down"
        flip = Flip.objects.get()
        assert flip.regions == [1, 3]
        assert flip.confidence_ratio == pytest.approx(
            0.0426, abs=1e-4
        )  # one failure each, and nothing is known of it yet

    def test_others_look_at_once_when_one_fails(self, check: Check) -> None:
        later = clock.now() + timedelta(seconds=40)
        Turn.objects.filter(watched=check, region_id__in=[2, 3]).update(due_at=later, claimable_at=later)

        self.see(check, 1, Verdict.FAILURE)

        waiting = Turn.objects.filter(watched=check, region_id__in=[2, 3])
        assert all(turn.due_at <= clock.now() for turn in waiting)

    def test_region_that_is_being_probed_is_left_alone(self, check: Check) -> None:
        due_at = clock.now() + timedelta(seconds=1)
        leased = due_at + timedelta(seconds=8)
        Turn.objects.filter(watched=check, region_id=2).update(due_at=due_at, claimable_at=leased)

        self.see(check, 1, Verdict.FAILURE)

        turn = Turn.objects.get(watched=check, region_id=2)
        assert (turn.due_at, turn.claimable_at) == (due_at, leased)

    def test_sick_region_has_no_say(self, check: Check) -> None:
        Region.objects.filter(id=1).update(sick_since_at=clock.now())

        self.see(check, 1, Verdict.FAILURE)

        assert self.see(check, 2, Verdict.FAILURE) == "up"
        assert self.see(check, 3, Verdict.FAILURE) == "down"
        assert Flip.objects.get().regions == [2, 3]

    def test_without_any_able_region_nothing_is_known(self, check: Check) -> None:
        Region.objects.update(sick_since_at=clock.now())

        assert self.see(check, 1, Verdict.UNKNOWN) == "unknown"

    def test_silent_region_is_not_waited_for(self, check: Check) -> None:
        Region.objects.filter(id__in=[2, 3]).update(seen_at=clock.now() - timedelta(minutes=10))

        assert self.see(check, 1, Verdict.FAILURE) == "down"


def test_failures_of_years_are_counted_to_an_end(in_acme: Tenant) -> None:
    check = make_check(state=State.DOWN)
    Turn.objects.filter(watched=check).update(failures=999_999)

    store_results([make_result(check, Verdict.FAILURE)])
    store_results([make_result(check, Verdict.FAILURE)])

    assert standing(check) == ("down", 1_000_000)
