"""The scheduler starts a sweep where it has something to do, and only there."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from apps.alerting.domain.rounds import consider_outage
from apps.alerting.enums import Trigger
from apps.alerting.models import Alert
from apps.checks.domain.checks import create_check
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Heartbeat, LookBack, Region, Turn
from apps.checks.types.group import GroupConfig
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.events.domain import schedule
from apps.events.domain.schedule import register_jobs, start_due_jobs
from apps.events.models import OutboxRow, ScheduledJob
from apps.incidents.domain.maintenance import start_now
from apps.incidents.models import MaintenanceWindow
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Delivery
from apps.tenants.models import Tenant
from config.schedule_table import SCHEDULE_TABLE
from tests.factories.alerting import make_channel, make_rule
from tests.factories.checks import make_check
from tests.factories.incidents import make_outage

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
# For the database it is still the moment at which the test's transaction began.
LONG_AGO = timedelta(minutes=5)
ASKING = {job.name for job in SCHEDULE_TABLE if job.asks}


@pytest.fixture
def started(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[str]]:
    """Which sweeps the scheduler starts now, all of them being due."""
    monkeypatch.setattr(schedule, "hint", lambda *_args, **_options: True)
    with tenant_scope(acme.id):
        OutboxRow.objects.all().delete()
        Turn.objects.all().delete()
    register_jobs()

    def look() -> set[str]:
        ScheduledJob.objects.update(due_at=clock.now() - LONG_AGO)
        return set(start_due_jobs()) & ASKING

    return look


def test_nothing_to_do_starts_nothing_but_what_asks_nothing(started: Callable[[], set[str]]) -> None:
    assert started() == set()
    ScheduledJob.objects.update(due_at=clock.now() - LONG_AGO)
    assert set(start_due_jobs()) == {job.name for job in SCHEDULE_TABLE} - ASKING


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"claimable_at": -300}, {"events.sweep"}),
        ({"claimable_at": 0}, set()),  # its hint is on the way
        ({"claimable_at": 5}, set()),  # leased, or waits for its next try
        ({"claimable_at": -300, "is_parked": True}, set()),
    ],
)
def test_events_that_wait(
    acme: Tenant, started: Callable[[], set[str]], changes: dict[str, int], expected: set[str]
) -> None:
    given = {**changes, "claimable_at": clock.now() + changes["claimable_at"] * SECOND}
    with tenant_scope(acme.id):
        OutboxRow.objects.create(event="x", handler="x", payload={}, **given)

    assert started() == expected


def test_turns_that_no_prober_takes(acme: Tenant, started: Callable[[], set[str]]) -> None:
    with tenant_scope(acme.id):
        make_check(due_at=clock.now() + 60 * SECOND)
        fresh = started()
        Turn.objects.update(claimable_at=clock.now() - LONG_AGO)
    overdue = started()
    Region.objects.update(is_private=True)

    assert (fresh, overdue, started()) == (set(), {"checks.sweep_turns"}, set())


def test_heartbeats_that_are_late(acme: Tenant, started: Callable[[], set[str]]) -> None:
    with tenant_scope(acme.id):
        create_check(name="Job", kind="heartbeat", config=HeartbeatConfig())
        Heartbeat.objects.update(deadline_at=clock.now() + 60 * SECOND)
        in_time = started()
        Heartbeat.objects.update(deadline_at=clock.now() - LONG_AGO)
        late = started()
        CheckState.objects.update(state=State.DOWN)
        noticed = started()

    assert (in_time, late, noticed) == (set(), {"checks.sweep_heartbeats", "checks.sweep_all_heartbeats"}, set())


def test_deliveries_that_are_due(acme: Tenant, started: Callable[[], set[str]]) -> None:
    with tenant_scope(acme.id):
        fields = {"channel_name": "Slack", "channel_kind": "webhook", "message": {"title": "t"}}
        Delivery.objects.create(channel=make_channel(), key="t", claimable_at=clock.now() - LONG_AGO, **fields)
        due = started()
        Delivery.objects.update(claimable_at=clock.now() + 60 * SECOND)
        later = started()
        Delivery.objects.update(claimable_at=clock.now() - LONG_AGO, state=DeliveryState.SENT)
        sent = started()

    assert (due, later, sent) == ({"notifications.sweep"}, set(), set())


def test_alerts_that_time_may_change_and_orphans(acme: Tenant, started: Callable[[], set[str]]) -> None:
    with tenant_scope(acme.id):
        make_rule(channels=[make_channel(is_default=False)])
        OutboxRow.objects.all().delete()
        outage = make_outage(make_check(due_at=clock.now() + 60 * SECOND))
        consider_outage(outage.id, Trigger.OPENED)
        OutboxRow.objects.all().delete()
        Delivery.objects.all().delete()
        waiting = started()
        Alert.objects.update(due_at=clock.now() - LONG_AGO)
        due = started()
        Alert.objects.update(outage=None, due_at=clock.now() + timedelta(hours=1))
        orphaned = started()

    assert (waiting, due, orphaned) == (set(), {"alerting.reevaluate"}, {"alerting.reevaluate"})


def test_region_that_fell_silent(acme: Tenant, started: Callable[[], set[str]]) -> None:
    with tenant_scope(acme.id):
        make_check(state=State.UP, due_at=clock.now() + timedelta(hours=1))
        Region.objects.update(seen_at=clock.now() - 30 * SECOND)
        alive = started()
        Region.objects.update(seen_at=clock.now() - LONG_AGO)
        silent = started()
        Turn.objects.update(opinion=None)

    assert (alive, silent, started()) == (set(), {"checks.lose_sight"}, set())


def test_groups_and_flapping_checks_are_looked_at_where_there_are_any(
    acme: Tenant, started: Callable[[], set[str]]
) -> None:
    with tenant_scope(acme.id):
        check = make_check("One", due_at=clock.now() + timedelta(hours=1))
        group = create_check(name="Both", kind="group", config=GroupConfig(members=["One"]))
        OutboxRow.objects.all().delete()
        grouped = started()
        group.delete()
        CheckState.objects.filter(watched=check).update(is_flapping=True)

    assert (grouped, started()) == ({"checks.regroup"}, {"checks.look_for_calm"})


def test_late_results_that_were_not_looked_at(acme: Tenant, started: Callable[[], set[str]]) -> None:
    with tenant_scope(acme.id):
        check = make_check(due_at=clock.now() + timedelta(hours=1))
        times = {"since_at": clock.now() - LONG_AGO, "until_at": clock.now()}
        LookBack.objects.create(watched=check, due_at=clock.now() + 5 * SECOND, **times)
        coming = started()
        LookBack.objects.update(due_at=clock.now() - LONG_AGO)
        due = started()
        LookBack.objects.update(due_at=clock.now() + LONG_AGO)  # the clock was set back

    assert (coming, due, started()) == (set(), {"checks.look_back"}, {"checks.look_back"})


def test_maintenance_at_its_edges_and_while_it_lasts(acme: Tenant, started: Callable[[], set[str]]) -> None:
    apply = {"incidents.apply_maintenance"}
    with tenant_scope(acme.id):
        check: Check = make_check(state=State.UP, due_at=clock.now() + timedelta(hours=1))
        start_now(check, actor=None, time_zone="UTC")
        OutboxRow.objects.all().delete()
        running = started()
        windows = MaintenanceWindow.objects.all()
        windows.update(running_since_at=None, running_until_at=None, next_edge_at=clock.now() + 60 * SECOND)
        left_behind = started()
        CheckState.objects.update(state=State.UP)
        planned = started()
        windows.update(next_edge_at=clock.now() - LONG_AGO)
        edge = started()

    assert (running, left_behind, planned, edge) == (apply, apply, set(), apply)


def test_states_of_the_world_that_no_sweep_minds(acme: Tenant, started: Callable[[], set[str]]) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=State.DOWN, due_at=clock.now() + timedelta(hours=1))
        Turn.objects.filter(watched=check).update(last_verdict=Verdict.FAILURE)
        make_outage(check)
        OutboxRow.objects.all().delete()

    assert started() == set()
