"""People who plan, change, end and delete maintenance windows: what that does at once, and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from apps.checks.enums import State
from apps.checks.models import Check
from apps.incidents.domain.maintenance import BadWindow, NotRunning, delete_window, end_now, keep_window, start_now
from apps.incidents.domain.maintenance_edges import apply_edges
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.enums import Repeat
from apps.incidents.models import MaintenanceWindow
from apps.tenants.models import Tenant
from tests.incidents.test_maintenance import HOUR, NOON, at, flips, hand, plan, state, well

pytestmark = pytest.mark.django_db
__all__ = ["hand"]


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


def test_started_from_a_check_it_lasts_an_hour(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check, other = well(), well("Shop")

    start_now(check, actor=None, time_zone="Europe/Berlin")
    hand.move_to(at(1.5))
    apply_edges()

    assert flips(check) == [("maintenance", 0), ("up", 1)]
    assert flips(other) == []


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


# --- What is refused ----------------------------------------------------------------------------------------------------


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
