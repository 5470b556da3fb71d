"""How many results of a check an agent can hand in: all that its turns can have brought, and not many more."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count, cycle, pairwise

import pytest

from apps.checks.domain import agent_work, agents
from apps.checks.domain.agent_wire import OfferedTurn
from apps.checks.domain.results import NewResult
from apps.checks.domain.turns import ClaimedTurn
from apps.checks.domain.verdicts import Standing, next_standing, waits_for_retry
from apps.checks.enums import Verdict
from apps.checks.models import Agent, Check, Region, Result
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from config.agent.rota import Rota
from tests.checks.test_agent_work import MINUTE, agent, due_at, seen, watched
from tests.queries import queries_of
from tests.rivals import at_once

pytestmark = pytest.mark.django_db
__all__ = ["agent"]

SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
LONG_AGO = timedelta(days=2)


def settled(agent: Agent, **fields: object) -> Check:
    """A check that nobody has changed lately."""
    check = watched(agent, **fields)
    Check.objects.filter(id=check.id).update(updated_at=clock.now() - LONG_AGO)
    return check


def flood(check: Check, count: int = 2_000) -> list[NewResult]:
    """Results of moments so close to each other that no check has turns there."""
    began = clock.now() - 50 * MINUTE
    return [seen(check, began + number * MICROSECOND) for number in range(count)]


def alone(check: Check, *, minutes: int, interval_seconds: int, late_by: timedelta = timedelta()) -> list[NewResult]:
    """What an agent's process brings that went on by itself, by its own rota."""
    rota, began = Rota({}), clock.now() - minutes * MINUTE + late_by
    turn = ClaimedTurn(check.id, check.tenant_id, check.regions[0], 1, began, 0.0, 5, allows_private=True)
    rota.order(OfferedTurn(turn, interval_seconds), now=began)
    rota.finished(check.id, began, began, now=began)
    rota.go_alone(now=began)
    return [seen(check, began), *_made(rota, check, minutes)]


def _made(rota: Rota, check: Check, minutes: int) -> Iterator[NewResult]:
    began = rota.measured(check.id)
    assert began is not None
    for beat in range(minutes * 60):
        for turn in rota.due(now=began + beat * SECOND, limit=10):
            rota.finished(check.id, turn.due_at, turn.due_at, now=turn.due_at)
            yield seen(check, turn.due_at)


# --- what is honest is kept whole ------------------------------------------------------------------------------------


def test_half_an_hour_alone_at_the_shortest_interval_is_kept_whole(agent: Agent) -> None:
    checks = [settled(agent, name=name, interval_seconds=10) for name in ("one", "other")]
    brought = [result for check in checks for result in alone(check, minutes=30, interval_seconds=10)]

    told = [agent_work.backfill(agent, brought[start : start + 100]) for start in range(0, len(brought), 100)]

    assert len(brought) == 2 * 181
    assert [sum(each) for each in zip(*told, strict=True)] == [len(brought), 0]
    assert Result.objects.count() == len(brought)


def test_three_processes_that_all_went_on_with_a_check_lose_nothing(agent: Agent) -> None:
    check = settled(agent, interval_seconds=10)
    brought = [
        result
        for number in range(3)
        for result in alone(check, minutes=30, interval_seconds=10, late_by=number * 3.3 * SECOND)
    ]

    assert agent_work.backfill(agent, brought) == (len(brought), 0)


def test_every_retry_before_the_server_went_is_kept_beside_what_came_after(agent: Agent) -> None:
    check = settled(agent, interval_seconds=60, retries=10, retry_interval_seconds=1)
    began = clock.now() - 30 * MINUTE
    retried = [seen(check, began + number * 1.1 * SECOND, Verdict.FAILURE) for number in range(11)]
    went_on = [seen(check, retried[-1].due_at + number * MINUTE) for number in range(1, 29)]

    assert agent_work.backfill(agent, [*retried, *went_on]) == (39, 0)
    assert agent_work.backfill(agent, [*retried, *went_on]) == (0, 0)


@pytest.mark.parametrize("recoveries", [1, 5])
def test_whatever_the_servers_turns_bring_is_within_the_means_of_their_check(agent: Agent, recoveries: int) -> None:
    check = settled(agent, interval_seconds=10, retries=5, recoveries=recoveries, retry_interval_seconds=1)
    standing, at, moments = Standing(Verdict.SUCCESS), clock.now() - 20 * MINUTE, []
    for verdict in cycle([Verdict.FAILURE] * 6 + [Verdict.SUCCESS] * 5):
        if at > clock.now() - 2 * MINUTE:
            break
        moments.append(at)
        standing = next_standing(standing, verdict=verdict, retries=5, recoveries=recoveries)
        at += SECOND if waits_for_retry(standing) else 10 * SECOND

    assert any(after - before == SECOND for before, after in pairwise(moments))
    assert agent_work.backfill(agent, [seen(check, at) for at in moments]) == (len(moments), 0)


