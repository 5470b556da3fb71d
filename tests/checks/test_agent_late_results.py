"""An agent that comes back: which turns it gets, and what becomes of the results that it hands in late."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError

from apps.alerting.models import Alert
from apps.checks.domain import agent_work
from apps.checks.domain.charts import latency_chart
from apps.checks.domain.checks import pause_check
from apps.checks.domain.queries import availability, latest_results
from apps.checks.domain.rollups import roll_up, rolled_availability
from apps.checks.enums import State, Verdict
from apps.checks.models import Agent, CheckState, Flip, HourRollup, Region, Result, RolledHour, Turn
from apps.core import clock
from apps.events.models import OutboxRow
from apps.incidents.models import Outage
from tests.checks.test_agent_work import MINUTE, agent, due_at, seen, watched
from tests.queries import queries_of

pytestmark = pytest.mark.django_db
__all__ = ["agent"]


# --- coming back ------------------------------------------------------------------------------------------------------


def test_a_turn_long_past_is_probed_for_the_present_moment_of_its_grid(agent: Agent) -> None:
    began = clock.now() - 10 * MINUTE - timedelta(seconds=5)
    check = watched(agent, due_at=began, interval_seconds=60)

    [offered] = agent_work.trade(agent, [], limit=10).turns

    assert offered.turn.due_at == due_at(check) == began + 10 * MINUTE


@pytest.mark.parametrize(("minutes", "interval_seconds"), [(57, 3_600), (600, 3_600), (60 * 30, 86_400)])
def test_a_turn_too_far_back_to_be_believed_begins_anew(agent: Agent, minutes: int, interval_seconds: int) -> None:
    check = watched(agent, due_at=clock.now() - minutes * MINUTE, interval_seconds=interval_seconds)

    [offered] = agent_work.trade(agent, [], limit=10).turns
    agent_work.trade(agent, [seen(check, offered.turn.due_at)], limit=0)

    assert clock.now() - timedelta(seconds=10) < offered.turn.due_at <= clock.now()
    assert CheckState.objects.get(watched=check).state == State.UP


def test_a_turn_that_is_believed_yet_keeps_its_moment(agent: Agent) -> None:
    began = clock.now() - 40 * MINUTE
    check = watched(agent, due_at=began, interval_seconds=3_600)

    [offered] = agent_work.trade(agent, [], limit=10).turns
    agent_work.trade(agent, [seen(check, offered.turn.due_at, started_at=clock.now())], limit=0)

    assert (offered.turn.due_at, Result.objects.get().due_at) == (began, began)


def test_what_was_unseen_is_told_before_the_first_result(agent: Agent) -> None:
    silent_since = clock.now() - 10 * MINUTE
    check = watched(agent, state=State.UP, due_at=silent_since)
    Turn.objects.update(run_since_at=silent_since - MINUTE)
    Region.objects.filter(id=agent.region_id).update(seen_at=silent_since)
    agent.region.refresh_from_db()

    [offered] = agent_work.trade(agent, [], limit=10).turns
    agent_work.trade(agent, [seen(check, offered.turn.due_at)], limit=10)

    assert [flip.after for flip in Flip.objects.order_by("sequence")] == ["unknown", "up"]
    assert Turn.objects.get(watched=check).opinion == Verdict.SUCCESS


# --- late results -----------------------------------------------------------------------------------------------------


def test_late_results_fill_the_gap_and_nobody_is_told(agent: Agent) -> None:
    began = clock.now() - 20 * MINUTE
    check = watched(agent, state=State.UP, due_at=began, interval_seconds=60)
    late = [
        seen(
            check,
            began + number * MINUTE,
            Verdict.FAILURE if number % 2 else Verdict.SUCCESS,
            error_code="timeout" if number % 2 else "",
            first_byte_ms=15.0,
        )
        for number in range(18)
    ]

    said = OutboxRow.objects.count()

    assert agent_work.backfill(agent, late) == (18, 0)
    assert agent_work.backfill(agent, late) == (0, 0)

    assert Result.objects.count() == 18
    assert availability(check.id, since=began - MINUTE).measured == 18
    assert availability(check.id, since=began - MINUTE).good == 9
    assert len(latest_results(check.id)) == 18
    lines = latency_chart(check, period="1h")["series"]
    assert {line["name"]: [value for value in line["values"] if value is not None] for line in lines} == {
        **dict.fromkeys(["DNS", "Connect", "TLS", "Transfer"], [0.0] * 18),
        "First byte": [15.0] * 18,
    }
    assert (Flip.objects.count(), Outage.objects.count(), Alert.objects.count()) == (0, 0, 0)
    assert OutboxRow.objects.count() == said
    standing = Turn.objects.get(watched=check)
    assert (standing.opinion, standing.failures, standing.last_result_at) == (Verdict.SUCCESS, 0, None)
    assert CheckState.objects.get(watched=check).state == State.UP


def test_late_results_move_a_past_turn_to_the_next_moment_of_its_grid(agent: Agent) -> None:
    began = clock.now() - 5 * MINUTE - timedelta(seconds=30)
    check = watched(agent, due_at=began, interval_seconds=60)

    agent_work.backfill(agent, [seen(check, began + number * MINUTE) for number in range(6)])

    assert due_at(check) == began + 6 * MINUTE
    assert Turn.objects.get(watched=check).claimable_at == due_at(check)


def test_a_turn_whose_result_came_late_already_moves_on(agent: Agent) -> None:
    check = watched(agent)
    present = due_at(check)
    agent_work.backfill(agent, [seen(check, present)])
    Turn.objects.update(due_at=present, claimable_at=present)  # as catching up may put it onto that moment

    agent_work.trade(agent, [seen(check, present)], limit=0)

    assert due_at(check) > present
    assert Result.objects.count() == 1


def test_late_results_leave_a_turn_alone_that_lies_after_them(agent: Agent) -> None:
    began = clock.now() - 5 * MINUTE - timedelta(seconds=30)
    check = watched(agent, due_at=began, interval_seconds=60)
    [offered] = agent_work.trade(agent, [], limit=10).turns
    leased_until = Turn.objects.get(watched=check).claimable_at

    agent_work.backfill(agent, [seen(check, began + number * MINUTE) for number in range(3)])

    assert (due_at(check), Turn.objects.get(watched=check).claimable_at) == (offered.turn.due_at, leased_until)


def test_late_results_do_not_wake_a_paused_check(agent: Agent) -> None:
    began = clock.now() - 5 * MINUTE
    check = watched(agent, due_at=began)
    pause_check(check)

    assert agent_work.backfill(agent, [seen(check, began)]) == (1, 0)

    assert Turn.objects.get(watched=check).claimable_at is None
    assert CheckState.objects.get(watched=check).state == State.PAUSED


def test_a_late_slow_result_counts_as_slow(agent: Agent) -> None:
    at = clock.now() - 5 * MINUTE
    check = watched(agent, due_at=at, degraded_ms=100)

    agent_work.backfill(agent, [seen(check, at, total_ms=100.5), seen(check, at + MINUTE, total_ms=99.5)])

    assert list(Result.objects.order_by("due_at").values_list("verdict", flat=True)) == [2, 1]


def test_everything_a_late_result_saw_is_kept(agent: Agent) -> None:
    at = clock.now() - 5 * MINUTE
    check = watched(agent, due_at=at)
    fields: dict[str, Any] = {
        **{"status_code": 503, "dns_ms": 1.5, "connect_ms": 2.5, "tls_ms": 3.5, "first_byte_ms": 4.5},
        **{"transfer_ms": 5.5, "total_ms": 17.5, "body_bytes": 12, "remote_ip": "2001:db8::1"},
        **{"error_code": "status", "error_values": {"status": 503}, "details": {"steps": [1, "ü"]}},
    }

    agent_work.backfill(agent, [seen(check, at, Verdict.FAILURE, **fields), seen(check, at + MINUTE)])

    kept = Result.objects.order_by("due_at").first()
    assert kept is not None
    assert {name: getattr(kept, name) for name in fields} == fields
    assert (kept.tenant_id, kept.region_id, kept.started_at) == (agent.tenant_id, agent.region_id, at)


@pytest.mark.parametrize(
    ("interval_seconds", "seconds", "judges"), [(10, 65, True), (10, 75, False), (60, 125, True), (60, 135, False)]
)
def test_a_result_in_trade_that_is_old_judges_nothing(
    agent: Agent, interval_seconds: int, seconds: int, judges: bool
) -> None:
    at = clock.now() - timedelta(seconds=seconds)
    check = watched(agent, state=State.UP, due_at=at, interval_seconds=interval_seconds, timeout_seconds=10)

    agent_work.trade(agent, [seen(check, at, Verdict.FAILURE, error_code="timeout")], limit=0)

    assert Result.objects.count() == 1
    assert Flip.objects.count() == int(judges)


@pytest.mark.parametrize("verb", ["late", "trade"])
def test_a_late_result_that_the_database_refuses_costs_no_other(
    agent: Agent, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    began = clock.now() - 20 * MINUTE
    checks = [watched(agent, name, due_at=began, interval_seconds=60) for name in ("one", "other")]
    told = [seen(check, began + number * MINUTE) for number in range(8) for check in checks]
    told[5] = replace(told[5], details={"text": "\x00"})

    if verb == "late":
        assert agent_work.backfill(agent, told) == (15, 0)
    else:
        agent_work.trade(agent, told, limit=0)

    kept = set(Result.objects.values_list("check_id", "due_at"))
    assert kept == {(each.check_id, each.due_at) for each in told if each is not told[5]}
    assert all(due_at(check) > told[-1].due_at for check in checks)
    assert f"a late result of check {told[5].check_id} cannot be stored" in caplog.text


def test_late_results_that_the_database_has_no_time_for_are_refused_as_a_whole(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = watched(agent)

    def refuse(_results: object) -> int:
        raise OperationalError

    monkeypatch.setattr(agent_work, "store_late", refuse)

    with pytest.raises(OperationalError):
        agent_work.backfill(agent, [seen(check, clock.now() - 5 * MINUTE)])


def test_late_results_have_their_hours_rolled_up_anew(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    present = clock.now().replace(minute=10, second=0, microsecond=0)
    monkeypatch.setattr(clock, "now", lambda: present)
    at = present - 20 * MINUTE  # in the hour before
    check = watched(agent, due_at=at)
    agent_work.trade(agent, [seen(check, at)], limit=0)
    roll_up()
    assert (HourRollup.objects.get().good, RolledHour.objects.get().rolled_at is None) == (1, False)

    agent_work.backfill(agent, [seen(check, at + MINUTE, Verdict.FAILURE, error_code="timeout")])
    assert RolledHour.objects.get().rolled_at is None
    roll_up()

    rolled = HourRollup.objects.get()
    assert (rolled.good, rolled.failed) == (1, 1)
    day = rolled_availability(check.id, since=present - timedelta(days=1))
    assert (day.measured, day.good) == (2, 1)


def test_late_results_cost_the_same_for_one_and_for_many(agent: Agent) -> None:
    began = clock.now() - 30 * MINUTE
    check = watched(agent, due_at=began)

    counts = {
        count: queries_of(
            lambda count=count: agent_work.backfill(
                agent, [seen(check, began + timedelta(seconds=number)) for number in range(count)]
            )
        )
        for count in (1, 100)
    }

    assert counts[1] == counts[100]
