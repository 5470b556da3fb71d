"""Several processes with one token: while the server is away a check goes on where its turns were made, not everywhere."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from apps.checks.domain.agent_wire import OfferedTurn
from config.agent.work import AgentWork
from tests.agent.stand_in import StandIn, serving
from tests.agent.test_work import Agent, result_of, server

__all__ = ["server"]

LONG_ENOUGH = timedelta(minutes=2)


@pytest.fixture
def desks(server: StandIn, tmp_path: Path) -> Iterator[tuple[Agent, Agent]]:
    with serving(server) as url:
        made = Agent(url, server, tmp_path / "a"), Agent(url, server, tmp_path / "b")
        yield made
        for each in made:
            each.close()


def lose_the_server(server: StandIn, *desks: Agent) -> None:
    server.misbehave = lambda _call: (503, {}, b"")
    for each in desks:
        each.trade([], 0)


def checks_of(work: AgentWork) -> list[object]:
    return [turn.check_id for turn in work.trade([], 10)]


def test_a_check_whose_turns_another_process_has_by_now_is_not_probed_twice(
    desks: tuple[Agent, Agent], server: StandIn
) -> None:
    here, there = desks
    offered = server.offer(interval=1, timeout_seconds=1)
    (turn,) = here.trade([], 10)
    here.trade([result_of(turn)], 10)
    server.ahead = LONG_ENOUGH  # since then its turns have been made there
    following = replace(offered.turn, due_at=server.now())
    server.turns.append(OfferedTurn(following, offered.interval_seconds))
    (turn,) = there.trade([], 10)
    there.trade([result_of(turn)], 10)
    here.trade([], 10)

    lose_the_server(server, here, there)

    assert (checks_of(here.work), checks_of(there.work)) == ([], [turn.check_id])


def test_a_server_that_gave_all_it_was_asked_for_may_have_more_of_ours(
    desks: tuple[Agent, Agent], server: StandIn
) -> None:
    here, _there = desks
    server.offer(interval=1, timeout_seconds=1)
    (turn,) = here.trade([], 10)
    here.trade([result_of(turn)], 0)
    server.ahead = LONG_ENOUGH
    server.offer(interval=1, timeout_seconds=1)

    here.trade([], 1)

    assert here.work.checks == 2
    here.trade([], 1)
    assert here.work.checks == 1


@pytest.mark.parametrize("said", [False, None])
def test_a_server_that_does_not_say_that_it_gave_all_may_have_more_of_ours(
    desks: tuple[Agent, Agent], server: StandIn, said: bool | None
) -> None:
    here, _there = desks
    server.is_all = said
    server.offer(interval=1, timeout_seconds=1)
    (turn,) = here.trade([], 10)
    here.trade([result_of(turn)], 10)
    server.ahead = LONG_ENOUGH

    here.trade([], 10)

    assert here.work.checks == 1
    server.is_all = True
    here.trade([], 10)
    assert here.work.checks == 0
