"""What is too large for one end: the agent tells less, or asks for less at a time, and stays in touch."""

from apps.checks.domain.agent_wire import MAX_CONTROLS, decode_texts
from tests.agent.stand_in import StandIn
from tests.agent.test_work import Agent, agent, server

__all__ = ["agent", "server"]


def test_of_failed_controls_it_tells_what_the_server_takes(agent: Agent, server: StandIn) -> None:
    controls = [f"https://{number:03}.example/{'x' * 400}: timeout" for number in range(MAX_CONTROLS + 10)]

    agent.work.say_sick(controls)
    agent.present.trade()

    (said,) = server.asked("health")
    assert decode_texts(said["failed_controls"], "failed_controls") == [each[:300] for each in controls[:MAX_CONTROLS]]
    assert agent.link.is_up


def test_large_settings_are_asked_for_in_smaller_portions(agent: Agent, server: StandIn) -> None:
    offered = [server.offer(url="http://127.0.0.1:9/", body=f"{number}" * 3_000_000) for number in range(7)]

    taken = agent.trade([], 10)

    assert agent.link.is_up
    assert {turn.check_id for turn in taken} == {each.turn.check_id for each in offered}
    assert [len(fields["checks"]) for fields in server.asked("settings")] == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_other_large_settings_begin_with_the_portion_that_was_learnt(agent: Agent, server: StandIn) -> None:
    for number in range(4):
        server.offer(url="http://127.0.0.1:9/", body=f"{number}" * 3_000_000)
    agent.trade([], 10)
    server.calls.clear()
    for number in range(4):
        server.offer(url="http://127.0.0.1:9/", body=f"{number}" * 3_000_000)

    agent.trade([], 10)

    assert [len(fields["checks"]) for fields in server.asked("settings")] == [2, 2]
