"""A region that can measure nothing for long has no say: else it would keep a dead check up for ever, alive as it is."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.contrib.postgres.functions import TransactionNow
from django.db import connection
from django.db.models import F

from apps.checks.domain import agent_work, agents
from apps.checks.domain.agent_words import Words
from apps.checks.domain.results import store_results
from apps.checks.domain.verdicts import blind_after
from apps.checks.enums import State, Verdict
from apps.checks.models import MAIN_REGION, Check, CheckState, Flip, Turn
from apps.core import clock
from apps.events.domain.outbox import deliver_pending
from apps.incidents.models import Outage
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result

pytestmark = pytest.mark.django_db

NOON = datetime(2100, 11, 21, 12, tzinfo=UTC)  # after any check was made
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
MIGRATION = import_module("apps.checks.migrations.0019_blind_regions_are_noticed")
FAILED, GOOD, UNMEASURED = Verdict.FAILURE, Verdict.SUCCESS, Verdict.UNKNOWN


def state_of(check: Check) -> str:
    return str(CheckState.objects.get(watched=check).state)


def see(check: Check, region_id: int, verdict: Verdict, *minutes: float) -> list[str]:
    """Let a region see the same at these minutes; return what the check was after each."""
    states = []
    for minute in minutes:
        at = NOON + minute * MINUTE
        store_results([make_result(check, verdict, region_id=region_id, started_at=at)])
        states.append(state_of(check))
    return states


def flips() -> list[tuple[str, float]]:
    """What became of it, and at which minute."""
    return [(flip.after, (flip.at - NOON) / MINUTE) for flip in Flip.objects.order_by("sequence")]


@pytest.mark.parametrize(("seconds", "after"), [(10, 90), (60, 90), (300, 450), (86_400, 129_600)])
def test_region_is_blind_after_three_looks_and_ninety_seconds(seconds: int, after: int) -> None:
    assert blind_after(timedelta(seconds=seconds)) == timedelta(seconds=after)


class TestFromUp:
    def test_failure_is_told_once_the_other_region_is_blind(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, regions=[1, 2], confirmations=2)

        assert see(check, 1, FAILED, 0) == ["up"]
        assert see(check, 2, UNMEASURED, 0, 1, 2) == ["up", "up", "down"]
        assert flips() == [("down", 0)]

    def test_failure_is_told_at_once_where_the_other_region_has_long_been_blind(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, regions=[1, 2], confirmations=2)

        assert see(check, 2, UNMEASURED, 0, 1, 2, 3) == ["up"] * 4
        assert see(check, 1, FAILED, 5) == ["down"]
        assert flips() == [("down", 5)]

    def test_it_was_up_as_long_as_the_other_region_saw_it_well(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, regions=[1, 2], confirmations=2)

        assert (see(check, 2, GOOD, 0), see(check, 1, FAILED, 1)) == (["up"], ["up"])
        assert see(check, 2, UNMEASURED, 2, 3, 4) == ["up", "up", "down"]
        assert flips() == [("down", 2)]

    def test_those_who_see_must_agree_all_the_same(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, regions=[1, 2, 3], confirmations=2)
        see(check, 3, UNMEASURED, 0, 1, 2)

        assert (see(check, 1, FAILED, 3), see(check, 2, FAILED, 4)) == (["up"], ["down"])

    def test_region_that_measures_again_is_waited_for(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, regions=[1, 2], confirmations=2)
        see(check, 2, UNMEASURED, 0, 1, 2)

        assert (see(check, 2, GOOD, 3), see(check, 1, FAILED, 4)) == (["up"], ["up"])

    def test_check_that_looks_seldom_waits_for_the_third_look(self, in_acme: Tenant) -> None:
        check = make_check(state=State.UP, regions=[1, 2], confirmations=2, interval_seconds=3_600)
        see(check, 1, FAILED, 0)

        assert see(check, 2, UNMEASURED, 0, 1, 2, 60) == ["up"] * 4  # somebody asked for more looks
        assert see(check, 2, UNMEASURED, 119.99) == ["down"]


def test_new_check_is_down_though_one_of_its_regions_never_measured(in_acme: Tenant) -> None:
    check = make_check(state=State.NEW, regions=[1, 2], confirmations=2)

    assert see(check, 1, FAILED, 0, 1) == ["new", "new"]
    assert see(check, 2, UNMEASURED, 0, 1, 2) == ["new", "new", "down"]


def test_outage_goes_on_when_a_blind_region_begins_to_see(in_acme: Tenant) -> None:
    check = make_check(state=State.UP, regions=[1, 2], confirmations=2, retries=1)
    see(check, 2, UNMEASURED, 0, 1, 2)
    see(check, 1, FAILED, 3, 4)

    assert see(check, 2, FAILED, 5) == ["down"]
    assert see(check, 2, GOOD, 6) == ["up"]


def test_check_of_one_region_stays_unknown(in_acme: Tenant) -> None:
    check = make_check(state=State.UP)

    assert see(check, 1, UNMEASURED, 0, 1, 2, 3) == ["unknown"] * 4
    assert flips() == [("unknown", 0)]


def test_nobody_is_hurried_because_a_region_became_blind(in_acme: Tenant) -> None:
    check = make_check(state=State.UP, regions=[1, 2], confirmations=2)
    see(check, 2, UNMEASURED, 0, 1)
    ahead = clock.now() + 40 * SECOND
    Turn.objects.filter(watched=check, region_id=1).update(due_at=ahead, claimable_at=ahead)

    see(check, 2, UNMEASURED, 2)

    assert Turn.objects.get(watched=check, region_id=1).due_at == ahead


def test_outage_opens_though_an_agent_refuses_its_share(in_acme: Tenant) -> None:
    """An agent that lives and is well, but runs no such checks."""
    agent, _token = agents.create_agent(name="Office")
    check = make_check(kind="dns", state=State.UP, regions=[MAIN_REGION, agent.region_id], confirmations=2)
    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1", words=Words(kinds=["http"]))
    agent.refresh_from_db()
    store_results([make_result(check, FAILED, started_at=clock.now())])
    theirs = Turn.objects.filter(watched=check, region_id=agent.region_id)

    states = []
    for seconds in (3, 2, 1):
        due_at = TransactionNow() - seconds * SECOND
        theirs.update(due_at=due_at, claimable_at=due_at)
        agent_work.trade(agent, [], limit=10)
        states.append(state_of(check))
        theirs.update(run_since_at=F("run_since_at") - MINUTE, last_result_at=F("last_result_at") - MINUTE)
    deliver_pending()

    assert states == ["up", "up", "down"]
    assert Outage.objects.get().watched_id == check.id


def test_check_that_was_stuck_before_is_told_after_the_upgrade(in_acme: Tenant) -> None:
    check = make_check(state=State.UP, regions=[1, 2], confirmations=2)
    see(check, 1, FAILED, 0)
    see(check, 2, UNMEASURED, 0)
    Turn.objects.filter(watched=check, region_id=2).update(run_since_at=NOON - 60 * MINUTE)
    stuck = see(check, 2, UNMEASURED, 1, 2, 3)

    MIGRATION.begin_anew(None, SimpleNamespace(connection=connection))

    assert stuck == ["up"] * 3
    assert see(check, 2, UNMEASURED, 4, 5) == ["up", "down"]
