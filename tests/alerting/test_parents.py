"""A dead router pages once: what is behind it waits, and is told only if it stays down by itself."""

from datetime import timedelta

import pytest
import time_machine

from apps.alerting.domain.reminding import reevaluate_due
from apps.alerting.models import Alert
from apps.checks.domain.checks import delete_check, pause_check
from apps.checks.domain.dependencies import set_parents
from apps.checks.domain.results import NewResult, store_results
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Turn
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.incidents.models import Outage
from apps.notifications.models import Delivery
from apps.tenants.models import Tenant
from tests.factories.alerting import make_channel, make_rule, messages
from tests.factories.checks import make_check
from tests.factories.incidents import minute

pytestmark = pytest.mark.django_db
Hand = time_machine.Traveller
SECOND = timedelta(seconds=1)


def see(*checks: Check, verdict: Verdict) -> None:
    """Store a result of each check's present turn, and let everything follow, as the product does."""
    now = clock.now()
    results = [
        NewResult(
            check_id=check.id,
            tenant_id=check.tenant_id,
            region_id=1,
            due_at=Turn.objects.get(watched=check).due_at,
            started_at=now,
            verdict=verdict,
            total_ms=5.0,
            error_code="connect_refused" if verdict == Verdict.FAILURE else "",
        )
        for check in checks
    ]
    store_results(results)
    Turn.objects.filter(watched__in=checks).update(due_at=now + SECOND, claimable_at=now + SECOND)
    deliver_pending()


def behind(router: Check, count: int, **fields: object) -> list[Check]:
    servers = [make_check(f"Server {number:02}", state=State.UP, **fields) for number in range(count)]
    for server in servers:
        set_parents(server, [router])
    return servers


@pytest.fixture
def told(in_acme: Tenant, hand: Hand) -> None:
    """A channel and a rule for everything."""
    make_channel()
    make_rule()
    deliver_pending()


def titles() -> list[str]:
    return [title for title, _channel in messages()]


def later(hand: Hand, seconds: float) -> None:
    """Let time pass, and the sweep look at what has become due."""
    hand.move_to(clock.now() + seconds * SECOND)
    reevaluate_due()
    deliver_pending()


def test_dead_router_with_fifty_servers_pages_once_even_if_it_is_seen_last(told: None, hand: Hand) -> None:
    router = make_check("Router", state=State.UP, retries=2)
    switch = make_check("Switch", state=State.UP)
    set_parents(switch, [router])
    servers = behind(switch, 50)
    see(router, switch, *servers, verdict=Verdict.SUCCESS)

    hand.move_to(minute(1))
    see(*servers, verdict=Verdict.FAILURE)  # each down at its first failure; the router was not looked at since
    at_first = titles()
    see(switch, verdict=Verdict.FAILURE)
    for _retry in range(3):
        later(hand, 5)
        see(router, verdict=Verdict.FAILURE)
    later(hand, 60)
    later(hand, 600)

    assert at_first == []
    assert titles() == ["Router is down"]
    assert Outage.objects.filter(ended_at=None).count() == 52


def test_servers_that_recover_with_the_router_are_never_told(told: None, hand: Hand) -> None:
    router = make_check("Router", state=State.UP)
    servers = behind(router, 3)
    hand.move_to(minute(1))
    see(router, *servers, verdict=Verdict.FAILURE)

    later(hand, 300)
    see(router, verdict=Verdict.SUCCESS)
    later(hand, 30)
    see(*servers, verdict=Verdict.SUCCESS)
    later(hand, 600)

    assert titles() == ["Router is down", "Router recovered"]


def test_server_that_stays_down_after_the_router_recovered_is_told(told: None, hand: Hand) -> None:
    router = make_check("Router", state=State.UP)
    one, two = behind(router, 2)
    hand.move_to(minute(1))
    see(router, one, two, verdict=Verdict.FAILURE)

    later(hand, 300)
    see(router, verdict=Verdict.SUCCESS)
    soon = titles()
    later(hand, 30)
    see(one, verdict=Verdict.SUCCESS)
    see(two, verdict=Verdict.FAILURE)
    later(hand, 60)
    later(hand, 60)

    assert soon == ["Router is down", "Router recovered"]
    assert titles()[2:] == ["Server 01 is down"]


