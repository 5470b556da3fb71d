"""What a sign of life tells of lost turns: each of them once, whoever tells it, and none less when nobody heard."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from config.agent.buffer import Buffer
from config.agent.connection import Connection
from config.agent.errors import ServerAway
from config.agent.link import Link
from config.agent.losses import Tally
from config.agent.orders import OrderBook
from config.agent.present import say_life
from config.agent.server_clock import ServerClock
from config.agent.work import AgentWork
from tests.agent.stand_in import Call, StandIn, serving


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[AgentWork]:
    buffer = Buffer(tmp_path, max_bytes=1_000_000)
    yield AgentWork(Link(threading.Event(), is_behind=False), buffer, ServerClock(), OrderBook(frozenset()))
    buffer.close()


def told(server: StandIn) -> list[tuple[int, int]]:
    return [(fields["lost"], fields["late_ms"]) for fields in server.asked("health")]


def test_losses_are_told_once_though_two_tell_at_the_same_time(desk: AgentWork) -> None:
    server = StandIn()
    desk.losses.note(5, timedelta(seconds=2))

    with serving(server) as url:
        present, history = (Connection(url, server.token, ServerClock()) for _thread in range(2))

        def hear_the_other_first(call: Call) -> tuple[int, dict[str, str], bytes]:
            server.misbehave = None
            say_life(history, desk)
            server.calls.append(call)
            return call.answer()

        server.misbehave = hear_the_other_first
        say_life(present, desk)
        present.close()
        history.close()

    assert told(server) == [(0, 0), (5, 2_000)]
    assert desk.losses.take() == Tally()


def test_losses_that_nobody_heard_of_are_told_the_next_time(desk: AgentWork) -> None:
    server = StandIn()
    desk.losses.note(5, timedelta(seconds=2))

    with serving(server) as url:
        connection = Connection(url, server.token, ServerClock())

        def lose_more_and_fail(_call: Call) -> tuple[int, dict[str, str], bytes]:
            desk.losses.note(2, timedelta(seconds=1))
            return 503, {}, b""

        server.misbehave = lose_more_and_fail
        with pytest.raises(ServerAway):
            say_life(connection, desk)
        server.misbehave = None
        say_life(connection, desk)
        connection.close()

    assert told(server) == [(7, 2_000)]
