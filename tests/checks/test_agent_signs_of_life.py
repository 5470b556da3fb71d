"""What an agent says of itself between its turns, and what its silence means."""

from datetime import timedelta

import pytest

from apps.checks.domain import agent_work
from apps.checks.domain.agent_words import Words
from apps.checks.enums import State
from apps.checks.models import Agent, Check, CheckState, Ping, Region, SickSpell
from apps.core import clock
from tests.checks.test_agent_work import MINUTE, agent, due_at, watched

pytestmark = pytest.mark.django_db
__all__ = ["agent"]


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


def test_lost_turns_add_up_and_call_the_agent_overloaded_for_a_while(agent: Agent) -> None:
    for lost, late_ms in ((0, 5), (2, 900), (3, 40)):
        agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1", words=Words(lost=lost, late_ms=late_ms))

    agent.refresh_from_db()
    assert (agent.lost, agent.late_ms, agent.is_overloaded) == (5, 40, True)
    agent.lost_at = clock.now() - 6 * MINUTE
    assert agent.is_overloaded is False


def test_a_silent_agent_is_an_outage_of_its_heartbeat(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    from apps.checks.domain.heartbeat_sweep import give_sign_of_life, sweep_heartbeats
    from apps.checks.domain.ping_doors import Door

    agent_work.hear_of(agent, failed_controls=[], buffered=0, version="1")
    later = clock.now() + timedelta(seconds=121)
    for seconds in range(0, 121, 5):
        monkeypatch.setattr(clock, "now", lambda seconds=seconds: later - timedelta(seconds=120 - seconds))
        give_sign_of_life(Door.HTTP)

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
