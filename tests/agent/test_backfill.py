"""What the agent tells late: after the present, each result in its order, and all of them."""

import json
import threading
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from apps.checks.domain.agent_wire import OfferedTurn
from apps.checks.domain.turns import ClaimedTurn
from apps.checks.domain.wire_fields import to_wire_time
from apps.core import clock
from config.agent import backfill
from config.agent.backfill import LOOK_EVERY_SECONDS, rest_after
from config.agent.buffer import MAX_AGE, Buffer
from config.agent.errors import ServerAway
from config.agent.portion import FEW
from config.agent.records import Record
from tests.agent.stand_in import Call, StandIn, await_true
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

    agent.backfill._once()
    kept = (agent.link.is_up, agent.buffer.waiting)
    server.misbehave = None
    agent.backfill.start()

    assert kept == (True, 1)
    await_true(lambda: agent.buffer.waiting == 0)
    assert server.asked("late") == [{"results": [["kept"]]}]


def test_history_that_has_to_wait_keeps_nobody_from_knocking(agent: Agent, server: StandIn) -> None:
    agent.trade([], 10)
    agent.buffer.append([Record(uuid4(), clock.now(), b'["kept"]')])
    agent.link.fall_behind()
    offers: list[str] = []

    def ask_for_patience(call: Call) -> tuple[int, dict[str, str], bytes]:
        offers.append(call.verb)
        return 503, {"Retry-After": "3600"}, b""

    server.misbehave = ask_for_patience
    rests = [agent.backfill._once() for _look in range(3)]
    agent.link.went_down(ServerAway("it starts anew"))
    server.misbehave = None

    agent.backfill._once()

    assert (rests, offers) == ([LOOK_EVERY_SECONDS] * 3, ["late"])
    assert agent.link.is_up
    agent.trade([], 10)
    agent.backfill._once()  # what the server wished for before it went is forgotten
    assert agent.buffer.waiting == 0


# --- what the server stumbles over ------------------------------------------------------------------------------------


def stumble_over(server: StandIn, wrong: Record, status: int) -> list[int]:
    """Have the server refuse each `late` that holds one row, without naming it; return how many each held."""
    held: list[int] = []

    def answer(call: Call) -> tuple[int, dict[str, str], bytes]:
        if call.verb == "late" and json.loads(wrong.row) in call.fields["results"]:
            held.append(len(call.fields["results"]))
            return status, {}, b"{}"
        server.calls.append(call)
        answered: tuple[int, dict[str, str], bytes] = call.answer()
        return answered

    server.misbehave = answer
    return held


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "OFFER_AGAIN_SECONDS", 0.0)


def kept_records(count: int) -> list[Record]:
    return [Record(uuid4(), clock.now(), b"[%d]" % number) for number in range(count)]


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("status", [500, 400, 403])
@pytest.mark.parametrize("place", [0, 7, 19])
def test_a_result_that_the_server_stumbles_over_costs_no_other(
    agent: Agent, server: StandIn, caplog: pytest.LogCaptureFixture, status: int, place: int
) -> None:
    records = kept_records(20)
    agent.trade([], 10)
    agent.buffer.append(records)
    agent.link.fall_behind()
    held = stumble_over(server, records[place], status)

    for _look in range(60):
        agent.backfill._once()

    told = [row for fields in server.asked("late") for row in fields["results"]]
    assert sorted(told) == [[number] for number in range(20) if number != place]
    assert held[:FEW] == [20] * FEW
    assert held[-FEW:] == [1] * FEW
    assert (agent.link.is_up, agent.link.is_behind, agent.buffer.waiting) == (True, False, 0)
    assert "1 late results were refused by the server and are lost, 1 so far" in caplog.text


@pytest.mark.usefixtures("unhurried")
def test_news_that_the_server_stumbles_over_leaves_it_the_turns_in_the_end(agent: Agent, server: StandIn) -> None:
    records = kept_records(5)
    agent.trade([], 10)
    agent.work.newest.note(records)
    agent.link.fall_behind()
    stumble_over(server, records[2], 500)

    for _look in range(30):
        agent.backfill._once()

    assert agent.link.has_told_newest
    assert [row for fields in server.asked("late") for row in fields["results"]] == [[0], [1], [3], [4]]


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("status", [503, 429])
def test_a_busy_server_is_told_less_at_a_time_and_nothing_is_lost(agent: Agent, server: StandIn, status: int) -> None:
    records = kept_records(4)
    agent.trade([], 10)
    agent.buffer.append(records)
    agent.link.fall_behind()
    held = stumble_over(server, records[0], status)

    for _look in range(20):
        agent.backfill._once()
    kept = agent.buffer.waiting
    server.misbehave = None
    for _look in range(20):
        agent.backfill._once()

    assert held[:6] == [4, 4, 4, 2, 1, 1]
    assert set(held[6:]) == {1}
    assert kept == 4
    assert agent.buffer.waiting == 0


@pytest.mark.usefixtures("unhurried")
def test_nothing_is_let_go_of_while_the_present_is_not_traded(agent: Agent, server: StandIn) -> None:
    (record,) = kept_records(1)
    agent.trade([], 10)
    agent.buffer.append([record])
    agent.link.fall_behind()

    def lose_the_present(_call: Call) -> tuple[int, dict[str, str], bytes]:
        agent.link.has_traded = False
        return 500, {}, b""

    server.misbehave = lose_the_present
    for _look in range(10):
        agent.backfill._once()
        agent.link.has_traded = True

    assert agent.buffer.waiting == 1


def test_news_too_old_for_the_server_is_news_no_more(agent: Agent, server: StandIn) -> None:
    agent.trade([], 10)
    (young,) = kept_records(1)
    old = Record(uuid4(), clock.now() - MAX_AGE - timedelta(seconds=1), b'["old"]')
    agent.work.newest.note([old, young])
    agent.link.fall_behind()

    for _look in range(2):
        agent.backfill._once()

    assert server.asked("late") == [{"results": [[0]]}]
    assert agent.link.has_told_newest


@pytest.mark.usefixtures("unhurried")
def test_that_history_is_not_taken_is_said_every_minute(
    agent: Agent, server: StandIn, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.trade([], 10)
    agent.buffer.append(kept_records(1))
    agent.link.fall_behind()
    server.misbehave = lambda call: (503, {}, b"") if call.verb == "late" else None

    def look(times: int) -> int:
        caplog.clear()
        for _look in range(times):
            agent.backfill._once()
        return caplog.text.count("what waits was not taken and is offered again")

    assert look(3) == 1
    monkeypatch.setattr(backfill, "SAY_EVERY_SECONDS", 0.0)
    assert look(3) == 3


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


@pytest.mark.parametrize(("took", "rest"), [(0.05, 0.02), (0.5, 0.25), (2.0, 2.0)])
def test_the_longer_history_took_the_longer_is_the_rest(took: float, rest: float) -> None:
    assert rest_after(took) == rest
