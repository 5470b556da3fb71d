"""Heartbeats and groups that maintenance lets go: what was heard meanwhile counts, and so does what did not come."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from apps.checks.domain.checks import create_check, pause_check, resume_check
from apps.checks.domain.heartbeat_sweep import give_sign_of_life, sweep_heartbeats
from apps.checks.domain.ping_doors import Door
from apps.checks.domain.pings import PingStore
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, Flip, Heartbeat, Ping, PingDoor
from apps.checks.types.group import GroupConfig
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock
from apps.events.domain.outbox import deliver_pending
from apps.incidents.domain.maintenance import delete_window, end_now, keep_window
from apps.incidents.domain.maintenance_edges import apply_edges
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.enums import Repeat
from apps.incidents.models import MaintenanceWindow, Outage
from apps.tenants.models import Tenant
from tests.checks.test_pings import UNREAD, damage, token_of
from tests.checks.test_pings import ping as ping_at
from tests.incidents.test_maintenance import HOUR, NOON, at, flips, go, hand, plan, see, state, well

pytestmark = pytest.mark.django_db
__all__ = ["hand"]
DAILY = HeartbeatConfig(period_seconds=86_400, grace_seconds=3_600)
HOURLY = HeartbeatConfig(period_seconds=3_600, grace_seconds=600)


@pytest.fixture
def move(in_acme: Tenant, hand: time_machine.Traveller) -> Callable[[float], None]:
    """Moves the clock to so many hours after noon; the ping doors are open, and every job comes round."""

    def to(hours: float) -> None:
        hand.move_to(at(hours))
        PingDoor.objects.update_or_create(name="http", defaults={"seen_at": clock.now()})
        sweep_heartbeats()
        apply_edges()
        sweep_heartbeats()

    return to


def job(config: HeartbeatConfig = HOURLY, *, hours: float = -1) -> Check:
    """A heartbeat whose job reported a success so many hours after noon."""
    with time_machine.travel(at(hours), tick=False):
        check = create_check(name="Backup", kind="heartbeat", config=config)
        report(check, hours)
    return check


def report(check: Check, hours: float, signal: Signal = Signal.SUCCESS, **fields: Any) -> None:
    ping = ping_at(token_of(check), signal, **fields)
    ping.report.at = at(hours)
    PingStore().store([ping])


def deadline(check: Check) -> datetime | None:
    return Heartbeat.objects.get(watched=check).deadline_at


def outages() -> list[tuple[float, float | None, str]]:
    """Each outage's begin and end in hours after noon, and its cause."""
    deliver_pending()
    found = Outage.objects.order_by("started_at")
    return [((o.started_at - NOON) / HOUR, o.ended_at and (o.ended_at - NOON) / HOUR, o.error_code) for o in found]


def test_job_that_reports_in_time_is_up_at_the_end(move: Callable[[float], None]) -> None:
    check = job(hours=-0.5)
    plan(check, begin=0, hours=1)

    report(check, 0.5)
    move(1.1)

    assert flips(check)[1:] == [("maintenance", 0), ("up", 1)]
    assert deadline(check) == at(0.5) + timedelta(minutes=70)


def test_job_that_was_silent_before_and_still_is_goes_on_being_down(move: Callable[[float], None]) -> None:
    check = job(hours=-2)
    move(0)
    plan(check, begin=0)

    move(3)

    assert flips(check)[1:] == [("down", -50 / 60), ("maintenance", 0), ("down", 2)]
    assert outages() == [(-50 / 60, None, "heartbeat_missed")]
    assert deadline(check) is None


def test_job_that_had_failed_before_and_says_nothing_is_down_for_that_reason(move: Callable[[float], None]) -> None:
    check = job(DAILY)
    report(check, -0.5, exit_status=3)
    plan(check, begin=0)

    move(3)

    assert flips(check)[1:] == [("down", -0.5), ("maintenance", 0), ("down", 2)]
    assert outages() == [(-0.5, None, "heartbeat_exit_status")]
    assert Outage.objects.get().error_values == {"status": 3}


def test_failure_within_the_window_is_told_at_its_end(move: Callable[[float], None]) -> None:
    check = job(DAILY)
    plan(check, begin=0)

    report(check, 1, Signal.FAIL)
    report(check, 1.1, Signal.LOG)
    move(3)

    assert flips(check)[1:] == [("maintenance", 0), ("down", 2)]
    assert outages() == [(2, None, "heartbeat_failed")]
    assert deadline(check) is None


