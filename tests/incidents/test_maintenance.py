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
from apps.incidents.domain.maintenance import BadWindow, NotRunning, delete_window, end_now, keep_window, start_now
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


def test_changed_window_lets_go_at_once_and_holds_what_it_names_now(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    one, two = well("one"), well("two")
    window = plan(one, begin=0)
    hand.move_to(at(1))

    given = WindowSettings(
        name="Disks", repeat=Repeat.ONCE, time_zone="UTC", starts_at=at(0), duration=2 * HOUR, checks=[two]
    )
    keep_window(window, given, actor=None)

    assert flips(one) == [("maintenance", 0), ("up", 1)]
    assert flips(two) == [("maintenance", 1)]


def test_deleted_window_lets_go_at_once(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    window = plan(check, begin=0)
    hand.move_to(at(0.5))

    delete_window(window)

    assert flips(check) == [("maintenance", 0), ("up", 0.5)]


def test_ended_window_lets_go_and_comes_back_next_week(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    weekly = {"repeat": Repeat.WEEKLY, "weekdays": [5], "time_of_day": NOON.time(), "time_zone": "UTC"}
    window = plan(check, starts_at=None, **weekly)
    hand.move_to(at(1))

    end_now(window_id=window.id)
    apply_edges()
    hand.move_to(at(7 * 24 + 0.1))
    apply_edges()

    assert flips(check) == [("maintenance", 0), ("up", 1), ("maintenance", 7 * 24)]


def test_window_that_does_not_run_cannot_be_ended(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    window = plan(well(), begin=1)

    with pytest.raises(NotRunning):
        end_now(window_id=window.id)


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


def test_started_from_a_check_it_lasts_an_hour(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check, other = well(), well("Shop")

    start_now(check, actor=None, time_zone="Europe/Berlin")
    hand.move_to(at(1.5))
    apply_edges()

    assert flips(check) == [("maintenance", 0), ("up", 1)]
    assert flips(other) == []


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


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"duration": timedelta(seconds=59)}, "duration"),
        ({"duration": timedelta(days=7, seconds=1)}, "duration"),
        ({"starts_at": None}, "starts_at"),
        ({"repeat": Repeat.WEEKLY, "time_of_day": NOON.time()}, "weekdays"),
        ({"repeat": Repeat.WEEKLY, "time_of_day": NOON.time(), "weekdays": [7]}, "weekdays"),
        ({"repeat": Repeat.WEEKLY, "weekdays": [0]}, "time_of_day"),
        ({"repeat": Repeat.CRON, "cron": "every day"}, "cron"),
        ({"repeat": Repeat.CRON, "cron": "0 0 30 2 *"}, "cron"),
        ({"covers_all": False}, "checks"),
        ({"starts_at": datetime.min.replace(tzinfo=UTC)}, "starts_at"),
        ({"starts_at": datetime.max.replace(tzinfo=UTC)}, "starts_at"),
        (
            {"repeat": Repeat.CRON, "cron": "0 3 * * *", "repeats_until_at": datetime.max.replace(tzinfo=UTC)},
            "repeats_until_at",
        ),
        ({"repeat": Repeat.CRON, "cron": "* * * * *", "duration": timedelta(days=7)}, "duration"),
    ],
)
def test_nonsense_is_refused(in_acme: Tenant, changes: dict[str, Any], field: str) -> None:
    given = {"name": "x", "repeat": Repeat.ONCE, "time_zone": "UTC", "duration": HOUR, "starts_at": NOON}

    with pytest.raises(BadWindow) as refused:
        keep_window(None, WindowSettings(**{**given, "covers_all": True, **changes}), actor=None)

    assert refused.value.field == field
    assert MaintenanceWindow.objects.count() == 0


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


# --- People who change the same window ------------------------------------------------------------------------------------


def settings_of(window: MaintenanceWindow, check: Check, **changes: Any) -> WindowSettings:
    given = {name: getattr(window, name) for name in ("name", "time_zone", "duration", "starts_at")}
    return WindowSettings(**{**given, "repeat": Repeat(window.repeat), "checks": [check], **changes})


def test_window_ended_by_hand_stays_ended_when_its_words_change_and_comes_back_with_another_time(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check = well()
    window = plan(check, begin=0, hours=4)
    hand.move_to(at(1))
    end_now(window_id=window.id)

    hand.move_to(at(2))
    keep_window(window, settings_of(window, check, description="All went well."), actor=None)
    ended = state(check)
    keep_window(window, settings_of(window, check, duration=5 * HOUR), actor=None)

    assert (ended, state(check)) == (State.UP, State.MAINTENANCE)
    assert flips(check) == [("maintenance", 0), ("up", 1), ("maintenance", 2)]


def test_window_that_a_colleague_deleted_does_not_come_back(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    window = plan(check, begin=0)
    seen = MaintenanceWindow.objects.get()
    delete_window(window)

    with pytest.raises(BadWindow):
        keep_window(seen, settings_of(seen, check), actor=None)
    with pytest.raises(NotRunning):
        end_now(window_id=seen.id)

    assert not MaintenanceWindow.objects.exists()
    assert state(check) == State.UP


def test_edit_of_a_window_that_was_read_before_it_was_ended_leaves_it_ended(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check = well()
    window = plan(check, begin=0, hours=4)
    seen = MaintenanceWindow.objects.get()
    hand.move_to(at(1))
    end_now(window_id=window.id)

    keep_window(seen, settings_of(seen, check, name="New disks"), actor=None)

    assert state(check) == State.UP


@pytest.mark.parametrize(
    ("cron", "hours", "moment"),
    [
        pytest.param("* * 1 * *", 7 * 24, datetime(2026, 12, 8, 23, tzinfo=UTC), id="the last hour of a dense day"),
        pytest.param("* 0-1 * * *", 2, datetime(2026, 12, 8, 3, tzinfo=UTC), id="the end of a dense night"),
    ],
)
def test_too_many_at_once_are_refused_whenever_it_is_asked_for(
    in_acme: Tenant, hand: time_machine.Traveller, cron: str, hours: float, moment: datetime
) -> None:
    hand.move_to(moment)

    with pytest.raises(BadWindow, match="more than 100 times"):
        plan(hours=hours, repeat=Repeat.CRON, cron=cron, time_zone="UTC", starts_at=None, covers_all=True)


def test_a_hundred_at_once_are_kept(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    window = plan(hours=100 / 60, repeat=Repeat.CRON, cron="* * * * *", starts_at=None, covers_all=True)

    assert window.is_running


# --- Clocks that are set back ---------------------------------------------------------------------------------------------


def test_window_that_began_by_a_clock_that_was_set_back_waits_for_its_begin(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check = well()
    window = plan(check, begin=1.5, hours=2)
    hand.move_to(at(2))
    apply_edges()
    assert state(check) == State.MAINTENANCE

    hand.move_to(at(1))
    apply_edges()
    window.refresh_from_db()
    assert (state(check), window.running_since_at, window.next_edge_at) == (State.UP, None, at(1.5))

    hand.move_to(at(1.6))
    apply_edges()
    assert state(check) == State.MAINTENANCE


def test_window_that_ended_by_a_clock_that_was_set_back_goes_on(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    window = plan(check, begin=1, hours=1.5)
    for hours in (1.1, 2.6):
        hand.move_to(at(hours))
        apply_edges()
    assert state(check) == State.UP

    hand.move_to(at(1.6))
    apply_edges()

    window.refresh_from_db()
    assert (state(check), window.running_until_at) == (State.MAINTENANCE, at(2.5))
    assert apply_edges() == 0


def test_window_ended_by_hand_stays_ended_after_the_clock_was_set_back(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check = well()
    window = plan(check, begin=1, hours=3)
    hand.move_to(at(2.5))
    apply_edges()
    end_now(window_id=window.id)
    assert state(check) == State.UP

    hand.move_to(at(1.5))
    apply_edges()

    assert state(check) == State.UP
