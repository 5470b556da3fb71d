"""What one agent's prober asks of us: turns, settings, leases, signs of life, and results on time and late."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.postgres.functions import TransactionNow
from django.db import DataError

from apps.alerting.models import Alert
from apps.checks.domain import agent_work, agents
from apps.checks.domain.agent_words import Words
from apps.checks.domain.charts import latency_chart
from apps.checks.domain.checks import Timing, create_check, pause_check
from apps.checks.domain.queries import availability, latest_results
from apps.checks.domain.results import NewResult
from apps.checks.domain.rollups import roll_up, rolled_availability
from apps.checks.enums import State, Verdict
from apps.checks.models import (
    MAIN_REGION,
    Agent,
    Check,
    CheckState,
    Flip,
    HourRollup,
    Ping,
    Region,
    Result,
    RolledHour,
    SickSpell,
    Turn,
)
from apps.checks.types.http import HttpCheck
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.events.models import OutboxRow
from apps.incidents.models import Outage
from apps.tenants.models import Tenant
from tests.factories.checks import make_check
from tests.queries import queries_of

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def agent(in_acme: Tenant) -> Agent:
    made, _token = agents.create_agent(name="Office")
    made.region.seen_at = clock.now()
    made.region.save()
    return made


@pytest.fixture
def stranger(globex: Tenant) -> Check:
    with tenant_scope(globex.id):
        return make_check("theirs")


def watched(agent: Agent, name: str = "API", **fields: Any) -> Check:
    return make_check(name, regions=[agent.region_id], **fields)


def seen(check: Check, due_at: datetime, verdict: Verdict = Verdict.SUCCESS, **fields: Any) -> NewResult:
    given: dict[str, Any] = {"started_at": due_at, "total_ms": 20.0, **fields}
    return NewResult(
        check_id=check.id,
        tenant_id=check.tenant_id,
        region_id=check.regions[0],
        due_at=due_at,
        verdict=verdict,
        **given,
    )


def due_at(check: Check) -> datetime:
    found: datetime = Turn.objects.get(watched=check).due_at
    return found


# --- trade ------------------------------------------------------------------------------------------------------------


def test_an_agent_gets_the_turns_of_its_own_region_with_their_interval(agent: Agent) -> None:
    check = watched(agent, interval_seconds=30)
    make_check("elsewhere")

    [offered] = agent_work.trade(agent, [], limit=10).turns

    assert (offered.turn.check_id, offered.turn.due_at, offered.interval_seconds) == (check.id, due_at(check), 30)
    assert agent_work.trade(agent, [], limit=10).turns == []


def test_turns_are_claimed_as_far_ahead_as_the_agent_wants_within_a_lease(agent: Agent) -> None:
    for seconds in (2, 5, 20):
        Turn.objects.filter(watched=watched(agent, f"in {seconds}")).update(
            due_at=TransactionNow() + timedelta(seconds=seconds),
            claimable_at=TransactionNow() + timedelta(seconds=seconds),
        )

    def claimed(ahead_seconds: float) -> int:
        return len(agent_work.trade(agent, [], limit=10, ahead=timedelta(seconds=ahead_seconds)).turns)

    assert [claimed(seconds) for seconds in (0, 3, 60)] == [0, 1, 1]


def test_turns_that_nobody_ran_are_counted(agent: Agent) -> None:
    late, on_time = watched(agent, interval_seconds=10), watched(agent, "on time", interval_seconds=10)
    then = TransactionNow() - timedelta(seconds=37)
    Turn.objects.filter(watched=late).update(due_at=then, claimable_at=then)

    traded = agent_work.trade(agent, [], limit=10)

    assert {each.turn.check_id for each in traded.turns} == {late.id, on_time.id}
    assert (traded.skipped, agent_work.trade(agent, [], limit=10).skipped) == (3, 0)


def test_turns_of_kinds_that_the_agent_refuses_are_answered_without_it(agent: Agent) -> None:
    wanted, refused = watched(agent, state=State.UP), watched(agent, "name", kind="dns", state=State.UP)
    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1", words=Words(kinds=["http", "tcp"]))
    agent.refresh_from_db()

    traded = agent_work.trade(agent, [], limit=10)
    opened = agent_work.open_settings(agent, [wanted.id, refused.id])

    assert [each.turn.check_id for each in traded.turns] == [wanted.id]
    assert set(opened) == {wanted.id}  # whose secrets it has no use for, it is not told
    [answer] = Result.objects.filter(check_id=refused.id)
    assert (answer.verdict, answer.error_code, answer.error_values) == (
        Verdict.UNKNOWN,
        "kind_not_allowed",
        {"kind": "dns"},
    )
    assert CheckState.objects.get(watched=refused).state == State.UNKNOWN
    assert due_at(refused) > answer.due_at


def refusing(agent: Agent) -> Check:
    """A check of a kind that the agent says it does not run."""
    check = watched(agent, "name", kind="dns", state=State.UP)
    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1", words=Words(kinds=["http", "tcp"]))
    agent.refresh_from_db()
    return check


def test_an_answer_without_the_agent_is_not_of_the_future(agent: Agent) -> None:
    check = refusing(agent)
    ahead = TransactionNow() + timedelta(seconds=4)
    Turn.objects.filter(watched=check).update(due_at=ahead, claimable_at=ahead)

    agent_work.trade(agent, [], limit=10, ahead=timedelta(seconds=5))

    answer = Result.objects.get()
    assert answer.started_at <= clock.now() < answer.due_at


def test_a_turn_of_a_refused_kind_whose_result_came_late_already_moves_on(agent: Agent) -> None:
    check = refusing(agent)
    present = due_at(check)
    agent_work.backfill(agent, [seen(check, present)])
    Turn.objects.update(due_at=present, claimable_at=present)

    agent_work.trade(agent, [], limit=10)

    assert due_at(check) > present
    assert Result.objects.count() == 1


def test_an_answer_that_the_database_refuses_costs_no_other_turn(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusing(agent)
    wanted = watched(agent)

    def refuse(_results: object) -> None:
        raise DataError

    monkeypatch.setattr(agent_work, "store_results", refuse)

    assert [each.turn.check_id for each in agent_work.trade(agent, [], limit=10).turns] == [wanted.id]
    assert "cannot be stored" in caplog.text


def test_an_agent_that_does_not_tell_its_kinds_gets_every_turn(agent: Agent) -> None:
    checks = [watched(agent), watched(agent, "name", kind="dns")]
    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1", words=Words(kinds=["http"]))
    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="0")  # an earlier release has taken its place
    agent.refresh_from_db()

    assert len(agent_work.trade(agent, [], limit=10).turns) == len(checks)
    assert agent.kinds is None


def test_lost_turns_add_up_and_call_the_agent_overloaded_for_a_while(agent: Agent) -> None:
    for lost, late_ms in ((0, 5), (2, 900), (3, 40)):
        agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1", words=Words(lost=lost, late_ms=late_ms))

    agent.refresh_from_db()
    assert (agent.lost, agent.late_ms, agent.is_overloaded) == (5, 40, True)
    agent.lost_at = clock.now() - 6 * MINUTE
    assert agent.is_overloaded is False


def test_no_turns_are_claimed_where_there_is_no_room(agent: Agent) -> None:
    watched(agent)

    assert agent_work.trade(agent, [], limit=0).turns == []
    assert len(agent_work.trade(agent, [], limit=1).turns) == 1


def test_results_on_time_judge(agent: Agent) -> None:
    check = watched(agent, state=State.UP)
    [offered] = agent_work.trade(agent, [], limit=10).turns

    agent_work.trade(agent, [seen(check, offered.turn.due_at, Verdict.FAILURE, error_code="timeout")], limit=10)

    assert CheckState.objects.get(watched=check).state == State.DOWN
    assert Outage.objects.count() == 0  # opened by the event, which is on its way
    assert OutboxRow.objects.exists()


def test_results_of_others_checks_are_dropped_and_counted(agent: Agent, stranger: Check) -> None:
    mine, elsewhere = watched(agent), make_check("elsewhere")
    foreign = [seen(stranger, clock.now()), seen(elsewhere, clock.now()), seen(mine, clock.now())]

    with tenant_scope(agent.tenant_id):
        results = [replace(each, tenant_id=agent.tenant_id, region_id=agent.region_id) for each in foreign]
        agent_work.trade(agent, results, limit=0)

        assert [result.check_id for result in Result.objects.all()] == [mine.id]
        assert Agent.objects.get().dropped == 2
    with tenant_scope(stranger.tenant_id):
        assert not Result.objects.exists()


@pytest.mark.parametrize("minutes", [-36, 2, 60 * 24 * 400, -60 * 24 * 4_000])
def test_results_of_times_it_cannot_have_seen_are_dropped_and_counted(agent: Agent, minutes: int) -> None:
    check = watched(agent)
    good = clock.now()

    agent_work.trade(agent, [seen(check, good + minutes * MINUTE), seen(check, good)], limit=0)
    agent_work.backfill(agent, [seen(check, good + minutes * MINUTE)])

    assert [result.due_at for result in Result.objects.all()] == [good]
    assert Agent.objects.get().dropped == 2


def test_a_wrong_clock_cannot_put_a_start_before_its_turn_or_into_the_future(agent: Agent) -> None:
    check, at = watched(agent), clock.now() - timedelta(seconds=10)
    early = seen(check, at, started_at=at - 4 * MINUTE)
    hasty = seen(check, at + timedelta(seconds=1), started_at=at + 4 * MINUTE)

    agent_work.trade(agent, [early, hasty], limit=0)

    kept = list(Result.objects.order_by("due_at").values_list("started_at", flat=True))
    assert kept[0] == at
    assert kept[1] <= clock.now()


def test_a_result_that_the_database_refuses_costs_no_other(agent: Agent) -> None:
    one, other = watched(agent, "one"), watched(agent, "other")
    poisoned = seen(one, due_at(one), details={"text": "\x00"})

    agent_work.trade(agent, [poisoned, seen(other, due_at(other))], limit=0)

    assert [result.check_id for result in Result.objects.all()] == [other.id]


def test_trading_nothing_takes_few_statements(agent: Agent) -> None:
    watched(agent, due_at=clock.now() + MINUTE)

    # two savepoints and their release, the planner's hints twice, catching up, the claim
    assert queries_of(lambda: agent_work.trade(agent, [], limit=10)) == 8


def test_results_cost_the_same_for_one_and_for_many(agent: Agent) -> None:
    checks = [watched(agent, f"check {number}", interval_seconds=10) for number in range(5)]

    def hand_in(count: int) -> int:
        return (
            queries_of(
                lambda: agent_work.trade(agent, [seen(check, due_at(check)) for check in checks[:count]], limit=0)
            )
            - count
        )  # its own look-ups of the moments

    assert hand_in(1) == hand_in(5)


# --- coming back ------------------------------------------------------------------------------------------------------


def test_a_turn_long_past_is_probed_for_the_present_moment_of_its_grid(agent: Agent) -> None:
    began = clock.now() - 10 * MINUTE - timedelta(seconds=5)
    check = watched(agent, due_at=began, interval_seconds=60)

    [offered] = agent_work.trade(agent, [], limit=10).turns

    assert offered.turn.due_at == due_at(check) == began + 10 * MINUTE


@pytest.mark.parametrize(("minutes", "interval_seconds"), [(40, 3_600), (600, 3_600), (60 * 30, 86_400)])
def test_a_turn_too_far_back_to_be_believed_begins_anew(agent: Agent, minutes: int, interval_seconds: int) -> None:
    check = watched(agent, due_at=clock.now() - minutes * MINUTE, interval_seconds=interval_seconds)

    [offered] = agent_work.trade(agent, [], limit=10).turns
    agent_work.trade(agent, [seen(check, offered.turn.due_at)], limit=0)

    assert clock.now() - timedelta(seconds=10) < offered.turn.due_at <= clock.now()
    assert CheckState.objects.get(watched=check).state == State.UP


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
    assert any(value is not None for line in latency_chart(check, period="1h")["series"] for value in line["values"])
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


# --- settings, leases, signs of life ----------------------------------------------------------------------------------


def test_an_agent_is_told_the_secrets_of_its_own_checks_alone(agent: Agent, stranger: Check) -> None:
    config = replace(
        HttpCheck().sample(), url="https://intranet.example/", auth="basic", username="obsera", password="geheim"
    )
    with tenant_scope(agent.tenant_id):
        mine = create_check(name="mine", kind="http", config=config, timing=Timing(regions=(agent.region_id,)))
        elsewhere = create_check(name="elsewhere", kind="http", config=config, timing=Timing(regions=(MAIN_REGION,)))

        told = agent_work.open_settings(agent, [mine.id, elsewhere.id, stranger.id])

    assert list(told) == [mine.id]
    assert (told[mine.id].version, told[mine.id].kind) == (1, "http")
    assert told[mine.id].public["url"] == "https://intranet.example/"
    assert told[mine.id].secrets == {"headers": {"Accept": "text/plain"}, "password": "geheim"}


def test_settings_that_cannot_be_opened_cost_no_others(agent: Agent) -> None:
    good, broken = watched(agent, "good"), watched(agent, "broken", secrets="derived.AAAA")

    assert list(agent_work.open_settings(agent, [good.id, broken.id])) == [good.id]


def test_leases_are_kept_and_given_back_for_the_agents_own_turns(agent: Agent) -> None:
    mine, elsewhere = watched(agent), make_check("elsewhere")
    [offered] = agent_work.trade(agent, [], limit=10).turns
    Turn.objects.filter(watched=mine).update(claimable_at=clock.now())
    before = Turn.objects.get(watched=elsewhere).claimable_at

    agent_work.renew_leases(
        agent, extend=[(mine.id, offered.turn.due_at), (elsewhere.id, due_at(elsewhere))], give_up=[]
    )
    assert Turn.objects.get(watched=mine).claimable_at > clock.now() + timedelta(seconds=6)
    assert Turn.objects.get(watched=elsewhere).claimable_at == before

    agent_work.renew_leases(agent, extend=[], give_up=[(mine.id, offered.turn.due_at)])
    assert Turn.objects.get(watched=mine).claimable_at <= clock.now()


def test_a_sign_of_life_beats_the_heartbeat_and_is_noted(agent: Agent) -> None:
    Region.objects.filter(id=agent.region_id).update(seen_at=None)
    agent.region.refresh_from_db()

    agent_work.hear_of(agent, failed_controls=[], buffered=7, version="1.2.3" + "x" * 90, source_ip="192.0.2.7")

    kept = Agent.objects.select_related("region").get()
    assert (kept.buffered, kept.version) == (7, "1.2.3" + "x" * 35)
    assert kept.region.seen_at is not None
    ping = Ping.objects.get(watched=agent.heartbeat_id)
    assert (ping.signal, str(ping.source_ip)) == ("success", "192.0.2.7")
    assert CheckState.objects.get(watched=agent.heartbeat_id).state == State.UP


def test_a_silent_agent_is_an_outage_of_its_heartbeat(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.checks.domain.heartbeat_sweep import give_sign_of_life, sweep_heartbeats

    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1")
    later = clock.now() + timedelta(seconds=121)
    for seconds in range(0, 121, 5):
        monkeypatch.setattr(clock, "now", lambda seconds=seconds: later - timedelta(seconds=120 - seconds))
        give_sign_of_life()

    sweep_heartbeats()

    assert CheckState.objects.get(watched=agent.heartbeat_id).state == State.DOWN


def test_turns_that_a_clock_set_back_put_far_ahead_are_due_anew(agent: Agent) -> None:
    ahead = clock.now() + timedelta(hours=5)
    check = watched(agent, due_at=ahead, interval_seconds=60)

    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1")

    assert due_at(check) < clock.now() + timedelta(seconds=61)


def test_an_agent_whose_heartbeat_was_deleted_lives_on(agent: Agent) -> None:
    Check.objects.filter(id=agent.heartbeat_id).delete()
    fresh = Agent.objects.select_related("region").get()

    agent_work.hear_of(fresh, failed_controls=[], buffered=0, version="1")

    assert fresh.heartbeat_id is None
    assert not Ping.objects.exists()


def test_an_agent_in_a_sick_network_has_no_say_until_it_is_well(agent: Agent) -> None:
    agent_work.hear_of(agent, failed_controls=["https://one.example: timeout"], buffered=0, version="1")
    assert Region.objects.get(id=agent.region_id).sick_since_at is not None
    assert SickSpell.objects.get().failed_controls == ["https://one.example: timeout"]

    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1")
    assert Region.objects.get(id=agent.region_id).sick_since_at is None
