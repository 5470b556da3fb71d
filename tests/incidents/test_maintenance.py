"""Maintenance windows at work: which checks they hold, from when to when, whatever happens meanwhile."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine

from apps.checks.domain.checks import pause_check, resume_check
from apps.checks.domain.flips import Change, change_state
from apps.checks.domain.uptime import daily_uptime
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Flip, Turn
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.incidents.domain.maintenance import keep_window
from apps.incidents.domain.maintenance_edges import apply_edges
from apps.incidents.domain.outages import account_for_flips
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.enums import Repeat
from apps.incidents.models import MaintenanceWindow, Outage
from apps.tenants.models import Tenant
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def hand() -> Iterator[time_machine.Traveller]:
    """The clock, standing still at noon until it is moved."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def plan(*checks: Check, begin: float = 1, hours: float = 2, **fields: Any) -> MaintenanceWindow:
    """A window that takes place once, so many hours after noon."""
    given = {"name": "Disks", "repeat": Repeat.ONCE, "time_zone": "Europe/Berlin", "starts_at": at(begin), **fields}
    settings = WindowSettings(duration=hours * HOUR, checks=checks, **given)
    return keep_window(None, settings, actor=None)


def well(name: str = "API", **fields: Any) -> Check:
    """A check whose region says that it is well."""
    check = make_check(name, state=State.UP, **fields)
    see(check, Verdict.SUCCESS)
    CheckState.objects.filter(watched=check).update(since_at=at(-24))
    return check


def see(check: Check, verdict: Verdict) -> None:
    """Let the region form an opinion without a flip, as it does while a check is under maintenance."""
    Turn.objects.filter(watched=check).update(opinion=verdict, failures=3 if verdict == Verdict.FAILURE else 0)


def state(check: Check) -> str:
    return str(CheckState.objects.get(watched=check).state)


def flips(check: Check) -> list[tuple[str, float]]:
    """What became of the check, and how many hours after noon."""
    rows = Flip.objects.filter(watched=check).order_by("sequence").values_list("after", "at")
    return [(after, (moment - NOON) / HOUR) for after, moment in rows]


