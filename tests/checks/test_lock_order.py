"""Rivals who lock the same rows lock them in one order: plan, regions, turns, states, heartbeats, checks. One waits for the
other, and the database throws neither out."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from apps.checks.domain import agent_work
from apps.checks.domain.agent_words import Words
from apps.checks.domain.agents import create_agent, delete_agent
from apps.checks.domain.bulk import BulkAction, act_on
from apps.checks.domain.checks import Timing, check_now, create_check, delete_check, rename_check, update_check
from apps.checks.domain.flips import Change, change_state, lock_states
from apps.checks.domain.heartbeat_rules import Report
from apps.checks.domain.heartbeat_sweep import give_sign_of_life
from apps.checks.domain.held_results import store_by_age
from apps.checks.domain.late_results import store_late
from apps.checks.domain.pacing import hold_turns
from apps.checks.domain.ping_doors import Door
from apps.checks.domain.pings import Fate, NewPing, PingStore
from apps.checks.domain.regions import lose_sight_of_silent_regions
from apps.checks.domain.results import store_results
from apps.checks.domain.settings import config_of
from apps.checks.domain.turns import straighten_turns
from apps.checks.enums import State, Verdict
from apps.checks.models import MAIN_REGION, Agent, Check, CheckState, Flip, Heartbeat, PingDoor, Region, Turn
from apps.checks.types.group import GroupConfig
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock
from apps.core.tenancy import system_scope, tenant_scope
from apps.incidents.domain.maintenance import keep_window, start_now
from apps.incidents.domain.maintenance_edges import apply_edges
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.enums import Repeat
from apps.incidents.models import MaintenanceWindow
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result
from tests.rivals import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


def rename(check: Check, name: str) -> None:
    timing = Timing(retries=0, regions=tuple(check.regions))
    update_check(check, name=name, config=config_of(check), timing=timing, tags=[])


def pair(**fields: Any) -> tuple[Check, Check]:
    """Two checks, the one that comes later made first: what goes through them as they lie meets the later one first."""
    later = make_check("later", id="ffffffff-0000-7000-8000-000000000000", state=State.UP, **fields)
    return make_check("sooner", id="00000000-0000-7000-8000-000000000000", state=State.UP, **fields), later


def test_an_edit_while_another_region_hears_the_news(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        elsewhere = Region.objects.get(code="eu").id
        check = make_check("Shop", state=State.UP, regions=[MAIN_REGION, elsewhere], confirmations=2)
        news = make_result(check, Verdict.FAILURE, region_id=elsewhere)
        ahead = clock.now() + HOUR
        Turn.objects.filter(watched=check, region_id=MAIN_REGION).update(due_at=ahead, claimable_at=ahead)

    def take_turn() -> None:
        Turn.unscoped.filter(watched=check, region_id=elsewhere).update(last_ms=1)

    storing = meanwhile(system_scope("as a prober's batch"), take_turn, then=lambda: store_results([news]))
    with tenant_scope(acme.id), storing:
        rename(check, "Shop, renamed")

    with tenant_scope(acme.id):
        assert Check.objects.get().name == "Shop, renamed"
        assert Turn.objects.get(region_id=elsewhere).failures == 1


def test_a_region_whose_turn_somebody_held_hears_the_news_afterwards(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        elsewhere = Region.objects.get(code="eu").id
        check = make_check("Shop", state=State.UP, regions=[MAIN_REGION, elsewhere], confirmations=2)
        news = make_result(check, Verdict.FAILURE, region_id=elsewhere)
        ahead = clock.now() + HOUR
        theirs = Turn.objects.filter(watched=check, region_id=MAIN_REGION)
        theirs.update(due_at=ahead, claimable_at=ahead)

    def stored_meanwhile() -> None:
        assert Turn.objects.select_for_update(nowait=True).get(region_id=elsewhere).failures == 1

    held = meanwhile(tenant_scope(acme.id), lambda: theirs.update(last_ms=1), then=stored_meanwhile)
    with held:
        store_results([news])

    with tenant_scope(acme.id):
        assert theirs.get().due_at <= clock.now()


def lose_sight(_one: Check, _other: Check) -> None:
    Region.objects.filter(id=MAIN_REGION).update(seen_at=clock.now() - HOUR)
    lose_sight_of_silent_regions()


def straighten(one: Check, other: Check) -> None:
    straighten_turns(MAIN_REGION)


def bring_late(one: Check, other: Check) -> None:
    store_late([make_result(other), make_result(one)])


def bring_held(one: Check, other: Check) -> None:
    held = [make_result(Check.objects.get(id=check.id)) for check in (other, one)]
    store_by_age(held, heard_again_at=clock.now())


@pytest.mark.parametrize("work", [lose_sight, straighten, bring_late, bring_held])
def test_work_on_many_turns_while_somebody_edits_their_checks(
    acme: Tenant, work: Callable[[Check, Check], None]
) -> None:
    with tenant_scope(acme.id):
        sooner, later = pair()
        ahead = clock.now() + (24 * HOUR if work is straighten else -HOUR)
        Turn.objects.update(due_at=ahead, claimable_at=ahead)

    hold_one, hold_other = partial(hold_turns, [sooner.id]), partial(hold_turns, [later.id])
    with tenant_scope(acme.id), meanwhile(tenant_scope(acme.id), hold_one, then=hold_other):
        work(sooner, later)

    with tenant_scope(acme.id):
        assert not Turn.objects.filter(due_at=ahead, opinion=Verdict.SUCCESS).exists()


def test_an_agent_keeps_one_turn_and_gives_another_back_while_somebody_edits_both(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        agent = _agent()
        sooner, later = pair()
        Turn.objects.update(region_id=agent.region_id, claimable_at=clock.now() + HOUR)
        keep, leave = ((check.id, Turn.objects.get(watched=check).due_at) for check in (later, sooner))

    hold_one, hold_other = partial(hold_turns, [sooner.id]), partial(hold_turns, [later.id])
    with tenant_scope(acme.id), meanwhile(tenant_scope(acme.id), hold_one, then=hold_other):
        agent_work.renew_leases(agent, extend=[keep], give_up=[leave])

    with tenant_scope(acme.id):
        now = clock.now()
        assert list(Turn.objects.filter(claimable_at__lte=now).values_list("watched__name", flat=True)) == ["sooner"]


def test_an_agent_hands_in_news_beside_a_turn_that_it_refuses_while_somebody_has_both_states(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        agent = _agent()
        agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1", words=Words(kinds=["http"]))
        agent = _agent_again()
        given = {"regions": [agent.region_id], "state": State.UP}
        refused = make_check("sooner", id=UUID(int=1), kind="dns", **given)
        probed = make_check("later", id=UUID(int=2), **given)
        news = make_result(probed, Verdict.FAILURE, region_id=agent.region_id)

    hold_one, hold_other = partial(lock_states, [refused.id]), partial(lock_states, [probed.id])
    with tenant_scope(acme.id), meanwhile(tenant_scope(acme.id), hold_one, then=hold_other):
        agent_work.trade(agent, [news], limit=10)

    with tenant_scope(acme.id):
        states = CheckState.objects.filter(watched__in=[refused, probed]).values_list("watched__name", "state")
        assert dict(states) == {"sooner": "unknown", "later": "down"}


def _agent() -> Agent:
    create_agent(name="Office")
    return _agent_again()


def _agent_again() -> Agent:
    return Agent.objects.select_related("region").get()


def test_a_heartbeat_is_edited_while_it_is_deleted(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = create_check(name="Backup", kind="heartbeat", config=HeartbeatConfig())

    deleting = meanwhile(tenant_scope(acme.id), lambda: lock_states([check.id]), then=lambda: delete_check(check))
    with tenant_scope(acme.id), deleting:
        rename(check, "Backup, nightly")

    with tenant_scope(acme.id):
        assert not Check.objects.exists()


def test_a_ping_that_waits_for_an_edit_is_judged_by_the_new_settings(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = create_check(
            name="Backup", kind="heartbeat", config=HeartbeatConfig(period_seconds=60, grace_seconds=60)
        )
        token = Heartbeat.objects.get().token
    store = PingStore()

    def ping() -> datetime:
        at = clock.now()
        assert store.store([NewPing(address=token, report=Report(signal=Signal.SUCCESS, at=at))]).fates == [Fate.STORED]
        return at

    def edit() -> None:
        weekly = HeartbeatConfig(period_seconds=7 * 86_400, grace_seconds=60)
        update_check(check, name="Backup", config=weekly, timing=Timing(), tags=[])

    ping()
    with meanwhile(tenant_scope(acme.id), edit):
        at = ping()

    with tenant_scope(acme.id):
        assert Heartbeat.objects.get().deadline_at == at + timedelta(days=7, seconds=60)


def test_an_agent_is_deleted_while_its_heartbeat_flips(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        agent = _agent()
        assert agent.heartbeat_id
        heard = Change(after=State.UP, at=clock.now())

    flipping = meanwhile(
        tenant_scope(acme.id),
        lambda: lock_states([agent.heartbeat_id]),
        then=lambda: change_state(agent.heartbeat_id, heard),
    )
    with tenant_scope(acme.id), flipping:
        delete_agent(agent)

    with tenant_scope(acme.id):
        assert not Check.objects.exists()
        assert not Flip.objects.exists()


def test_who_asks_for_a_look_waits_for_nobody(acme: Tenant) -> None:
    """A round of alerts asks for a look at a parent with locks in hand that those may wait for who hold its turns."""
    with tenant_scope(acme.id):
        router = make_check("Router", due_at=clock.now() + HOUR)
        due_at = Turn.objects.get().due_at

    with tenant_scope(acme.id), meanwhile(tenant_scope(acme.id), lambda: hold_turns([router.id])):
        check_now(router)
        with transaction.atomic():
            hold_turns([router.id])

    with tenant_scope(acme.id):
        assert Turn.objects.get().due_at == due_at


def test_two_members_of_a_group_get_other_names_at_once(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        one, two = make_check("one"), make_check("two")
        group = create_check(name="Both", kind="group", config=GroupConfig(members=["one", "two"]))

    with tenant_scope(acme.id), meanwhile(tenant_scope(acme.id), lambda: rename_check(one, name="first")):
        rename(two, "second")

    with tenant_scope(acme.id):
        assert config_of(Check.objects.get(id=group.id)).members == ["first", "second"]  # type: ignore[attr-defined]


# --- Maintenance, tags ----------------------------------------------------------------------------------------------------


def plan(*checks: Check, begin: timedelta) -> MaintenanceWindow:
    starts_at = clock.now() + begin
    given = WindowSettings(
        name="Disks", repeat=Repeat.ONCE, time_zone="UTC", duration=HOUR, starts_at=starts_at, checks=checks
    )
    return keep_window(None, given, actor=None)


def test_one_check_comes_into_maintenance_and_another_goes_while_a_prober_stores_both(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        sooner, later = pair()
        over, begun = plan(sooner, begin=-HOUR / 2), plan(later, begin=HOUR)
        now = clock.now()
        MaintenanceWindow.objects.filter(id=over.id).delete()
        MaintenanceWindow.objects.filter(id=begun.id).update(starts_at=now - HOUR / 2, next_edge_at=now)

    hold_one, hold_other = partial(lock_states, [sooner.id]), partial(lock_states, [later.id])
    with meanwhile(tenant_scope(acme.id), hold_one, then=hold_other):
        assert apply_edges() == 2

    with tenant_scope(acme.id):
        assert dict(CheckState.objects.values_list("watched__name", "state")) == {
            "sooner": "up",
            "later": "maintenance",
        }


def test_a_failure_is_reported_while_its_heartbeat_comes_out_of_maintenance(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = create_check(name="Backup", kind="heartbeat", config=HeartbeatConfig())
        token = Heartbeat.objects.get().token
        PingStore().store([NewPing(address=token, report=Report(signal=Signal.SUCCESS, at=clock.now()))])
        window = plan(check, begin=-HOUR / 2)
        assert CheckState.objects.get().state == State.MAINTENANCE
        MaintenanceWindow.objects.filter(id=window.id).delete()

    failure = NewPing(address=token, report=Report(signal=Signal.FAIL, at=clock.now()))
    with meanwhile(tenant_scope(acme.id), lambda: PingStore().store([failure])):
        assert apply_edges() == 1

    with tenant_scope(acme.id):
        assert CheckState.objects.get().state == State.DOWN


@pytest.mark.parametrize(
    ("away", "step", "schedule"),
    [(HOUR, 0 * HOUR, "simple"), (HOUR, HOUR, "simple"), (HOUR, HOUR, "cron"), (-HOUR, -HOUR, "cron")],
)
def test_deadlines_move_while_somebody_lets_both_heartbeats_out_of_maintenance(
    acme: Tenant, away: timedelta, step: timedelta, schedule: str
) -> None:
    """The doors were closed, or the clock was set, by an hour."""
    config = {"schedule": schedule, "period_seconds": 3_600, "grace_seconds": 7 * 86_400, "cron": "* * * * *"}
    with tenant_scope(acme.id):
        sooner, later = pair(kind="heartbeat", config=config)
        limit = clock.now() + (1_000 * HOUR if step < 0 * HOUR else HOUR)
        PingDoor.objects.create(name="http", seen_at=clock.now() - away)
        Heartbeat.objects.bulk_create(Heartbeat(watched=check, deadline_at=limit) for check in (later, sooner))

    def hold(check: Check) -> None:
        Heartbeat.objects.select_for_update().get(watched=check)

    with meanwhile(tenant_scope(acme.id), partial(hold, sooner), then=partial(hold, later)):
        give_sign_of_life(Door.HTTP, step)

    with tenant_scope(acme.id):
        assert not Heartbeat.objects.filter(deadline_at=limit).exists()


def test_a_check_is_put_under_maintenance_while_it_is_deleted(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=State.UP)

    deleting = meanwhile(tenant_scope(acme.id), lambda: lock_states([check.id]), then=lambda: delete_check(check))
    with tenant_scope(acme.id), deleting:
        start_now(check, actor=None, time_zone="UTC")
        with transaction.atomic():
            lock_states([check.id])

    with tenant_scope(acme.id):
        assert not Check.objects.exists()


def test_two_people_tag_a_check_at_once(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        seen, also_seen = make_check(tags=["web"]), Check.objects.get()

    tagging = meanwhile(tenant_scope(acme.id), lambda: act_on([seen], BulkAction.TAG, tags=["eu"]))
    with tenant_scope(acme.id), tagging:
        act_on([also_seen], BulkAction.TAG, tags=["shop"])

    with tenant_scope(acme.id):
        assert Check.objects.get().tags == ["web", "eu", "shop"]