def test_server_behind_a_router_that_is_well_is_told(told: None, hand: Hand) -> None:
    router = make_check("Router", state=State.UP)
    (server,) = behind(router, 1)
    hand.move_to(minute(1))

    see(server, verdict=Verdict.FAILURE)
    waiting = titles()
    asked_at = Turn.objects.get(watched=router).due_at
    see(router, verdict=Verdict.SUCCESS)
    later(hand, 20)

    assert (waiting, asked_at <= minute(1)) == ([], True)
    assert titles() == ["Server 00 is down"]


def test_parent_that_never_answers_holds_nobody_back_for_long(told: None, hand: Hand) -> None:
    """No prober looks at the router: the wait is bounded by its own retries."""
    router = make_check("Router", state=State.UP, retries=1, retry_interval_seconds=5, timeout_seconds=10)
    (server,) = behind(router, 1)
    hand.move_to(minute(1))
    see(server, verdict=Verdict.FAILURE)

    later(hand, 29)
    early = titles()
    later(hand, 11)

    assert (early, titles()) == ([], ["Server 00 is down"])


def test_router_under_maintenance_explains_its_servers(told: None, hand: Hand) -> None:
    router = make_check("Router", state=State.UP)
    (server,) = behind(router, 1)
    CheckState.objects.filter(watched=router).update(state=State.MAINTENANCE)
    hand.move_to(minute(1))
    see(server, verdict=Verdict.FAILURE)
    later(hand, 120)
    during = titles()

    CheckState.objects.filter(watched=router).update(state=State.UP)
    see(router, verdict=Verdict.SUCCESS)
    later(hand, 70)

    assert (during, titles()) == ([], ["Server 00 is down"])


def test_slow_router_explains_no_dead_server(told: None, hand: Hand) -> None:
    router = make_check("Router", state=State.UP, degraded_ms=1)
    (server,) = behind(router, 1)
    hand.move_to(minute(1))
    see(router, verdict=Verdict.SUCCESS)
    see(server, verdict=Verdict.FAILURE)
    see(router, verdict=Verdict.SUCCESS)
    later(hand, 20)

    assert titles() == ["Router is degraded", "Server 00 is down"]


@pytest.mark.parametrize("change", ["paused", "deleted", "no parent any more"])
def test_server_is_told_once_nothing_explains_it_any_more(told: None, hand: Hand, change: str) -> None:
    router = make_check("Router", state=State.UP)
    (server,) = behind(router, 1)
    hand.move_to(minute(1))
    see(router, server, verdict=Verdict.FAILURE)
    later(hand, 120)
    before = titles()

    if change == "paused":
        pause_check(router)
    elif change == "deleted":
        delete_check(router)
    else:
        set_parents(server, [])
    deliver_pending()
    later(hand, 90)
    see(server, verdict=Verdict.FAILURE)
    later(hand, 90)
    later(hand, 600)

    assert before == ["Router is down"]
    assert titles().count("Server 00 is down") == 1


def test_parent_that_is_down_when_it_becomes_one_takes_nothing_back_and_explains_what_comes(
    told: None, hand: Hand
) -> None:
    router, one, two = (make_check(name, state=State.UP) for name in ("Router", "Server 01", "Server 02"))
    hand.move_to(minute(1))
    see(router, one, verdict=Verdict.FAILURE)

    set_parents(one, [router])
    set_parents(two, [router])
    later(hand, 60)
    see(two, verdict=Verdict.FAILURE)
    later(hand, 600)

    assert sorted(titles()) == ["Router is down", "Server 01 is down"]


def test_trace_names_the_one_to_blame(told: None, hand: Hand) -> None:
    router = make_check("Router", state=State.UP)
    (server,) = behind(router, 1)
    hand.move_to(minute(1))
    see(router, server, verdict=Verdict.FAILURE)

    steps = Alert.objects.get(check_name="Server 00").steps.order_by("-at", "-position")

    assert (steps[0].reason, steps[0].values) == ("parent_down", {"parent": "Router"})
    assert Delivery.objects.count() == 1


def test_other_tenants_router_explains_nothing(acme: Tenant, globex: Tenant, hand: Hand) -> None:
    with tenant_scope(globex.id):
        see(make_check("Router", state=State.UP), verdict=Verdict.FAILURE)
    with tenant_scope(acme.id):
        deliver_pending()
        see(make_check("Server", state=State.UP), verdict=Verdict.FAILURE)

        assert titles() == ["Server is down"]