def test_an_interval_that_was_lengthened_meanwhile_costs_nothing_of_before(agent: Agent) -> None:
    check = watched(agent, interval_seconds=300)
    Check.objects.update(updated_at=clock.now() - 10 * MINUTE)

    brought = alone(check, minutes=30, interval_seconds=10)

    assert agent_work.backfill(agent, brought) == (181, 0)


def test_the_answer_to_a_turn_is_taken_however_many_came_before(agent: Agent) -> None:
    check = settled(agent)
    at = due_at(check)
    agent_work.backfill(agent, [seen(check, at - number * MICROSECOND) for number in range(1, 100)])

    agent_work.trade(agent, [seen(check, at)], limit=0)

    assert Result.objects.filter(due_at=at).exists()
    assert due_at(check) > at


# --- what is too much is dropped -------------------------------------------------------------------------------------


def test_more_results_than_a_check_has_turns_are_dropped_and_counted(agent: Agent) -> None:
    check = settled(agent, interval_seconds=60, retries=2)

    told = [agent_work.backfill(agent, flood(check)), agent_work.backfill(agent, flood(check))]

    kept = Result.objects.count()
    assert kept <= 2 * 12  # the flood may lie on the edge of two intervals
    assert told[0] == (kept, 2_000 - kept)
    assert sum(stored for stored, _dropped in told) == kept
    assert Agent.objects.get().dropped == sum(dropped for _stored, dropped in told)


def test_they_are_dropped_among_those_in_time_too(agent: Agent) -> None:
    check = settled(agent)
    at = due_at(check)

    for _request in range(3):
        agent_work.trade(agent, [seen(check, at - number * MICROSECOND) for number in range(500)], limit=0)

    assert Result.objects.count() <= 2 * 11 + 1
    assert Agent.objects.get().dropped >= 3 * (500 - 23)


def test_turns_still_to_come_cannot_be_answered_at_will(agent: Agent) -> None:
    check = settled(agent, interval_seconds=10, retries=3, retry_interval_seconds=1)

    for number in range(200):  # a failure and a success in turn make the next turn one that comes soon
        agent_work.trade(
            agent, [seen(check, due_at(check), Verdict.SUCCESS if number % 2 else Verdict.FAILURE)], limit=0
        )

    assert Result.objects.count() < 8 * 13  # of a minute that is still to come


def test_the_flood_of_one_check_costs_no_other(agent: Agent) -> None:
    loud, quiet = settled(agent, name="loud"), settled(agent, name="quiet")
    calm = [seen(quiet, clock.now() - number * MINUTE) for number in range(10, 40)]

    agent_work.backfill(agent, [*flood(loud, 500), *calm])

    assert Result.objects.filter(check_id=quiet.id).count() == 30


def test_another_regions_results_take_no_room(agent: Agent) -> None:
    check = settled(agent)
    results = flood(check, 10)
    other = Region.objects.create(id=900, code="other")
    Result.objects.bulk_create(
        Result(
            tenant_id=check.tenant_id,
            check_id=check.id,
            region_id=other.id,
            due_at=each.due_at,
            started_at=each.due_at,
            verdict=Verdict.SUCCESS,
        )
        for each in flood(check, 50)
    )

    assert agent_work.backfill(agent, results) == (10, 0)


def test_counting_costs_the_same_for_one_and_for_many(agent: Agent) -> None:
    check = settled(agent)
    results = alone(check, minutes=30, interval_seconds=60)

    counts = [queries_of(lambda some=some: agent_work.backfill(agent, some)) for some in (results[:1], results[1:])]

    assert counts[0] == counts[1]


@pytest.mark.django_db(transaction=True)
def test_requests_at_once_bring_no_more_than_one_after_the_other(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        made, _token = agents.create_agent(name="Office")
        check = settled(made)
        began = clock.now() - 50 * MINUTE
    requests = count()

    def bring() -> None:
        shift = next(requests) * MICROSECOND
        with tenant_scope(acme.id):
            agent_work.backfill(made, [seen(check, began + 10 * number * MICROSECOND + shift) for number in range(20)])

    at_once(bring, workers=4)

    with tenant_scope(acme.id):
        assert Result.objects.count() <= 2 * 10
