"""What one agent's prober asks of us: turns, settings, leases, and to take results on time."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.postgres.functions import TransactionNow
from django.db import DataError, OperationalError, ProgrammingError
from django.db.models import F

from apps.checks.domain import agent_work, agents
from apps.checks.domain.agent_words import Words
from apps.checks.domain.checks import Timing, create_check
from apps.checks.domain.results import NewResult
from apps.checks.enums import State, Verdict
from apps.checks.models import MAIN_REGION, Agent, Check, CheckState, Result, Turn
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
    opened, _unreadable = agent_work.open_settings(agent, [wanted.id, refused.id])

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


@pytest.mark.parametrize(("error", "told"), [(DataError, "cannot be stored"), (OperationalError, "were not answered")])
def test_an_answer_that_the_database_refuses_costs_no_other_turn(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: type[Exception], told: str
) -> None:
    refusing(agent)
    wanted = watched(agent)

    def refuse(_results: object) -> None:
        raise error

    monkeypatch.setattr(agent_work, "store_results", refuse)

    assert [each.turn.check_id for each in agent_work.trade(agent, [], limit=10).turns] == [wanted.id]
    assert told in caplog.text


def test_an_agent_that_does_not_tell_its_kinds_gets_every_turn(agent: Agent) -> None:
    checks = [watched(agent), watched(agent, "name", kind="dns")]
    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1", words=Words(kinds=["http"]))
    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="0")  # an earlier release has taken its place
    agent.refresh_from_db()

    assert len(agent_work.trade(agent, [], limit=10).turns) == len(checks)
    assert agent.kinds is None


def test_it_is_told_whether_other_turns_were_due(agent: Agent) -> None:
    for name in "abcd":
        watched(agent, name)

    told = [agent_work.trade(agent, [], limit=limit).is_all for limit in (0, 2, 2, 2)]

    assert told == [False, False, False, True]  # a third answer was needed to know


def test_turns_that_are_answered_without_the_agent_leave_others_waiting(agent: Agent) -> None:
    refusing(agent)
    wanted = watched(agent)
    Turn.objects.filter(watched=wanted).update(
        claimable_at=F("claimable_at") + timedelta(seconds=1)
    )  # claimed after it

    first, second = (agent_work.trade(agent, [], limit=1, ahead=timedelta(seconds=3)) for _trade in range(2))

    assert (first.turns, first.is_all) == ([], False)
    assert [each.turn.check_id for each in second.turns] == [wanted.id]


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


@pytest.mark.parametrize("minutes", [-66, 2, 60 * 24 * 400, -60 * 24 * 4_000])
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


# --- settings, leases -------------------------------------------------------------------------------------------------


def test_an_agent_is_told_the_secrets_of_its_own_checks_alone(agent: Agent, stranger: Check) -> None:
    config = replace(
        HttpCheck().sample(), url="https://intranet.example/", auth="basic", username="obsera", password="geheim"
    )
    with tenant_scope(agent.tenant_id):
        mine = create_check(name="mine", kind="http", config=config, timing=Timing(regions=(agent.region_id,)))
        elsewhere = create_check(name="elsewhere", kind="http", config=config, timing=Timing(regions=(MAIN_REGION,)))

        told, unreadable = agent_work.open_settings(agent, [mine.id, elsewhere.id, stranger.id])

    assert (list(told), unreadable) == ([mine.id], [])
    assert (told[mine.id].version, told[mine.id].kind) == (1, "http")
    assert told[mine.id].public["url"] == "https://intranet.example/"
    assert told[mine.id].secrets == {"headers": {"Accept": "text/plain"}, "password": "geheim"}


def test_settings_that_cannot_be_opened_cost_no_others(agent: Agent) -> None:
    good, broken = watched(agent, "good"), watched(agent, "broken", secrets="derived.AAAA")

    opened, unreadable = agent_work.open_settings(agent, [good.id, broken.id])

    assert (list(opened), unreadable) == ([good.id], [broken.id])


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


def test_a_failure_of_what_is_down_already_is_no_news_to_an_agent_either(agent: Agent) -> None:
    well, down = watched(agent), watched(agent, "down")
    Turn.objects.filter(watched=down).update(opinion=Verdict.FAILURE)

    turns = agent_work.trade(agent, [], limit=10).turns

    assert {each.turn.check_id: each.turn.is_news for each in turns} == {well.id: True, down.id: False}


def test_results_are_kept_by_the_agent_where_the_tables_are_of_another_release(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = watched(agent)
    result = seen(check, due_at(check))

    def refuse(_results: object) -> None:
        raise ProgrammingError

    with monkeypatch.context() as patched:
        patched.setattr(agent_work, "store_results", refuse)
        with pytest.raises(ProgrammingError):
            agent_work.trade(agent, [result], limit=0)
    agent_work.trade(agent, [result], limit=0)

    assert Result.objects.count() == 1
