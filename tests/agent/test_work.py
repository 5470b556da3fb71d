"""The agent's place of work, without its process: what it sends, what it does not lose, what it does not ask twice."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from apps.checks.domain.agent_wire import OfferedTurn
from apps.checks.domain.prober import Held, Prober
from apps.checks.domain.results import NewResult
from apps.checks.domain.turns import LEASE, ClaimedTurn
from apps.checks.domain.wire_fields import to_wire_time
from apps.checks.enums import Verdict
from apps.core import clock
from config.agent.backfill import Backfill
from config.agent.buffer import Buffer
from config.agent.connection import Connection
from config.agent.errors import ServerAway
from config.agent.link import Link
from config.agent.orders import OrderBook
from config.agent.part import Part
from config.agent.present import Present
from config.agent.process import start_all
from config.agent.server_clock import ServerClock, steady_seconds
from config.agent.work import AgentWork
from tests.agent.stand_in import Call, StandIn, await_true, serving, turn_of


class Agent:
    """An agent's parts, with the server reached already."""

    def __init__(self, url: str, server: StandIn, folder: Path) -> None:
        self.server_clock = ServerClock()
        self.buffer = Buffer(folder, max_bytes=10_000_000)
        self.link = Link(threading.Event(), is_behind=False)
        self.connection = Connection(url, server.token, self.server_clock)
        self.work = AgentWork(self.link, self.buffer, self.server_clock, OrderBook(frozenset()))
        self.present = Present(self.connection, self.link, self.work)
        history = Connection(url, server.token, self.server_clock)
        self.backfill = Backfill(history, self.link, self.buffer, self.server_clock, self.work)
        self.link.came_up(waiting=0)

    def trade(self, results: Sequence[NewResult], limit: int) -> list[ClaimedTurn]:
        """Leave results, have them traded for turns, and take those."""
        before = self.work.trade(results, limit)
        self.present.trade()
        taken = self.work.trade([], limit - len(before))
        self.link.answered()  # nobody trades for what this asked: it would look like a server that keeps silent
        return before + taken

    def close(self) -> None:
        self.link.stop.set()
        self.work.close()
        if self.present.is_alive():
            self.present.join()
        if self.backfill.is_alive():
            self.backfill.join()
        self.connection.close()
        self.buffer.close()


@pytest.fixture
def server() -> StandIn:
    return StandIn()


@pytest.fixture
def agent(server: StandIn, tmp_path: Path) -> Iterator[Agent]:
    with serving(server) as url:
        made = Agent(url, server, tmp_path)
        yield made
        made.close()


def result_of(turn: ClaimedTurn, **fields: object) -> NewResult:
    made = NewResult(turn.check_id, turn.tenant_id, turn.due_at, clock.now(), Verdict.SUCCESS, region_id=7)
    return replace(made, **fields)  # type: ignore[arg-type]


def some_results(count: int) -> list[NewResult]:
    now = clock.now()
    return [NewResult(uuid4(), uuid4(), now, now, Verdict.SUCCESS, region_id=7) for _number in range(count)]


def test_a_result_that_the_server_names_as_wrong_costs_no_other(agent: Agent, server: StandIn) -> None:
    results = some_results(5)

    def refuse_the_third(call: Call) -> tuple[int, dict[str, str], bytes]:
        ids = [row[0] for row in call.fields["results"]]
        if results[2].check_id.hex in ids:
            place = ids.index(results[2].check_id.hex)
            return 400, {}, json.dumps({"errors": {f"results[{place}].verdict": ["no"]}}).encode()
        server.calls.append(call)
        return call.answer()

    server.misbehave = refuse_the_third
    agent.trade(results, 0)

    assert [check for check, _due in server.results("trade")] == [
        result.check_id for result in results if result is not results[2]
    ]
    assert agent.link.is_up


def test_a_refusal_that_names_no_result_loses_none(agent: Agent, server: StandIn) -> None:
    server.misbehave = lambda _call: (400, {}, b'{"errors": {"limit": ["no"]}}')

    agent.trade(some_results(3), 0)

    assert (agent.link.is_up, agent.buffer.waiting) == (False, 3)


def test_what_stands_between_may_take_small_bodies_only(agent: Agent, server: StandIn) -> None:
    def refuse_many(call: Call) -> tuple[int, dict[str, str], bytes]:
        if len(call.fields["results"]) > 100:
            return 413, {}, b"<html>Request Entity Too Large"
        server.calls.append(call)
        return call.answer()

    server.misbehave = refuse_many
    agent.trade(some_results(1_000), 0)

    assert len(set(server.results("trade"))) == 1_000
    assert agent.link.is_up