def test_check_is_held_from_edge_to_edge_however_late_the_job_looks(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check = well()
    other = well("Shop")
    plan(check)

    apply_edges()
    before = state(check)
    hand.move_to(at(1.25))
    apply_edges()
    during = state(check)
    hand.move_to(at(3.5))
    apply_edges()

    assert (before, during, state(check)) == ("up", "maintenance", "up")
    assert flips(check) == [("maintenance", 1), ("up", 3)]
    assert flips(other) == []


def test_second_look_changes_nothing(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    plan(check, begin=-1)

    changed = [apply_edges(), apply_edges()]

    assert (changed, flips(check)) == ([0, 0], [("maintenance", 0)])


@pytest.mark.parametrize("before", [State.NEW, State.UNKNOWN, State.UP, State.DEGRADED, State.DOWN])
def test_any_state_but_paused_gives_way(in_acme: Tenant, hand: time_machine.Traveller, before: State) -> None:
    check = make_check(state=before)

    plan(check, begin=0)

    assert state(check) == "maintenance"


def test_paused_check_stays_paused_and_joins_when_it_is_resumed(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    pause_check(check)
    plan(check, begin=0)
    paused = state(check)

    hand.move_to(at(0.5))
    resume_check(check)
    apply_edges()

    assert (paused, state(check)) == ("paused", "maintenance")
    assert flips(check)[-1] == ("maintenance", 0.5)


def test_check_that_is_down_when_it_ends_goes_down_at_the_end(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    plan(check, begin=0)
    see(check, Verdict.FAILURE)

    hand.move_to(at(2.1))
    apply_edges()

    assert flips(check) == [("maintenance", 0), ("down", 2)]


def test_windows_that_overlap_hold_until_the_last_ends(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well(tags=["db"])
    plan(check, begin=0, hours=2)
    plan(begin=1, hours=4, tags=["db"])
    states = []

    for hours in (1.5, 2.5, 4.5, 5.5):
        hand.move_to(at(hours))
        apply_edges()
        states.append(state(check))

    assert states == ["maintenance", "maintenance", "maintenance", "up"]
    assert flips(check) == [("maintenance", 0), ("up", 5)]


def test_tag_given_and_taken_within_a_running_window(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    plan(begin=0, hours=4, tags=["db"])

    hand.move_to(at(1))
    Check.objects.filter(id=check.id).update(tags=["web", "db"], updated_at=at(1))
    hand.move_to(at(1.1))
    apply_edges()
    Check.objects.filter(id=check.id).update(tags=["web"], updated_at=at(2))
    hand.move_to(at(2))
    apply_edges()

    assert flips(check) == [("maintenance", 1), ("up", 2)]


def test_check_made_within_a_window_for_everything(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    plan(begin=0, covers_all=True)
    hand.move_to(at(1))

    check = make_check(state=State.NEW)
    apply_edges()

    assert flips(check) == [("maintenance", 1)]


def test_job_that_slept_through_two_occurrences_tells_of_the_edges_it_can_know(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check = well()
    plan(check, repeat=Repeat.CRON, cron="0 * * * *", hours=0.5, starts_at=None, time_zone="UTC")
    assert state(check) == "maintenance"

    hand.move_to(at(2.75))
    apply_edges()

    assert flips(check)[0] == ("maintenance", 0)
    assert flips(check)[1][0] == "up"
    assert 0.5 <= flips(check)[1][1] <= 2.75


def test_open_outage_stays_open_through_it_and_ends_when_the_check_is_well(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check = well()
    Flip.objects.create(watched=check, at=at(-1), before="up", after="down", error_code="timeout")
    CheckState.objects.filter(watched=check).update(state="down", since_at=at(-1))
    plan(check, begin=0)
    account_for_flips([check.id])
    during = Outage.objects.get().is_open

    hand.move_to(at(3))
    apply_edges()
    account_for_flips([check.id])

    assert during
    assert list(Outage.objects.values_list("started_at", "ended_at")) == [(at(-1), at(2))]


def test_each_tenants_windows_hold_its_own_checks(acme: Tenant, globex: Tenant, hand: time_machine.Traveller) -> None:
    with tenant_scope(acme.id):
        mine = well(tags=["db"])
    with tenant_scope(globex.id):
        theirs = well(tags=["db"])
        plan(begin=1, tags=["db"])
        plan(begin=1, covers_all=True)

    hand.move_to(at(1.5))
    apply_edges()

    with tenant_scope(acme.id):
        assert flips(mine) == []
    with tenant_scope(globex.id):
        assert flips(theirs) == [("maintenance", 1)]


# --- Before the job comes round -----------------------------------------------------------------------------------------


def go(check: Check, after: State) -> None:
    """Let the check become that now, and everything follow before the job has looked."""
    change_state(check.id, Change(after=after, at=clock.now()))
    deliver_pending()


def outages() -> list[datetime]:
    return list(Outage.objects.order_by("started_at").values_list("started_at", flat=True))


def test_windows_that_touch_hold_across_the_seam_whoever_plans_something_just_then(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check, other = well(), well("Shop")
    plan(check, begin=0, hours=1)
    plan(check, begin=1, hours=1)
    see(check, Verdict.FAILURE)

    hand.move_to(at(1.001))
    plan(other, begin=5)
    between = state(check)
    apply_edges()
    hand.move_to(at(2.001))
    plan(other, begin=6)
    apply_edges()

    assert between == State.MAINTENANCE
    assert flips(check) == [("maintenance", 0), ("down", 2)]


def test_what_goes_down_with_the_begin_of_a_window_is_no_outage(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    plan(check, begin=1, hours=2)
    deliver_pending()

    hand.move_to(at(1.0005))
    go(check, State.DOWN)
    during, told = state(check), outages()
    see(check, Verdict.FAILURE)
    hand.move_to(at(3.001))
    apply_edges()
    deliver_pending()

    assert (during, told) == (State.MAINTENANCE, [])
    assert flips(check) == [("down", 1.0005), ("maintenance", 1.0005), ("down", 3)]
    assert outages() == [at(3)]
    today = daily_uptime([check.id], zone=ZoneInfo("UTC"), days=1)[check.id][0]
    assert (today.down, today.maintenance) == (4, 7_199)


def test_what_went_down_before_a_window_is_an_outage(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    plan(check, begin=1, hours=2)

    hand.move_to(at(1.0005))
    change_state(check.id, Change(after=State.DOWN, at=at(0.999)))
    deliver_pending()

    assert state(check) == State.MAINTENANCE
    assert outages() == [at(0.999)]


def test_what_is_resumed_within_a_window_and_goes_down_is_no_outage(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check = well()
    pause_check(check)
    plan(check, begin=0)

    hand.move_to(at(0.5))
    resume_check(check)
    go(check, State.DOWN)

    assert state(check) == State.MAINTENANCE
    assert outages() == []


def test_others_windows_hold_nobody(acme: Tenant, globex: Tenant, hand: time_machine.Traveller) -> None:
    with tenant_scope(globex.id):
        plan(well("Theirs"), begin=1, covers_all=True)
    with tenant_scope(acme.id):
        check = well()

        hand.move_to(at(1.0005))
        go(check, State.DOWN)

        assert (state(check), outages()) == (State.DOWN, [at(1.0005)])
