"""What the agent tells late: after the present, each result in its order, and all of them."""

import threading
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from apps.checks.domain.agent_wire import OfferedTurn
from apps.checks.domain.turns import ClaimedTurn
from apps.checks.domain.wire_fields import to_wire_time
from apps.core import clock
from config.agent.backfill import LOOK_EVERY_SECONDS, OFFER_AGAIN_SECONDS
from config.agent.buffer import Buffer
from config.agent.records import Record
from tests.agent.stand_in import StandIn, await_true
from tests.agent.test_buffer import no_more_files
from tests.agent.test_work import Agent, agent, result_of, server, some_results

__all__ = ["agent", "server"]


def test_a_turn_whose_result_arrived_but_that_comes_again_is_told_as_history(agent: Agent, server: StandIn) -> None:
    offered = server.offer()
    (turn,) = agent.trade([], 10)
    agent.trade([result_of(turn)], 10)
    server.turns.append(OfferedTurn(offered.turn, offered.interval_seconds))
    (again,) = agent.trade([], 10)
    agent.backfill.start()

    agent.trade([result_of(again)], 10)

    assert again.due_at == turn.due_at
    await_true(lambda: server.results("late") != [])
    assert server.results("late") == [server.results("trade")[0]]


def test_of_a_short_absence_the_last_result_alone_is_news(agent: Agent, server: StandIn) -> None:
    (first,) = some_results(1)
    second = replace(first, due_at=first.due_at + timedelta(seconds=5))
    server.misbehave = lambda _call: (503, {}, b"")
    agent.trade([first], 10)
    agent.trade([second], 10)
    server.misbehave = None
    agent.link.came_up(waiting=2)
    agent.trade([], 10)
    agent.backfill.start()

    await_true(lambda: agent.buffer.waiting == 0)

    (news,) = server.results("trade")
    assert server.results("late")[-1] == news  # the older one before it
    assert len(set(server.results("late"))) == 2


def test_nothing_old_is_told_before_the_present(agent: Agent, server: StandIn) -> None:
    server.misbehave = lambda _call: (503, {}, b"")
    agent.trade(some_results(3), 10)
    server.misbehave = None
    agent.backfill.start()
    await_true(lambda: agent.link.is_up)
    server.calls.clear()
    threading.Event().wait(1)
    before = [call.verb for call in server.calls]

    agent.trade([], 10)
    await_true(lambda: agent.buffer.waiting == 0)

    assert "late" not in before
    assert [call.verb for call in server.calls if call.verb != "health"] == ["trade", "late"]


def test_history_that_is_not_taken_is_offered_again_and_costs_the_present_nothing(
    agent: Agent, server: StandIn
) -> None:
    agent.trade([], 10)
    agent.buffer.append([Record(uuid4(), clock.now(), b'["kept"]')])
    agent.link.fall_behind()
    server.misbehave = lambda call: (503, {}, b"") if call.verb == "late" else None

    rest = agent.backfill._once()
    kept = (agent.link.is_up, agent.buffer.waiting)
    server.misbehave = None
    agent.backfill._once()

    assert rest == OFFER_AGAIN_SECONDS
    assert kept == (True, 1)
    assert agent.buffer.waiting == 0


def test_each_absence_finds_it_alone_again(agent: Agent, server: StandIn) -> None:
    server.offer(interval=1)
    (turn,) = agent.trade([], 10)
    agent.trade([result_of(turn)], 10)
    agent.backfill.start()

    for _absence in range(2):
        server.misbehave = lambda _call: (503, {}, b"")
        made: list[ClaimedTurn] = []
        await_true(lambda made=made: bool(made.extend(agent.trade([], 10)) or made))
        agent.trade([result_of(made[0])], 0)
        server.misbehave = None
        await_true(lambda: agent.link.is_up)
        agent.trade([], 0)
        await_true(lambda: not agent.link.is_behind)
        agent.trade([], 0)

    assert agent.trade([], 10) == []  # the server makes the turns again


def test_a_result_that_comes_after_everything_was_told_is_told_too(agent: Agent, server: StandIn) -> None:
    server.offer(interval=1)
    (turn,) = agent.trade([], 10)
    server.misbehave = lambda _call: (503, {}, b"")
    agent.trade([result_of(turn)], 10)  # the server is lost, and the last result is on its way still
    agent.work.trade([], 0)
    server.misbehave = None
    agent.link.came_up(waiting=agent.buffer.waiting)
    agent.present.trade()
    for _round in range(3):
        agent.backfill._once()
    assert not agent.link.is_behind
    server.calls.clear()
    made = result_of(turn, due_at=turn.due_at + timedelta(seconds=1))

    agent.work.trade([made], 0)
    agent.backfill._once()

    assert server.results("late") == [(made.check_id, to_wire_time(made.due_at))]


def test_what_cannot_be_read_for_now_is_looked_at_again_without_haste(agent: Agent, server: StandIn) -> None:
    agent.trade([], 10)
    agent.buffer.append([Record(uuid4(), clock.now(), b'["kept"]')])
    agent.link.fall_behind()

    with no_more_files():
        assert agent.backfill._once() == LOOK_EVERY_SECONDS

    assert (agent.link.is_behind, agent.buffer.waiting) == (True, 1)


def test_what_comes_while_it_looks_whether_anything_waits_is_told_too(
    agent: Agent, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.trade([], 10)
    agent.link.fall_behind()

    def find_nothing_a_moment_before_something_comes(_buffer: Buffer) -> int:
        agent.link.fall_behind()
        return 0

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Buffer, "waiting", property(find_nothing_a_moment_before_something_comes))
        agent.backfill._once()

    assert agent.link.is_behind
    agent.backfill._once()
    assert not agent.link.is_behind
