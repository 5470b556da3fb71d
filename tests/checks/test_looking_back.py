"""Late results make known what nobody seemed to have seen, and nobody is told about the past."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.alerting.models import Alert
from apps.checks.domain import agent_work, agents, looking_back
from apps.checks.domain.checks import delete_check, pause_check
from apps.checks.domain.days import Day, Uptime, uptime_of
from apps.checks.domain.late_results import AT_MOST, QUIET, store_late
from apps.checks.domain.looking_back import forget_old_hindsight, look_back_at_late_results
from apps.checks.domain.results import NewResult
from apps.checks.domain.uptime import daily_uptime
from apps.checks.enums import State, Verdict
from apps.checks.models import MAIN_REGION, Agent, Check, CheckState, Flip, Hindsight, LookBack, Region, Turn
from apps.core import clock
from apps.core.tenancy import system_scope, tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.incidents.models import Outage
from apps.notifications.models import Delivery
from apps.statuspages.domain.board import board_of
from apps.statuspages.domain.components import add_component
from apps.statuspages.domain.pages import create_page
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.queries import queries_of
from tests.rivals import at_once

pytestmark = pytest.mark.django_db
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
UTC = ZoneInfo("UTC")
GOOD, BAD, SLOW, UNSURE = Verdict.SUCCESS, Verdict.FAILURE, Verdict.DEGRADED, Verdict.UNKNOWN


@pytest.fixture
def agent(in_acme: Tenant) -> Agent:
    """An agent whose last word came twenty minutes ago."""
    made, _token = agents.create_agent(name="Office")
    return made


@pytest.fixture
def silent_since(agent: Agent) -> datetime:
    at = (clock.now() - 20 * MINUTE).replace(microsecond=0)
    Region.objects.filter(id=agent.region_id).update(seen_at=at)
    agent.region.refresh_from_db()
    return at


def watched(agent: Agent, silent_since: datetime, name: str = "API", **fields: Any) -> Check:
    """A check that was up when its agent was heard of last, and whose next turn came half a minute later."""
    given = {"interval_seconds": 60, "state": State.UP, "created_at": silent_since - 100 * MINUTE, **fields}
    check = make_check(name, regions=[agent.region_id], due_at=silent_since + 30 * SECOND, **given)
    since = silent_since - 100 * MINUTE
    Flip.objects.create(watched=check, at=since, before=State.NEW, after=given["state"])
    CheckState.objects.filter(watched=check).update(since_at=since)
    return check


def seen(check: Check, due_at: datetime, verdict: Verdict = GOOD) -> NewResult:
    return NewResult(
        check_id=check.id,
        tenant_id=check.tenant_id,
        region_id=check.regions[0],
        due_at=due_at,
        started_at=due_at,
        verdict=verdict,
        error_code="timeout" if verdict == BAD else "",
    )


def come_back(agent: Agent, verdict: Verdict = GOOD) -> datetime:
    """The agent is back and looks at once; return when that was."""
    offered = agent_work.trade(agent, [], limit=10).turns
    checks = {check.id: check for check in Check.objects.all()}
    live = [seen(checks[each.turn.check_id], each.turn.due_at, verdict) for each in offered]
    agent_work.trade(agent, live, limit=0)
    return offered[0].turn.due_at


def late(check: Check, silent_since: datetime, *verdicts: Verdict) -> list[NewResult]:
    return [seen(check, silent_since + 30 * SECOND + place * MINUTE, verdict) for place, verdict in enumerate(verdicts)]


def look_back() -> int:
    LookBack.objects.update(due_at=clock.now() - MINUTE)
    return look_back_at_late_results()


def days_of(check: Check, now: datetime) -> list[Day]:
    with time_machine.travel(now, tick=False):
        return daily_uptime([check.id], zone=UTC)[check.id]


def total(days: Sequence[Day]) -> Day:
    return Day(*map(sum, zip(*days, strict=True)))


def learned(check: Check, since: datetime) -> list[tuple[int, int, str]]:
    """What is known of the check, in seconds since then."""
    rows = Hindsight.objects.filter(watched=check).order_by("since_at")
    return [
        (int((row.since_at - since).total_seconds()), int((row.until_at - since).total_seconds()), str(row.state))
        for row in rows
    ]


# 19 results: 9 good, 3 failed, 2 slow, 5 good; the first half a minute after the agent's last word.
STORY = (GOOD,) * 9 + (BAD,) * 3 + (SLOW,) * 2 + (GOOD,) * 5
KNOWN = [(30, 570, "up"), (570, 750, "down"), (750, 870, "degraded"), (870, 1_170, "up")]


def test_bars_and_status_page_count_what_late_results_say_to_the_second(agent: Agent, silent_since: datetime) -> None:
    check = watched(agent, silent_since, retries=0)
    page = create_page(title="Acme", slug="acme-hindsight")
    add_component(page, check)
    back_at = come_back(agent)
    now = back_at + 20 * SECOND
    before = total(days_of(check, now))

    agent_work.backfill(agent, late(check, silent_since, *STORY))
    still = total(days_of(check, now))
    assert look_back() == 1
    days = days_of(check, now)

    assert back_at == silent_since + 19 * MINUTE + 30 * SECOND
    assert before == still == Day(up=6_000 + 20)
    assert learned(check, silent_since) == KNOWN
    # the half minute until the first of them stays unseen: no result says how things were
    assert total(days) == Day(up=6_000 + 540 + 300 + 20, degraded=120, down=180, late=1_140)
    assert uptime_of(days) == Uptime(watched=6_000 + 1_140 + 20, down=180)
    with time_machine.travel(now, tick=False):
        board = board_of(page, now)
    assert list(board.components[0].days) == days
    assert board.components[0].uptime == uptime_of(days)
    [found] = board.outages
    assert (found.is_found_later, found.title) == (True, "API: outage (found later)")
    assert (found.started_at - silent_since, found.seconds) == (570 * SECOND, 300)


def where_it_is_noon() -> str:
    """A time zone whose day holds all of the story, whatever the hour here."""
    return f"Etc/GMT{clock.now().hour - 12:+d}"


def test_pages_show_the_same_figure(client: Client, owner: User, agent: Agent, silent_since: datetime) -> None:
    Tenant.objects.update(time_zone=where_it_is_noon())
    check = watched(agent, silent_since, retries=0)
    page = create_page(title="Acme", slug="acme-figure", is_published=True)
    add_component(page, check)
    now = come_back(agent) + 20 * SECOND
    agent_work.backfill(agent, late(check, silent_since, *STORY))
    look_back()
    client.force_login(owner)

    with time_machine.travel(now, tick=False):
        own = reverse("checks:detail", args=["acme", check.id])
        many = reverse("checks:list", args=["acme"]) + "?view=availability"
        addresses = (own, many, reverse("statuspages:public", args=["acme-figure"]))
        shown = [client.get(address).content.decode() for address in addresses]

    # 6,980 seconds of 7,160
    assert ["97.486" in text for text in shown] == [True, True, True]
    assert ["3 min of outage · 2 min degraded · 19 min reported late<" in text for text in shown] == [True, True, True]


def test_a_result_before_the_silence_says_how_things_were_until_the_first_late_one(
    agent: Agent, silent_since: datetime
) -> None:
    check = watched(agent, silent_since, retries=0)
    come_back(agent)

    agent_work.backfill(agent, [seen(check, silent_since - 30 * SECOND), *late(check, silent_since, *STORY)])
    look_back()

    assert learned(check, silent_since) == [(0, 570, "up"), *KNOWN[1:]]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 0, 1, 2, 1)])
def test_batches_may_come_in_any_order_and_twice(agent: Agent, silent_since: datetime, order: tuple[int, ...]) -> None:
    check = watched(agent, silent_since, retries=2)
    come_back(agent)
    results = late(check, silent_since, *STORY)
    batches = [results[:7], results[7:11], results[11:]]

    for number in order:
        agent_work.backfill(agent, batches[number])
        look_back()

    assert learned(check, silent_since) == KNOWN


def test_downtime_in_hindsight_tells_nobody(agent: Agent, silent_since: datetime) -> None:
    check = watched(agent, silent_since, retries=0)
    come_back(agent)
    deliver_pending()
    flips = Flip.objects.count()

    agent_work.backfill(agent, late(check, silent_since, *(GOOD, BAD) * 9))
    look_back()
    deliver_pending()

    assert Hindsight.objects.filter(state=State.DOWN).count() == 9
    assert (Outage.objects.count(), Alert.objects.count(), Delivery.objects.count()) == (0, 0, 0)
    standing = CheckState.objects.get(watched=check)
    assert (standing.state, standing.is_flapping, Flip.objects.count()) == (State.UP, False, flips)
    assert Turn.objects.get(watched=check).failures == 0


def test_an_agent_that_brings_the_past_first_is_seen_first(agent: Agent, silent_since: datetime) -> None:
    check = watched(agent, silent_since, retries=0)

    agent_work.backfill(agent, late(check, silent_since, *STORY))
    look_back()

    assert [str(flip.after) for flip in Flip.objects.filter(watched=check).order_by("sequence")] == ["up", "unknown"]
    assert learned(check, silent_since)[:3] == KNOWN[:3]
    # the time is still unknown by flips, and the last result is good for two intervals
    days = days_of(check, silent_since + 1_190 * SECOND)
    assert total(days) == Day(up=6_000 + 540 + 320, degraded=120, down=180, late=1_160)


def test_an_outage_that_goes_on_keeps_its_time_and_loses_what_was_well(agent: Agent, silent_since: datetime) -> None:
    check = watched(agent, silent_since, retries=0, state=State.DOWN)
    page = create_page(title="Acme", slug="acme-open")
    add_component(page, check)
    deliver_pending()
    now = come_back(agent, BAD) + 20 * SECOND
    deliver_pending()
    assert Outage.objects.filter(watched=check).count() == 1

    agent_work.backfill(agent, late(check, silent_since, *STORY))
    look_back()

    with time_machine.travel(now, tick=False):
        shown = board_of(page, now).components[0]
    assert (
        total(days_of(check, now))
        == total(shown.days)
        == Day(up=540 + 300, degraded=120, down=6_000 + 180 + 20, late=1_140)
    )


def test_what_the_agent_could_not_measure_stays_unseen(agent: Agent, silent_since: datetime) -> None:
    check = watched(agent, silent_since, retries=0)
    come_back(agent)

    agent_work.backfill(agent, late(check, silent_since, *(GOOD,) * 3, *(UNSURE,) * 10))
    look_back()

    assert learned(check, silent_since) == [(30, 210, "up")]


def test_a_region_that_could_measure_nothing_all_along_contradicts_nobody(agent: Agent, silent_since: datetime) -> None:
    """It is alive, so that it is asked for its word in vain."""
    check = watched(agent, silent_since, retries=0, confirmations=2, interval_seconds=30)
    Check.objects.update(regions=[agent.region_id, MAIN_REGION])
    blind = {"opinion": None, "last_verdict": UNSURE, "run_since_at": check.created_at, "last_result_at": silent_since}
    Turn.objects.create(watched=check, region_id=MAIN_REGION, due_at=clock.now(), claimable_at=None, **blind)
    looks = [seen(check, silent_since + (30 * place - 85) * SECOND, UNSURE) for place in range(4)]
    come_back(agent)

    store_late([replace(look, region_id=MAIN_REGION) for look in looks])
    agent_work.backfill(agent, late(check, silent_since, BAD))
    look_back()

    assert learned(check, silent_since) == [(30, 90, "down")]


def test_times_that_are_known_learn_nothing(agent: Agent, silent_since: datetime) -> None:
    Region.objects.filter(id=agent.region_id).update(seen_at=clock.now())
    agent.region.refresh_from_db()
    check = watched(agent, silent_since, retries=0)

    agent_work.backfill(agent, late(check, silent_since, *STORY))

    assert look_back() == 1
    assert (Hindsight.objects.count(), LookBack.objects.count()) == (0, 0)


def test_a_check_that_was_paused_meanwhile_learns_of_the_time_before(agent: Agent, silent_since: datetime) -> None:
    check = watched(agent, silent_since, retries=0)
    agent_work.backfill(agent, late(check, silent_since, *STORY))
    pause_check(check)

    assert look_back() == 1

    assert learned(check, silent_since)[:3] == KNOWN[:3]
    paused_at = Flip.objects.get(watched=check, after=State.PAUSED).at
    assert not Hindsight.objects.filter(until_at__gt=paused_at).exists()


@pytest.mark.parametrize("is_known", [False, True])
def test_a_check_that_was_deleted_meanwhile_is_gone(agent: Agent, silent_since: datetime, is_known: bool) -> None:
    check = watched(agent, silent_since, retries=0)
    come_back(agent)
    agent_work.backfill(agent, late(check, silent_since, *STORY))
    if is_known:
        look_back()
    delete_check(check)

    assert look_back() == 0
    assert (Hindsight.objects.count(), LookBack.objects.count()) == (0, 0)


def test_strangers_learn_nothing(acme: Tenant, globex: Tenant) -> None:
    at = (clock.now() - 20 * MINUTE).replace(microsecond=0)
    stories = {}
    for tenant in (acme, globex):
        with tenant_scope(tenant.id):
            agent, _token = agents.create_agent(name="Office")
            Region.objects.filter(id=agent.region_id).update(seen_at=at)
            agent.region.refresh_from_db()
            check = watched(agent, at, retries=0)
            come_back(agent)
            stories[tenant.id] = (agent, check)
    with tenant_scope(acme.id):
        agent, check = stories[acme.id]
        agent_work.backfill(agent, late(check, at, *STORY))
        look_back()

        assert learned(check, at) == KNOWN
    with tenant_scope(globex.id):
        assert (Hindsight.objects.count(), LookBack.objects.count()) == (0, 0)
        assert total(days_of(stories[globex.id][1], at + 1_190 * SECOND)) == Day(up=6_020)


def test_looking_back_costs_the_same_questions_for_one_and_for_many(agent: Agent, silent_since: datetime) -> None:
    checks = [watched(agent, silent_since, f"check {number}") for number in range(4)]
    come_back(agent)
    places = iter(range(len(STORY)))

    def questions(count: int) -> int:
        def once() -> None:
            place = next(places)
            agent_work.backfill(agent, [late(check, silent_since, *STORY)[place] for check in checks[:count]])
            look_back()

        return queries_of(once)

    assert questions(1) == questions(4)


def test_no_more_results_are_read_than_fit_whatever_lies_in_the_tables(
    agent: Agent, silent_since: datetime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(looking_back, "MOST_RESULTS", 5)
    flooded, calm = (watched(agent, silent_since, name, retries=0) for name in ("flooded", "calm"))
    come_back(agent)
    agent_work.backfill(agent, [*late(flooded, silent_since, *STORY), *late(calm, silent_since, *STORY[:4])])

    assert look_back() == 2

    # The first five, the last of them for two intervals.
    assert learned(flooded, silent_since) == [(30, 390, "up")]
    assert learned(calm, silent_since) == [(30, 330, "up")]
    [said] = [record.getMessage() for record in caplog.records if "more than" in record.getMessage()]
    assert said.startswith(f"check {flooded.id} has more than 5 results since ")


def test_many_times_are_read_some_at_once(
    agent: Agent, silent_since: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking_back, "TIMES_AT_ONCE", 2)
    monkeypatch.setattr(looking_back, "ROWS_AT_ONCE", 3)
    checks = [watched(agent, silent_since, f"check {number}", retries=0) for number in range(5)]
    come_back(agent)
    agent_work.backfill(agent, [result for check in checks for result in late(check, silent_since, *STORY)])

    assert look_back() == 5

    assert [learned(check, silent_since) for check in checks] == [KNOWN] * 5


@pytest.mark.django_db(transaction=True)
def test_workers_and_late_results_at_once_lose_and_double_nothing(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        agent, _token = agents.create_agent(name="Office")
        at = (clock.now() - 20 * MINUTE).replace(microsecond=0)
        Region.objects.filter(id=agent.region_id).update(seen_at=at)
        agent.region.refresh_from_db()
        checks = [watched(agent, at, f"check {number}", retries=0) for number in range(5)]
        come_back(agent)
    places = iter(range(len(STORY)))

    def bring_and_look() -> None:
        for place in places:
            with tenant_scope(acme.id):
                agent_work.backfill(agent, [late(check, at, *STORY)[place] for check in checks])
            with system_scope("a test hurries"):
                LookBack.unscoped.update(due_at=clock.now() - MINUTE)
            look_back_at_late_results()

    at_once(bring_and_look, workers=3)
    with tenant_scope(acme.id):
        look_back()

        assert [learned(check, at) for check in checks] == [KNOWN] * 5
        assert LookBack.objects.count() == 0


def test_a_check_waits_until_its_results_stop_coming_but_not_for_long(agent: Agent, silent_since: datetime) -> None:
    check = watched(agent, silent_since)
    come_back(agent)
    first, second, third = late(check, silent_since, GOOD, GOOD, GOOD)

    agent_work.backfill(agent, [second])
    noted = LookBack.objects.get()
    LookBack.objects.update(due_at=noted.noted_at)
    agent_work.backfill(agent, [third, first])
    moved = LookBack.objects.get()
    LookBack.objects.update(noted_at=noted.noted_at - AT_MOST)
    agent_work.backfill(agent, late(check, silent_since, GOOD, GOOD, GOOD, GOOD)[3:])

    assert (moved.since_at, moved.until_at) == (first.due_at, third.due_at)
    assert moved.due_at == moved.noted_at + QUIET  # the transaction's moment is the same
    assert LookBack.objects.get().due_at == noted.noted_at
    assert look_back_at_late_results() == 1


def test_old_hindsight_is_forgotten(agent: Agent, silent_since: datetime) -> None:
    check = watched(agent, silent_since)
    keep: Callable[[int], Hindsight] = lambda days: Hindsight.objects.create(  # noqa: E731
        watched=check,
        since_at=clock.now() - timedelta(days=days, hours=1),
        until_at=clock.now() - timedelta(days=days),
        state=State.UP,
    )
    keep(1_101)
    fresh = keep(1_099)

    forget_old_hindsight()

    assert list(Hindsight.objects.all()) == [fresh]
