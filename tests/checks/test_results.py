"""Storing results: kept once, judged by the rule, flips told."""

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.checks.domain.results import NewResult, store_results
from apps.checks.domain.turns import claim_turns
from apps.checks.domain.verdicts import Standing, judged, next_standing, waits_for_retry
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Flip, Result, Turn
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.events.models import OutboxRow
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result

pytestmark = pytest.mark.django_db


def standing(check: Check) -> tuple[str, int]:
    row = CheckState.objects.get(watched=check)
    return row.state, row.failures


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
    due_at = clock.now() - timedelta(seconds=25)
    check = make_check(due_at=due_at, interval_seconds=10)

    store_results([make_result(check)])

    assert Turn.objects.get(watched=check).due_at == due_at + timedelta(seconds=30)


def test_failure_within_retries_comes_again_after_the_retry_interval(in_acme: Tenant) -> None:
    check = make_check(state=State.UP, retries=3, interval_seconds=60, retry_interval_seconds=5)
    before = clock.now()

    store_results([make_result(check, Verdict.FAILURE)])

    waits = Turn.objects.get(watched=check).due_at - before
    assert timedelta(seconds=5) <= waits < timedelta(seconds=8)


def test_paused_check_keeps_its_state_and_gets_no_turn(in_acme: Tenant) -> None:
    check = make_check(state=State.PAUSED)
    result = make_result(check, Verdict.FAILURE)
    Turn.objects.filter(watched=check).update(claimable_at=None)

    store_results([result])

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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    verdicts=st.lists(st.tuples(st.sampled_from(Verdict), st.sampled_from([None, 5.0, 500.0])), min_size=1, max_size=6),
    retries=st.integers(0, 2),
    degraded_ms=st.sampled_from([None, 100]),
    start=st.sampled_from(State),
)
def test_sql_says_what_the_rule_says(
    in_acme: Tenant, verdicts: list[tuple[Verdict, float | None]], retries: int, degraded_ms: int | None, start: State
) -> None:
    check = make_check(state=start, retries=retries, degraded_ms=degraded_ms, interval_seconds=60)
    expected = Standing(start, 0)

    for verdict, total_ms in verdicts:
        store_results([make_result(check, verdict, total_ms=total_ms)])
        final = judged(verdict, total_ms=total_ms, degraded_ms=degraded_ms)
        expected = next_standing(expected, verdict=final, retries=retries)

        assert standing(check) == (expected.state, expected.failures)
        if start != State.PAUSED:
            is_soon = Turn.objects.get(watched=check).due_at < clock.now() + timedelta(seconds=30)
            assert is_soon == waits_for_retry(expected)


@pytest.mark.parametrize(("state", "verdict"), list(product(State, Verdict)))
def test_paused_and_unmeasured_change_nothing(state: State, verdict: Verdict) -> None:
    after = next_standing(Standing(state, 0), verdict=verdict, retries=0)

    if state == State.PAUSED or verdict == Verdict.UNKNOWN:
        assert after == Standing(state, 0)
    else:
        assert after.state == {Verdict.SUCCESS: "up", Verdict.DEGRADED: "degraded", Verdict.FAILURE: "down"}[verdict]