def test_results_of_one_check_are_handed_in_one_after_the_other(agent: Agent, server: StandIn) -> None:
    (first,) = some_results(1)
    second = replace(first, due_at=first.due_at + timedelta(seconds=5))

    agent.trade([first, second], 10)

    assert [len(fields["results"]) for fields in server.asked("trade")] == [1, 1]
    assert [fields["limit"] for fields in server.asked("trade")] == [0, 10]


def test_settings_are_asked_for_once_a_version_and_kept_sealed(agent: Agent, server: StandIn) -> None:
    offered = server.offer(url="http://127.0.0.1:9/")
    known = server.settings[offered.turn.check_id]
    server.settings[offered.turn.check_id] = replace(known, secrets={"password": "hush-hush"})
    server.turns.append(offered)

    agent.trade([], 1)
    agent.trade([], 1)
    (version, settings) = agent.work.settings_of([offered.turn.check_id])[offered.turn.check_id]

    assert len(server.asked("settings")) == 1
    assert (version, settings.kind, "hush-hush" in settings.sealed) == (1, "http", False)
    assert settings.sealed


def test_a_turn_whose_settings_are_gone_is_left_alone(agent: Agent, server: StandIn) -> None:
    server.offer()
    server.settings.clear()

    assert agent.trade([], 10) == []


def test_turns_whose_settings_nobody_can_read_are_answered_and_cost_no_other(agent: Agent, server: StandIn) -> None:
    sealed, strange, good = server.offer(), server.offer(kind="NO KIND"), server.offer()
    del server.settings[sealed.turn.check_id]
    server.unreadable.append(sealed.turn.check_id)

    taken = agent.trade([], 10)
    agent.present.trade()

    assert [turn.check_id for turn in taken] == [good.turn.check_id]
    answers = {row[0]: (row[3], row[13]) for fields in server.asked("trade") for row in fields["results"]}
    unreadable = (int(Verdict.UNKNOWN), "settings_unreadable")
    assert answers == {each.turn.check_id.hex: unreadable for each in (sealed, strange)}


@pytest.mark.parametrize("minutes", [4, 45])  # in the end its order is too old to go on by
def test_the_last_result_is_news_for_as_long_as_the_server_judges_by_it(
    agent: Agent, server: StandIn, minutes: int
) -> None:
    hourly, minutely = server.offer(interval=3_600), server.offer(interval=60)
    turns = agent.trade([], 10)
    agent.link.went_down(ServerAway("gone"))
    agent.work.trade([result_of(turn) for turn in turns], 0)
    server.ahead = timedelta(minutes=minutes)
    agent.server_clock.take(server.now(), asked_at=steady_seconds(), heard_at=steady_seconds())
    agent.work.trade([], 0)

    batch, _are_all = agent.work.batch(10, 1_000_000)

    assert [pending.record.check_id for pending in batch] == [hourly.turn.check_id]
    assert minutely.turn.check_id in {record.check_id for record in agent.buffer.peek(10, 1_000_000, now=server.now())}


def test_a_lease_is_counted_on_for_so_long_as_any_server_grants_it(agent: Agent, server: StandIn) -> None:
    server.offer(interval=60)
    (turn,) = agent.trade([], 10)

    async def renewed() -> float:
        prober = Prober(agent.work, threading.Event())
        prober._loop = asyncio.get_running_loop()
        prober._held[turn.check_id.int] = held = Held(turn, 0.0, lease_ends=prober._loop.time())
        await prober._extend()
        prober._worker.shutdown()
        return held.lease_ends - prober._extended_at

    assert asyncio.run(renewed()) == pytest.approx(LEASE.total_seconds())
    assert [(verb, len(fields["extend"])) for verb, fields in agent.work.errands()] == [("leases", 1)]


def test_a_slow_beat_asks_no_further_ahead_than_the_server_takes(agent: Agent, server: StandIn) -> None:
    agent.work._traded_at -= 60.0

    agent.trade([], 10)

    assert [fields["ahead_ms"] for fields in server.asked("trade")] == [6_000]


