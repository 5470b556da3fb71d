"""A tenant's plan: how many checks and agents, how often, from where, which kinds; exact among rivals."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from apps.checks.domain.agents import create_agent, delete_agent, reinstate_agent, revoke_agent
from apps.checks.domain.allowance import NEEDS
from apps.checks.domain.applying import apply_document
from apps.checks.domain.bulk import BulkAction, act_on
from apps.checks.domain.checks import Timing, create_check, pause_check, resume_check, update_check, usual_timing
from apps.checks.domain.heartbeats import ping_key
from apps.checks.domain.provisioning import provide_heartbeat
from apps.checks.domain.settings import config_of
from apps.checks.enums import State
from apps.checks.models import Agent, Check, Region
from apps.checks.types.browser import BrowserCheck
from apps.checks.types.group import GroupConfig
from apps.checks.types.heartbeat import HeartbeatConfig
from apps.checks.types.http import HttpConfig
from apps.console.domain.onboarding import watch_first_address
from apps.core.refusals import BeyondLimit
from apps.core.tenancy import tenant_scope
from apps.plans.catalogue import LIMITS
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.factories.plans import give_plan, wanted
from tests.rivals import at_once

HTTP = HttpConfig(url="http://127.0.0.1:9/")
SLOW = Timing(interval_seconds=300)


def make_http(name: str = "API", **timing: Any) -> Check:
    return create_check(name=name, kind="http", config=HTTP, timing=Timing(**{"interval_seconds": 300, **timing}))


def limits_of(refused: Any) -> dict[str, Any]:
    return {name: refused.value.limit.get(name) for name in ("name", "plan", "allowed", "used")}


# --- How many --------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_last_check_fits_and_one_more_does_not(in_acme: Tenant) -> None:
    give_plan(in_acme, "free", checks=2)
    make_http("first")
    make_http("second")

    with pytest.raises(BeyondLimit) as refused:
        make_http("third")

    assert limits_of(refused) == {"name": "checks", "plan": "free", "allowed": 2, "used": 2}
    assert str(refused.value) == (
        "Checks: the plan “Free” allows 2 and 2 are in use; this is one too many. Remove what you no longer need, or see "
        "“Plan and usage” in the settings for a larger plan."
    )
    assert sorted(Check.objects.values_list("name", flat=True)) == ["first", "second"]


@pytest.mark.django_db
def test_heartbeats_and_paused_checks_count_groups_and_strangers_do_not(in_acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        make_check("theirs")
    give_plan(in_acme, "free", checks=2)
    make_check("paused", state=State.PAUSED)
    create_check(name="all", kind="group", config=GroupConfig(tag="shop"))
    create_check(name="job", kind="heartbeat", config=HeartbeatConfig())

    create_check(name="all again", kind="group", config=GroupConfig(tag="shop"))
    with pytest.raises(BeyondLimit):
        create_check(name="job 2", kind="heartbeat", config=HeartbeatConfig())

    assert Check.objects.count() == 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("round_number", range(5))
def test_of_rivals_for_the_last_places_exactly_so_many_pass(acme: Tenant, round_number: int) -> None:
    give_plan(acme, "free", checks=3)
    refused: list[BeyondLimit] = []

    def create() -> None:
        with tenant_scope(acme.id):
            try:
                make_http()
            except BeyondLimit as refusal:
                refused.append(refusal)

    at_once(create, workers=8)

    with tenant_scope(acme.id):
        assert (Check.objects.count(), len(refused)) == (3, 5)


@pytest.mark.django_db(transaction=True)
def test_rivals_by_different_doors_never_wait_for_each_other_for_good(acme: Tenant) -> None:
    give_plan(acme, "free", checks=100)
    with tenant_scope(acme.id):
        ping_key()
        paused = [make_http(f"paused {number}") for number in range(4)]
        act_on(paused, BulkAction.PAUSE)
    document = {"apiVersion": "obsera/v1", "checks": [wanted("p", paused=False), wanted("q"), wanted("r")]}
    doors: list[Callable[[], object]] = [
        lambda: make_http(),
        lambda: act_on(Check.objects.filter(name__startswith="paused"), BulkAction.RESUME),
        lambda: act_on(Check.objects.filter(name__startswith="paused"), BulkAction.PAUSE),
        lambda: apply_document(document),
        lambda: provide_heartbeat("nightly"),
        lambda: create_check(name="job", kind="heartbeat", config=HeartbeatConfig()),
        lambda: create_check(name="all", kind="group", config=GroupConfig(tag="shop")),
        lambda: give_plan(acme, "free", checks=100),
    ]
    waiting = doors * 3

    def enter() -> None:
        door = waiting.pop()
        with tenant_scope(acme.id):
            door()

    at_once(enter, workers=len(waiting))

    with tenant_scope(acme.id):
        assert Check.objects.exclude(kind="group").count() == 4 + 3 + 3 + 1 + 3


@pytest.mark.django_db
def test_unknown_slug_makes_no_heartbeat_once_the_plan_is_used_up(in_acme: Tenant) -> None:
    give_plan(in_acme, "free", checks=1)
    ping_key()

    is_made = provide_heartbeat("first")
    with pytest.raises(BeyondLimit, match="this is one too many"):
        provide_heartbeat("second")

    assert (is_made, provide_heartbeat("first")) == (True, False)
    assert list(Check.objects.values_list("name", flat=True)) == ["first"]


# --- Agents ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_agent_needs_room_for_itself_and_for_its_heartbeat(in_acme: Tenant) -> None:
    give_plan(in_acme, "free", agents=1, checks=1)

    agent, _token = create_agent(name="Cellar")
    with pytest.raises(BeyondLimit) as second:
        create_agent(name="Attic")
    give_plan(in_acme, "free", agents=2, checks=1)
    with pytest.raises(BeyondLimit) as without_check:
        create_agent(name="Attic")

    assert limits_of(second) == {"name": "agents", "plan": "free", "allowed": 1, "used": 1}
    assert limits_of(without_check) == {"name": "checks", "plan": "free", "allowed": 1, "used": 1}
    assert list(Agent.objects.values_list("name", flat=True)) == [agent.name]


@pytest.mark.django_db
def test_plan_without_agents_says_that_it_has_none(in_acme: Tenant) -> None:
    give_plan(in_acme, "free")

    with pytest.raises(BeyondLimit) as refused:
        create_agent(name="Cellar")

    assert str(refused.value) == (
        "Agents: the plan “Free” has none. See “Plan and usage” in the settings for a larger plan."
    )
    assert limits_of(refused) == {"name": "agents", "plan": "free", "allowed": 0, "used": 0}


@pytest.mark.django_db
def test_revoked_agent_comes_back_only_while_all_fit(in_acme: Tenant) -> None:
    agents = [create_agent(name=name)[0] for name in ("Cellar", "Attic")]
    revoke_agent(agents[0])
    give_plan(in_acme, "team", agents=1)

    with pytest.raises(BeyondLimit):
        reinstate_agent(agents[0])
    delete_agent(agents[1])
    reinstate_agent(agents[0])

    assert list(Agent.objects.values_list("name", "revoked_at")) == [("Cellar", None)]


@pytest.mark.django_db(transaction=True)
def test_of_rivals_for_the_last_agent_one_passes(acme: Tenant) -> None:
    give_plan(acme, "team", agents=1)
    names = [f"Agent {number}" for number in range(6)]

    def create() -> None:
        with tenant_scope(acme.id), contextlib.suppress(BeyondLimit):
            create_agent(name=names.pop())

    at_once(create, workers=6)

    with tenant_scope(acme.id):
        assert (Agent.objects.count(), Check.objects.count()) == (1, 1)


# --- How often, from where, which kinds ------------------------------------------------------------------------------


@pytest.mark.django_db
def test_interval_below_the_plans_is_refused_at_its_field_and_the_shortest_fits(in_acme: Tenant) -> None:
    give_plan(in_acme, "free")

    with pytest.raises(BeyondLimit) as refused:
        make_http(interval_seconds=299)
    made = make_http(interval_seconds=300)

    assert (refused.value.field, limits_of(refused)["name"], limits_of(refused)["allowed"]) == (
        "interval_seconds",
        "min_interval_seconds",
        300,
    )
    assert str(refused.value) == (
        "The plan's shortest interval is 300 seconds: give that or more. The plan is “Free”; see “Plan and usage” in the "
        "settings."
    )
    assert made.interval_seconds == 300


@pytest.mark.django_db
def test_interval_that_nobody_gave_is_the_plans_shortest(in_acme: Tenant) -> None:
    before = usual_timing().interval_seconds
    give_plan(in_acme, "free")

    made = create_check(name="API", kind="http", config=HTTP)
    first = watch_first_address("shop.example")

    assert (before, made.interval_seconds, first.interval_seconds) == (60, 300, 300)
    give_plan(in_acme, "team")
    assert watch_first_address("other.example").interval_seconds == 30


@pytest.mark.django_db
def test_heartbeats_know_no_interval(in_acme: Tenant) -> None:
    give_plan(in_acme, "free")

    made = create_check(name="job", kind="heartbeat", config=HeartbeatConfig(), timing=Timing())

    assert made.interval_seconds == 60


@pytest.mark.django_db
def test_regions_beyond_the_plans_are_refused(in_acme: Tenant) -> None:
    other = Region.objects.get(code="eu")
    give_plan(in_acme, "free")

    with pytest.raises(BeyondLimit) as refused:
        make_http(regions=(1, other.id))

    assert (refused.value.field, limits_of(refused)["allowed"]) == ("regions", 1)


@pytest.mark.django_db
def test_browser_checks_are_for_plans_that_have_them(in_acme: Tenant) -> None:
    browser = BrowserCheck()
    give_plan(in_acme, "free")

    with pytest.raises(BeyondLimit) as refused:
        create_check(name="journey", kind="browser", config=browser.sample(), timing=SLOW)
    give_plan(in_acme, "free", has_browser_checks=True)
    made = create_check(name="journey", kind="browser", config=browser.sample(), timing=SLOW)

    assert (refused.value.field, limits_of(refused)["name"]) == ("kind", "has_browser_checks")
    assert made.kind == "browser"


def test_kinds_ask_for_what_plans_may_have() -> None:
    assert NEEDS.items() == {("browser", "has_browser_checks")}
    assert set(NEEDS.values()) <= LIMITS.keys()


# --- A smaller plan --------------------------------------------------------------------------------------------------


@pytest.fixture
def shrunk(in_acme: Tenant) -> tuple[Check, Check]:
    """A running and a paused check of a tenant whose plan now allows one check every 300 seconds from one region."""
    other = Region.objects.get(code="eu")
    running = make_http("running", interval_seconds=10, regions=(1, other.id))
    paused = make_http("paused", interval_seconds=10)
    pause_check(paused)
    give_plan(in_acme, "free", checks=1)
    return running, paused


def change(check: Check, **timing: Any) -> Check:
    kept = {name: getattr(check, name) for name in Timing.__slots__}
    given = Timing(**{**kept, "regions": tuple(check.regions), **timing})
    return update_check(check, name=check.name, config=config_of(check), timing=given, tags=check.tags)


@pytest.mark.django_db
def test_smaller_plan_leaves_what_runs(shrunk: tuple[Check, Check]) -> None:
    running, _paused = shrunk

    running.refresh_from_db()
    assert Check.objects.count() == 2
    assert (running.interval_seconds, len(running.regions), running.turns.count()) == (10, 2, 2)


@pytest.mark.django_db
def test_no_more_go_on_than_a_smaller_plan_lets_run(shrunk: tuple[Check, Check]) -> None:
    running, paused = shrunk

    with pytest.raises(BeyondLimit) as alone:
        resume_check(paused)
    with pytest.raises(BeyondLimit):
        act_on([running, paused], BulkAction.RESUME)
    resume_check(running)  # is not paused: stays as it is
    before = states_by_name()
    pause_check(running)
    resume_check(paused)
    with pytest.raises(BeyondLimit):
        make_http("new")

    assert limits_of(alone) == {"name": "checks", "plan": "free", "allowed": 1, "used": 1}
    assert str(alone.value) == (
        "Running checks: the plan allows 1 and 1 run; this is one too many. Pause or delete others first. The plan is “Free”; "
        "see “Plan and usage” in the settings."
    )
    assert before == {"running": "new", "paused": "paused"}
    assert states_by_name() == {"running": "paused", "paused": "unknown"}


def states_by_name() -> dict[str, str]:
    return dict(Check.objects.values_list("name", "checkstate__state"))


@pytest.mark.django_db(transaction=True)
def test_of_rivals_who_resume_only_so_many_as_may_run_do(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        checks = [make_http(f"check {number}") for number in range(6)]
        act_on(checks, BulkAction.PAUSE)
    give_plan(acme, "free", checks=2)

    def resume() -> None:
        with tenant_scope(acme.id), contextlib.suppress(BeyondLimit):
            resume_check(checks.pop())

    at_once(resume, workers=6)

    with tenant_scope(acme.id):
        assert sorted(states_by_name().values()) == ["paused"] * 4 + ["unknown"] * 2


@pytest.mark.django_db
def test_next_edit_raises_the_interval_and_leaves_the_regions(shrunk: tuple[Check, Check]) -> None:
    changed = change(shrunk[0], retries=3)

    changed.refresh_from_db()
    assert (changed.interval_seconds, len(changed.regions), changed.retries) == (300, 2, 3)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("timing", "field"), [({"interval_seconds": 20}, "interval_seconds"), ({"regions": (1, 2, 3)}, "regions")]
)
def test_what_is_changed_must_fit(timing: dict[str, Any], field: str, shrunk: tuple[Check, Check]) -> None:
    with pytest.raises(BeyondLimit) as refused:
        change(shrunk[0], **timing)

    shrunk[0].refresh_from_db()
    assert refused.value.field == field
    assert (shrunk[0].interval_seconds, len(shrunk[0].regions)) == (10, 2)


@pytest.mark.django_db
def test_browser_check_stays_and_may_be_edited_but_not_resumed(in_acme: Tenant) -> None:
    check = create_check(name="journey", kind="browser", config=BrowserCheck().sample(), timing=SLOW)
    give_plan(in_acme, "free")

    change(check, retries=2)
    pause_check(check)
    with pytest.raises(BeyondLimit) as refused:
        resume_check(check)

    assert refused.value.limit["name"] == "has_browser_checks"
