"""Claiming turns."""

from datetime import timedelta

import pytest
from django.db import connection

from apps.checks.domain.pacing import start_turns, stop_turns
from apps.checks.domain.regions import region_of_code
from apps.checks.domain.turns import (
    CLAIM,
    claim_turns,
    extend_leases,
    give_back,
    regions_with_overdue_turns,
)
from apps.checks.enums import State, Verdict
from apps.checks.models import Turn
from apps.checks.tasks import queue_of
from apps.core import clock
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, transaction_age

pytestmark = pytest.mark.django_db


def claimed_names(limit: int = 10) -> list[object]:
    return [turn.check_id for turn in claim_turns(limit)]


def test_due_checks_of_all_tenants_are_claimed_oldest_first(acme: Tenant, globex: Tenant) -> None:
    now = clock.now()
    with tenant_scope(acme.id):
        late = make_check(due_at=now - timedelta(seconds=5))
        make_check(due_at=now + timedelta(minutes=30))
    with tenant_scope(globex.id):
        later = make_check(due_at=now - timedelta(seconds=9))

    assert sorted(claimed_names(), key=str) == sorted([later.id, late.id], key=str)


def test_claimed_turn_is_not_claimed_again_until_its_lease_ends(in_acme: Tenant) -> None:
    check = make_check()

    first = claimed_names()
    second = claimed_names()
    Turn.objects.filter(watched=check).update(claimable_at=clock.now() - timedelta(minutes=1))
    third = claimed_names()

    assert (first, second, third) == ([check.id], [], [check.id])


def test_head_start_is_for_turns_that_nobody_holds(in_acme: Tenant) -> None:
    now = clock.now()
    free, held = make_check(due_at=now + timedelta(seconds=4)), make_check(due_at=now - timedelta(seconds=4))
    Turn.objects.filter(watched=held).update(claimable_at=now + timedelta(seconds=4))

    claimed = claim_turns(10, head_start=timedelta(seconds=60))

    assert [turn.check_id for turn in claimed] == [free.id]


def test_claim_says_where_a_failure_would_be_no_news(in_acme: Tenant) -> None:
    well, down = make_check(), make_check()
    Turn.objects.filter(watched=down).update(opinion=Verdict.FAILURE)

    claimed = claim_turns(10)

    assert {turn.check_id: turn.is_news for turn in claimed} == {well.id: True, down.id: False}


def test_claim_keeps_the_turns_name(in_acme: Tenant) -> None:
    due_at = clock.now() - timedelta(seconds=3)
    make_check(due_at=due_at)

    (turn,) = claim_turns(10)

    assert turn.due_at == due_at
    assert turn.starts_in_seconds == 0


def test_extended_lease_lasts_longer(in_acme: Tenant) -> None:
    check = make_check()
    held = claim_turns(10)
    Turn.objects.filter(watched=check).update(claimable_at=clock.now() - timedelta(seconds=1))

    extend_leases(held)

    assert claimed_names() == []


def test_turn_given_back_can_be_claimed_at_once(in_acme: Tenant) -> None:
    check = make_check()
    held = claim_turns(10)

    give_back(held)

    assert claimed_names() == [check.id]


def test_stopped_check_has_no_turn_until_started(in_acme: Tenant) -> None:
    check = make_check()
    stop_turns([check])
    stopped = claimed_names()

    start_turns([check], at=clock.now() - transaction_age(check))

    assert (stopped, claimed_names()) == ([], [check.id])


def test_claim_uses_the_index(in_acme: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        prefer_keys(cursor, "SET LOCAL enable_sort = off")  # of some rows an order by hand costs nothing
        cursor.execute(
            f"EXPLAIN {CLAIM}", {"region": 1, "head_start": "1.6 s", "limit": 9, "lease": "8 s", "failing": 0}
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "checks_turn_due" in plan


def test_regions_where_turns_wait_too_long_are_named(in_acme: Tenant) -> None:
    late = clock.now() - timedelta(seconds=5)
    make_check(regions=[1, 2], due_at=late)
    make_check(regions=[3], due_at=clock.now())
    make_check(regions=[4], due_at=late, state=State.PAUSED)

    assert regions_with_overdue_turns() == ["main", "eu"]


def test_prober_of_a_new_region_makes_it(db: None) -> None:
    assert region_of_code("tokyo").id == region_of_code("tokyo").id > 99
    assert region_of_code("eu").id == 2


def test_each_region_has_a_queue_of_its_own() -> None:
    assert [queue_of(code) for code in ("main", "eu")] == ["probes", "probes-eu"]


def test_prober_claims_the_turns_of_its_region_alone(in_acme: Tenant) -> None:
    both = make_check(regions=[1, 2])
    make_check(regions=[1])

    assert [(turn.check_id, turn.region_id) for turn in claim_turns(10, region_id=2)] == [(both.id, 2)]
    assert len(claim_turns(10)) == 2