def test_a_server_that_answered_long_ago_does_not_keep_silent(
    agent: Agent, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.trade([], 10)

    monkeypatch.setattr("config.agent.link.PATIENCE_SECONDS", 0.0)

    assert not agent.link.leaves_us_alone()


# --- errands ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "done", "left"),
    [
        (400, ["give_back"], []),  # one that is refused costs itself
        (503, [], ["extend", "give_back", "later"]),
    ],
)
def test_an_errand_that_fails_costs_none_behind_it(
    agent: Agent, server: StandIn, status: int, done: list[str], left: list[str]
) -> None:
    turns = [turn_of(uuid4(), clock.now()).turn for _turn in range(3)]
    names = {turn.check_id.hex: name for turn, name in zip(turns, ("extend", "give_back", "later"), strict=True)}

    def name_of(fields: dict[str, list[list[str]]]) -> str:
        return names[(fields["extend"] + fields["give_back"])[0][0]]

    def fail_the_first(call: Call) -> tuple[int, dict[str, str], bytes]:
        if call.verb == "leases" and name_of(call.fields) == "extend":
            if status == 503:
                agent.work.give_back(turns[2:])  # comes while the server is asked
            return status, {}, b"{}"
        server.calls.append(call)
        return call.answer()

    server.misbehave = fail_the_first
    agent.work.extend(turns[:1])
    agent.work.give_back(turns[1:2])
    agent.present.trade()

    assert [name_of(fields) for fields in server.asked("leases")] == done
    assert [name_of(fields) for _verb, fields in agent.work.errands()] == left


# --- how it begins ----------------------------------------------------------------------------------------------------


class Threadless(Part):
    """A part for which the machine has no thread left."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_a_part_that_cannot_start_ends_those_that_run(agent: Agent) -> None:
    last = Threadless("prober", agent.link.stop)

    start_all((agent.backfill, agent.present, last), agent.work, agent.link.stop)

    for part in (agent.backfill, agent.present):
        part.join(60)
    assert [part.is_alive() for part in (agent.backfill, agent.present)] == [False, False]
    assert [part.has_failed for part in (agent.backfill, agent.present, last)] == [False, False, True]


# --- a server that takes its time -------------------------------------------------------------------------------------


@pytest.fixture
def answers(server: StandIn) -> Iterator[threading.Event]:
    """While it is not set, the server takes questions and answers none."""
    is_answering = threading.Event()
    is_answering.set()

    def take_and_wait(call: Call) -> tuple[int, dict[str, str], bytes]:
        server.calls.append(call)
        answer = call.answer()
        is_answering.wait(60)
        return answer

    server.misbehave = take_and_wait
    yield is_answering
    is_answering.set()


def test_no_turn_waits_for_a_server_that_does_not_answer(
    agent: Agent, server: StandIn, answers: threading.Event
) -> None:
    offered = server.offer(interval=1)
    (turn,) = agent.trade([], 10)
    agent.trade([result_of(turn)], 10)
    asked = len(server.asked("trade"))
    answers.clear()
    agent.present.start()

    made: list[ClaimedTurn] = []
    await_true(lambda: bool(made.extend(agent.work.trade([], 10)) or made))

    assert len(server.asked("trade")) == asked + 1  # that one hangs still, and none after it
    assert agent.link.leaves_us_alone()
    assert (made[0].check_id, (made[0].due_at - offered.turn.due_at).total_seconds() % 1) == (turn.check_id, 0.0)


def test_a_late_answer_offers_nothing_that_was_probed_meanwhile(
    agent: Agent, server: StandIn, answers: threading.Event
) -> None:
    offered = server.offer(interval=1)
    (turn,) = agent.trade([], 10)
    agent.trade([result_of(turn)], 10)
    following = replace(offered.turn, due_at=offered.turn.due_at + timedelta(seconds=1), starts_in_seconds=0.0)
    server.turns.append(OfferedTurn(following, 1))  # claimed by the question that hangs
    answers.clear()
    agent.present.start()
    made: list[ClaimedTurn] = []
    await_true(lambda: bool(made.extend(agent.work.trade([], 10)) or made))
    agent.backfill.start()

    answers.set()
    await_true(lambda: not agent.link.leaves_us_alone())
    taken = agent.work.trade([result_of(made[0])], 10)

    assert [each.due_at for each in taken if each.due_at <= made[0].due_at] == []
    await_true(lambda: (turn.check_id, to_wire_time(made[0].due_at)) in server.results("late"))


def test_turns_that_passed_by_are_lost_unless_nobody_was_there(
    agent: Agent, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.skipped = 5

    monkeypatch.setattr("config.agent.link.SETTLING_SECONDS", 3_600.0)
    agent.trade([], 10)
    just_back = agent.work.losses.take().lost
    monkeypatch.setattr("config.agent.link.SETTLING_SECONDS", 0.0)
    agent.trade([], 10)

    assert (just_back, agent.work.losses.take().lost) == (0, 5)
