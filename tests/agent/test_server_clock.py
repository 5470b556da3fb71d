"""The server's time as the agent knows it: kept for as long as the server is away, whatever this machine's clock says."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from apps.core import clock
from config.agent.server_clock import ServerClock, steady_seconds
from tests.agent.stand_in import StandIn, await_true
from tests.agent.test_work import Agent, agent, result_of, server

__all__ = ["agent", "server"]

SLOW_MACHINE = timedelta(minutes=30)


def heard(server_clock: ServerClock, ahead: timedelta, *, took: float = 0.0) -> None:
    """Have the clock hear an answer of a server that is so far ahead of this machine."""
    now = steady_seconds()
    server_clock.take(clock.now() + ahead, asked_at=now - took, heard_at=now)


def ahead_of_us(server_clock: ServerClock) -> timedelta:
    return server_clock.now() - clock.now()


@pytest.fixture
def server_clock() -> Iterator[ServerClock]:
    made = ServerClock()
    heard(made, timedelta(hours=3))
    return made


def test_an_estimate_in_doubt_is_still_the_best_there_is(server_clock: ServerClock) -> None:
    server_clock.doubt()

    assert (server_clock.is_known, server_clock.is_trusted) == (True, False)
    assert abs(ahead_of_us(server_clock) - timedelta(hours=3)) < SLOW_MACHINE


def test_in_doubt_the_next_date_wins_however_rough_it_is(server_clock: ServerClock) -> None:
    took = 6_000.0
    rough = timedelta(hours=3, seconds=1_000 - took / 2)  # which says no more than that the estimate may be right

    heard(server_clock, rough, took=took)
    before = ahead_of_us(server_clock)
    server_clock.doubt()
    heard(server_clock, rough, took=took)

    moved = (ahead_of_us(server_clock) - before).total_seconds()
    assert moved == pytest.approx(1_000.0, abs=300.0)
    assert server_clock.is_trusted


@pytest.mark.parametrize("ahead", [timedelta(hours=-3), timedelta(hours=3)])
def test_a_long_absence_moves_no_turn_to_this_machines_clock(
    agent: Agent, server: StandIn, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    monkeypatch.setattr("config.agent.backfill.DATE_HOLDS_SECONDS", 0.0)
    server.ahead = ahead
    server.offer(interval=1)
    (turn,) = agent.trade([], 10)
    agent.trade([result_of(turn)], 10)
    server.misbehave = lambda _call: (503, {}, b"")
    agent.trade([], 0)

    agent.backfill._once()
    made = []
    await_true(lambda: bool(made.extend(agent.work.trade([], 10)) or made))

    assert (agent.link.is_up, agent.server_clock.is_trusted) == (False, False)
    assert made[0].check_id == turn.check_id
    assert abs(made[0].due_at - server.now()) < SLOW_MACHINE


def test_after_a_long_absence_a_server_whose_clock_was_set_is_believed(
    agent: Agent, server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.trade([], 0)
    server.ahead = timedelta(hours=-1)

    agent.present.trade()
    agent.work.trade([], 0)
    agent.present.trade()
    agent.backfill._once()
    assert not agent.link.is_up  # a date so far off is held for a mistake at first
    monkeypatch.setattr("config.agent.backfill.DATE_HOLDS_SECONDS", 0.0)
    agent.backfill._once()

    assert agent.link.is_up
    assert abs(agent.server_clock.now() - server.now()) < SLOW_MACHINE