def test_success_within_the_window_ends_the_outage_at_its_end(move: Callable[[float], None]) -> None:
    check = job(DAILY)
    report(check, -0.5, Signal.FAIL)
    plan(check, begin=0)

    report(check, 1)
    move(3)

    assert flips(check)[1:] == [("down", -0.5), ("maintenance", 0), ("up", 2)]
    assert outages() == [(-0.5, 2, "heartbeat_failed")]
    assert deadline(check) == at(1 + 25)


def test_report_due_within_the_window_that_did_not_come_is_missed_at_its_end(move: Callable[[float], None]) -> None:
    check = job(hours=-0.5)
    plan(check, begin=0)

    move(3)

    assert flips(check)[1:] == [("maintenance", 0), ("down", 2)]
    assert outages() == [(2, None, "heartbeat_missed")]


def test_report_due_between_the_end_and_the_look_is_missed_at_its_deadline(move: Callable[[float], None]) -> None:
    check = job(hours=-0.5)
    plan(check, begin=0, hours=0.5)

    move(3)

    assert flips(check)[1:] == [("maintenance", 0), ("up", 0.5), ("down", 40 / 60)]


@pytest.mark.parametrize(("heard", "after"), [(Signal.FAIL, "down"), (Signal.SUCCESS, "up")])
def test_report_between_the_end_and_the_look_counts_from_its_own_time(
    move: Callable[[float], None], heard: Signal, after: str
) -> None:
    check = job(DAILY)
    if heard == Signal.SUCCESS:
        report(check, -0.5, Signal.FAIL)
    plan(check, begin=0)

    report(check, 2.25, heard)
    move(2.5)

    assert flips(check)[-2:] == [("maintenance", 0), (after, 2.25)]


def test_run_that_hangs_through_the_window_is_an_overrun_at_its_end(move: Callable[[float], None]) -> None:
    check = job(DAILY)
    plan(check, begin=0)

    report(check, 0.5, Signal.START)
    move(3)

    assert outages() == [(2, None, "heartbeat_overrun")]


def test_run_that_was_down_and_starts_anew_within_the_window_is_down_until_it_ends(
    move: Callable[[float], None],
) -> None:
    check = job(hours=-2)
    move(0)
    plan(check, begin=0)

    report(check, 1.95, Signal.START)
    move(2.01)

    assert flips(check)[-1] == ("down", 2)


@pytest.mark.parametrize("resumed", [False, True])
def test_job_of_which_nothing_was_heard_is_waited_for(move: Callable[[float], None], resumed: bool) -> None:
    if resumed:
        check = job(DAILY)
        report(check, -0.5, Signal.FAIL)
        pause_check(check)
        resume_check(check)
    else:
        check = create_check(name="Backup", kind="heartbeat", config=DAILY)
    plan(check, begin=0)

    move(30)

    assert flips(check)[-2:] == [("maintenance", 0), ("unknown", 2)]
    assert deadline(check) is None


def test_pause_within_the_window_is_kept(move: Callable[[float], None]) -> None:
    check = job()
    plan(check, begin=0)
    pause_check(check)

    move(3)

    assert state(check) == State.PAUSED


def shortened(window: MaintenanceWindow) -> None:
    settings = WindowSettings(
        name="Disks",
        repeat=Repeat.ONCE,
        time_zone="UTC",
        duration=HOUR / 2,
        starts_at=NOON,
        checks=list(window.checks.all()),
    )
    keep_window(window, settings, actor=None)


@pytest.mark.parametrize("end", [lambda window: end_now(window_id=window.id), delete_window, shortened])
@pytest.mark.parametrize(("heard", "after"), [(None, "down"), (Signal.FAIL, "down"), (Signal.SUCCESS, "up")])
def test_window_that_ends_early_lets_go_by_the_same_rules(
    move: Callable[[float], None],
    end: Callable[[MaintenanceWindow], None],
    heard: Signal | None,
    after: str,
) -> None:
    check = job(hours=-2)
    move(0)
    window = plan(check, begin=0)
    if heard:
        report(check, 0.75, heard)
    move(1)

    end(window)

    assert flips(check)[-2:] == [("maintenance", 0), (after, 1)]


def test_silence_while_nothing_could_come_in_is_not_held_against_the_job(move: Callable[[float], None]) -> None:
    """The doors closed within the window, were open again before its end, and the job's report was due in between."""
    check = job(hours=-0.5)
    plan(check, begin=0)
    move(0.5)
    with time_machine.travel(at(1), tick=False):
        give_sign_of_life(Door.HTTP)

    move(3)

    assert [after for after, _at in flips(check)[1:]] == ["maintenance", "unknown"]
    assert outages() == []
    move(5)
    assert state(check) == State.DOWN


