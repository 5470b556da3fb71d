"""The sweep: silence is down since the deadline, but for silence that is ours."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from apps.checks.domain.checks import pause_check
from apps.checks.domain.heartbeat_sweep import give_sign_of_life, sweep_heartbeats
from apps.checks.domain.ping_doors import Door
from apps.checks.domain.pings import PingStore
from apps.checks.enums import State
from apps.checks.models import CheckState, Flip, Heartbeat, PingDoor
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_pings import NOW, UNREAD, damage, heartbeat, ping, scope, state_of, token_of

__all__ = ["scope"]
pytestmark = pytest.mark.django_db


def minute(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


def sweep_at(count: float) -> list[tuple[str, datetime, str]]:
    """Sweep as of that minute, with the doors open, and return what flipped."""
    with time_machine.travel(minute(count), tick=False):
        PingDoor.objects.update_or_create(name="http", defaults={"seen_at": clock.now()})
        sweep_heartbeats()
    return flips()


def flips() -> list[tuple[str, datetime, str]]:
    found = Flip.objects.order_by("sequence")[1:]  # the first one is up
    return [(flip.after, flip.at, flip.error_code) for flip in found]


@pytest.fixture
def token(scope: Tenant) -> str:
    """A heartbeat that reported once, at minute 0; its deadline is minute 70."""
    with time_machine.travel(NOW - timedelta(minutes=1), tick=False):
        found = token_of(heartbeat())
    PingStore().store([ping(found)])
    return found


def test_flip_bears_the_deadline_not_the_moment_it_was_noticed(token: str) -> None:
    assert sweep_at(69.9) == []
    assert sweep_at(95) == [("down", minute(70), "heartbeat_missed")]
    assert sweep_at(200) == [("down", minute(70), "heartbeat_missed")]
    assert Heartbeat.objects.get().deadline_at is None


def test_report_brings_it_back(token: str) -> None:
    sweep_at(71)

    PingStore().store([ping(token, minutes=80)])

    assert flips() == [("down", minute(70), "heartbeat_missed"), ("up", minute(80), "")]
    assert Heartbeat.objects.get().deadline_at == minute(150)


def test_late_report_does_not_outrun_the_sweep(token: str) -> None:
    """Whether the job was down meanwhile is no matter of chance."""
    with time_machine.travel(minute(72), tick=False):
        open_doors_at(72)
        PingStore().store([ping(token, minutes=72), ping(token, minutes=72)])

    assert flips() == [("down", minute(70), "heartbeat_missed"), ("up", minute(72), "")]
    assert Heartbeat.objects.get().deadline_at == minute(142)
    assert only_sweep_at(72) == flips()


def test_late_report_is_seen_before_one_that_waited(token: str) -> None:
    """What had to go to its other address comes behind newer ones."""
    other = token_of(heartbeat("Other"))

    with time_machine.travel(minute(72), tick=False):
        open_doors_at(72)
        PingStore().store([ping(token, minutes=70.001), ping(other, minutes=69.999)])

    found = Flip.objects.filter(watched__name="Backup").order_by("sequence")[1:]
    assert [(flip.after, flip.at) for flip in found] == [("down", minute(70)), ("up", minute(70.001))]


def test_report_in_time_counts_though_a_late_one_of_its_job_comes_before_it(token: str) -> None:
    with time_machine.travel(minute(72), tick=False):
        open_doors_at(72)
        PingStore().store([ping(token, minutes=70.001), ping(token, minutes=69.999)])

    assert flips() == []


def test_run_that_ends_too_late_was_down_from_its_deadline(token: str) -> None:
    PingStore().store([ping(token, Signal.START, minutes=10)])

    with time_machine.travel(minute(25), tick=False):
        open_doors_at(25)
        PingStore().store([ping(token, Signal.START, minutes=25), ping(token, Signal.SUCCESS, minutes=26)])

    assert flips() == [("down", minute(20), "heartbeat_overrun"), ("up", minute(26), "")]


def test_late_report_is_no_failure_where_it_could_not_come_sooner(token: str) -> None:
    """The doors gave their last sign of life at minute 65: nobody knows what came to them since."""
    open_doors_at(65)

    with time_machine.travel(minute(72), tick=False):
        PingStore().store([ping(token, minutes=72)])

    assert flips() == []


@pytest.mark.parametrize("signal", [Signal.SUCCESS, Signal.START])
def test_late_report_is_not_judged_in_maintenance(token: str, signal: Signal) -> None:
    CheckState.objects.update(state=State.MAINTENANCE)

    with time_machine.travel(minute(72), tick=False):
        open_doors_at(72)
        PingStore().store([ping(token, signal, minutes=72)])

    assert flips() == []


def test_run_that_hangs_says_so(token: str) -> None:
    PingStore().store([ping(token, Signal.START, minutes=10)])

    assert sweep_at(30) == [("down", minute(20), "heartbeat_overrun")]


def test_paused_and_maintained_heartbeats_are_left_alone(token: str) -> None:
    CheckState.objects.update(state=State.MAINTENANCE)
    assert sweep_at(75) == []

    CheckState.objects.update(state=State.UP)
    pause_check(heartbeat_check())
    assert [after for after, _at, _code in sweep_at(76)] == ["paused"]


def heartbeat_check():
    return Heartbeat.objects.select_related("watched").get().watched


def test_every_tenants_heartbeats_are_swept_and_told_apart(token: str, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs = token_of(heartbeat("Theirs"))
        PingStore().store([ping(theirs, minutes=60)])

    sweep_at(75)

    assert [after for after, _at, _code in flips()] == ["down"]
    with tenant_scope(globex.id):
        assert [flip.after for flip in Flip.objects.all()] == ["up"]


@pytest.mark.parametrize("is_doubtful", [False, True])
def test_settings_that_do_not_open_hide_nobody_elses_silence(token: str, scope: Tenant, is_doubtful: bool) -> None:
    broken = heartbeat("Broken")
    PingStore().store([ping(token_of(broken), minutes=1)])
    Heartbeat.objects.filter(watched=broken).update(is_doubtful=is_doubtful)
    damage(broken)

    for at in (75, 76):
        sweep_at(at)

    silences = Flip.objects.exclude(after="up").order_by("at").values_list("watched__name", "after", "at", "error_code")
    assert list(silences) == [
        ("Backup", "down", minute(70), "heartbeat_missed"),
        ("Broken", "down", minute(71), "heartbeat_missed"),
    ]
    assert set(Heartbeat.objects.values_list("deadline_at", flat=True)) == {None}


# --- Our own outages ----------------------------------------------------------------------------------------------------


def open_doors_at(count: float) -> timedelta | None:
    with time_machine.travel(minute(count), tick=False):
        return give_sign_of_life(Door.HTTP)


def only_sweep_at(count: float) -> list[tuple[str, datetime, str]]:
    with time_machine.travel(minute(count), tick=False):
        sweep_heartbeats()
    return flips()


def test_scheduler_that_slept_reports_nothing_that_came(token: str) -> None:
    """The sweep was away from minute 1 to 300; the doors were open, and the job reported."""
    for at in range(0, 300, 30):
        PingStore().store([ping(token, minutes=at)])
    open_doors_at(300)

    assert only_sweep_at(300) == []


def test_nobody_is_judged_while_the_doors_are_silent(token: str) -> None:
    open_doors_at(65)

    assert only_sweep_at(72) == []
    assert only_sweep_at(500) == []


def test_what_could_not_come_in_is_not_held_against_the_job(token: str) -> None:
    """The doors were closed from minute 55 to 75, when the report of minute 60 was expected."""
    open_doors_at(55)
    assert open_doors_at(75) == timedelta(minutes=20)

    assert only_sweep_at(75) == []
    assert Heartbeat.objects.get().deadline_at == minute(90)  # 70 and the gap
    PingStore().store([ping(token, minutes=85)])

    assert flips() == []
    assert (Heartbeat.objects.get().deadline_at, Heartbeat.objects.get().is_doubtful) == (minute(155), False)


def test_report_that_may_be_lost_leaves_it_unknown_and_the_next_one_counts(token: str) -> None:
    open_doors_at(55)
    open_doors_at(75)

    assert sweep_at(91) == [("unknown", minute(90), "heartbeat_unheard")]
    assert Heartbeat.objects.get().deadline_at == minute(91 + 70)
    assert sweep_at(162)[1:] == [("down", minute(161), "heartbeat_missed")]


def test_start_heard_after_the_gap_does_not_take_back_what_was_forgiven(token: str) -> None:
    open_doors_at(55)
    open_doors_at(85)

    PingStore().store([ping(token, Signal.START, minutes=86), ping(token, Signal.LOG, minutes=86)])

    assert (Heartbeat.objects.get().deadline_at, Heartbeat.objects.get().is_doubtful) == (minute(100), True)


def test_gap_changes_nothing_for_what_was_late_before_or_is_expected_later(token: str, scope: Tenant) -> None:
    later = token_of(heartbeat("Later"))
    PingStore().store([ping(later, minutes=60)])
    open_doors_at(71)  # the first one's deadline has passed, unseen
    open_doors_at(100)

    assert set(Heartbeat.objects.values_list("deadline_at", "is_doubtful")) == {
        (minute(70), False),
        (minute(130), False),
    }
    assert only_sweep_at(100)[-1][:2] == ("down", minute(70))
    assert state_of(heartbeat_of(later)) == State.UP


def heartbeat_of(token: str):
    return Heartbeat.objects.select_related("watched").get(token=token).watched


def test_short_silence_is_no_gap(token: str) -> None:
    open_doors_at(60)

    assert open_doors_at(60.4) is None
    assert Heartbeat.objects.get().deadline_at == minute(70)


# --- Clocks that are set: the doors were open all the time ----------------------------------------------------------------


def set_clock(before: float, after: float) -> timedelta | None:
    """Set the clock between two signs of life of one process, which notices."""
    open_doors_at(before)
    with time_machine.travel(minute(after), tick=False):
        return give_sign_of_life(Door.HTTP, timedelta(minutes=after - before))


@pytest.mark.parametrize("by", [60, -60])
def test_deadline_of_a_job_that_reports_every_so_often_goes_with_the_clock(token: str, by: int) -> None:
    assert set_clock(30, 30 + by) is None

    assert (Heartbeat.objects.get().deadline_at, Heartbeat.objects.get().is_doubtful) == (minute(70 + by), False)
    assert only_sweep_at(30 + by) == []


def test_second_process_that_notices_moves_nothing_again(token: str) -> None:
    set_clock(30, 90)

    with time_machine.travel(minute(90), tick=False):
        give_sign_of_life(Door.HTTP, timedelta(minutes=60))

    assert Heartbeat.objects.get().deadline_at == minute(130)


def test_job_that_is_silent_is_noticed_after_the_clock_was_set_back(token: str) -> None:
    set_clock(30, -30)

    assert sweep_at(9.9) == []
    assert sweep_at(10.1) == [("down", minute(10), "heartbeat_missed")]


CRON = {"schedule": "cron", "cron": "0 * * * *", "grace_seconds": 600}


def cron_at_every_full_hour() -> Heartbeat:
    """A job of the calendar that has just reported, its grace being ten minutes."""
    config = HeartbeatConfig(**CRON)  # type: ignore[arg-type]
    with time_machine.travel(CALENDAR_NOON, tick=False):
        token = token_of(heartbeat("Hourly", config=config))
        report = replace(ping(token).report, at=CALENDAR_NOON)
        PingStore().store([replace(ping(token), report=report)])
    return Heartbeat.objects.get(token=token)


CALENDAR_NOON = datetime(2026, 11, 21, 12, 1, tzinfo=UTC)


def sign_at(at: datetime, step: timedelta = timedelta(0)) -> None:
    with time_machine.travel(at, tick=False):
        give_sign_of_life(Door.HTTP, step)


def test_what_a_clock_jumped_over_may_still_come(scope: Tenant) -> None:
    made = cron_at_every_full_hour()
    sign_at(CALENDAR_NOON + timedelta(minutes=30))

    sign_at(CALENDAR_NOON + timedelta(minutes=120), timedelta(minutes=90))

    made.refresh_from_db()
    assert (made.deadline_at, made.is_doubtful) == (CALENDAR_NOON + timedelta(minutes=69 + 90), True)


def test_calendar_is_read_anew_after_the_clock_was_set_back(scope: Tenant) -> None:
    made = cron_at_every_full_hour()
    sign_at(CALENDAR_NOON + timedelta(minutes=5))

    sign_at(CALENDAR_NOON - timedelta(minutes=55), timedelta(minutes=-60))

    made.refresh_from_db()
    assert made.deadline_at == CALENDAR_NOON + timedelta(minutes=9)  # the report of 12:00


@pytest.mark.parametrize(
    "broken", [{"secrets": "derived.AAAA"}, {"config": {**CRON, "time_zone": "Atlantis/Gone"}}, {"config": UNREAD}]
)
def test_calendar_that_cannot_be_read_keeps_no_other_from_it(scope: Tenant, broken: dict[str, Any]) -> None:
    first, sound = cron_at_every_full_hour(), cron_at_every_full_hour()
    damage(first.watched, **broken)
    sign_at(CALENDAR_NOON + timedelta(minutes=5))

    sign_at(CALENDAR_NOON - timedelta(minutes=55), timedelta(minutes=-60))

    limits = Heartbeat.objects.in_bulk()
    assert limits[sound.pk].deadline_at == CALENDAR_NOON + timedelta(minutes=9)
    assert limits[first.pk].deadline_at == CALENDAR_NOON + timedelta(minutes=69)
    assert PingDoor.objects.get(name="http").seen_at == CALENDAR_NOON - timedelta(minutes=55)