def test_nobody_is_judged_while_the_doors_are_closed(
    move: Callable[[float], None], hand: time_machine.Traveller
) -> None:
    check = job(hours=-0.5)
    plan(check, begin=0)
    move(0.5)

    hand.move_to(at(3))
    apply_edges()

    assert flips(check)[1:] == [("maintenance", 0), ("up", 2)]
    assert deadline(check) == at(-0.5) + timedelta(minutes=70)


def test_unheard_job_stays_so_until_its_next_report(move: Callable[[float], None]) -> None:
    check = job(hours=-1)
    Heartbeat.objects.update(is_doubtful=True)
    move(0.5)
    assert flips(check)[1:] == [("unknown", 10 / 60)]
    plan(check, begin=0.5, hours=0.25)

    move(0.8)

    assert flips(check)[-2:] == [("maintenance", 0.5), ("unknown", 0.75)]
    assert outages() == []


@pytest.mark.parametrize("how", [{}, {"config": UNREAD}])
def test_settings_that_do_not_open_hold_nobody_else_back(move: Callable[[float], None], how: dict[str, Any]) -> None:
    broken, sound = job(DAILY), job(DAILY)
    plan(broken, sound, begin=0)
    damage(broken, **how)

    move(3)
    report(sound, 3)
    move(24.5)

    assert flips(broken)[-3:] == [("maintenance", 0), ("unknown", 2), ("down", 24)]
    assert flips(sound)[-2:] == [("maintenance", 0), ("up", 2)]


def test_settings_that_do_not_open_miss_no_report_of_a_job_that_never_sent_one(move: Callable[[float], None]) -> None:
    check = create_check(name="Backup", kind="heartbeat", config=DAILY)
    plan(check, begin=0)
    damage(check)

    move(3)

    assert flips(check) == [("maintenance", 0), ("unknown", 2)]
    assert deadline(check) is None


def forget(check: Check) -> None:
    """Have the job say more than is kept, and nothing of how it fares."""
    report(check, 1.5, Signal.LOG)
    Ping.objects.exclude(signal=Signal.LOG).delete()


def test_job_whose_last_report_of_before_is_forgotten_goes_on_as_it_was(move: Callable[[float], None]) -> None:
    check = job(DAILY)
    plan(check, begin=0)
    forget(check)

    move(3)

    assert flips(check)[1:] == [("maintenance", 0), ("up", 2)]
    assert deadline(check) == at(24)


def test_job_whose_last_failure_is_forgotten_is_down_for_the_same_reason(move: Callable[[float], None]) -> None:
    check = job(DAILY)
    report(check, -0.5, exit_status=3)
    plan(check, begin=0)
    forget(check)

    move(3)

    assert flips(check)[1:] == [("down", -0.5), ("maintenance", 0), ("down", 2)]
    last = Flip.objects.order_by("-sequence")[0]
    assert (last.error_code, last.error_values) == ("heartbeat_exit_status", {"status": 3})


def test_report_within_the_window_that_is_forgotten_leaves_nothing_known(move: Callable[[float], None]) -> None:
    check = job(DAILY)
    plan(check, begin=0)
    report(check, 1)
    forget(check)

    move(3)

    assert flips(check)[-1] == ("unknown", 2)
    assert deadline(check) == at(1 + 25)


# --- Groups ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seen", "after"), [(Verdict.FAILURE, "down"), (Verdict.SUCCESS, "up")])
def test_group_that_was_down_follows_its_members_at_the_end(
    move: Callable[[float], None], seen: Verdict, after: str
) -> None:
    check = well()
    group = create_check(name="Shop", kind="group", config=GroupConfig(members=["API"]))
    outer = create_check(name="All", kind="group", config=GroupConfig(members=["Shop"]))
    go(check, State.DOWN)
    see(check, Verdict.FAILURE)
    plan(begin=0.5, covers_all=True)
    move(1)
    assert [state(one) for one in (check, group, outer)] == ["maintenance"] * 3

    see(check, seen)
    move(3)
    deliver_pending()

    for one in (check, group, outer):
        assert state(one) == after
        assert flips(one)[-1] == (after, 2.5)
    assert [outage.ended_at for outage in Outage.objects.all()] == [None if after == "down" else at(2.5)] * 3
