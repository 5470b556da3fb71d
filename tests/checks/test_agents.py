"""Agents as people handle them: made, named, let in, kept out, deleted."""

from datetime import timedelta

import pytest

from apps.checks.domain import agents
from apps.checks.domain.agent_wire import AgentToken, public_key_of
from apps.checks.domain.checks import Timing, create_check, pause_check, update_check
from apps.checks.domain.region_holds import NotOnAgents
from apps.checks.domain.regions import (
    known_places,
    lose_sight_of_silent_regions,
    mark_agent_seen,
    region_codes,
    region_of_code,
    regions_to_choose,
    selectable_regions,
)
from apps.checks.domain.turns import regions_with_overdue_turns
from apps.checks.enums import AgentState, State
from apps.checks.models import MAIN_REGION, Agent, Check, CheckState, Flip, Region, Turn
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.refusals import Refusal
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db


def bearer(token: AgentToken) -> str:
    return token.bearer


def test_new_agent_has_a_region_of_its_own_a_heartbeat_and_a_token(in_acme: Tenant) -> None:
    agent, token = agents.create_agent(name="Büro Süd")

    assert (agent.code, agent.region.is_private, agent.region.name) == ("agent-buro-sud", True, "")
    assert agent.heartbeat is not None
    assert (agent.heartbeat.name, agent.heartbeat.kind) == ("Agent Büro Süd", "heartbeat")
    assert token.agent_id == agent.id
    assert token.public_key == public_key_of(agents.signing_key(agent.id))
    assert token.secret not in str(vars(Agent.objects.get()))
    assert agents.authenticate(token.bearer).id == agent.id


def test_signing_keys_are_of_one_agent_and_the_same_each_time(in_acme: Tenant) -> None:
    (one, _), (other, _) = agents.create_agent(name="one"), agents.create_agent(name="two")

    first = public_key_of(agents.signing_key(one.id))
    agents.signing_key.cache_clear()

    assert public_key_of(agents.signing_key(one.id)) == first
    assert public_key_of(agents.signing_key(other.id)) != first


@pytest.mark.parametrize("name", ["office", "OFFICE"])
def test_names_are_taken_once(in_acme: Tenant, name: str) -> None:
    agents.create_agent(name="Office")

    with pytest.raises(agents.NameTaken):
        agents.create_agent(name=name)


def test_codes_differ_where_names_look_alike(in_acme: Tenant) -> None:
    names = ["Office", "office!", "★", "☆", "Agent 7"]

    codes = [agents.create_agent(name=name)[0].code for name in names]

    assert codes == ["agent-office", "agent-office-2", "agent", "agent-2", "agent-7"]


def test_there_is_an_end_to_agents(in_acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "MAX_AGENTS", 1)
    agents.create_agent(name="one")

    with pytest.raises(agents.TooManyAgents):
        agents.create_agent(name="two")


def test_a_wrong_secret_opens_nothing(in_acme: Tenant) -> None:
    agent, token = agents.create_agent(name="Office")
    other, _ = agents.create_agent(name="Other")

    for text in (
        "",
        "oba_",
        f"oba_{agent.id.hex}_{'a' * 43}",
        f"oba_{other.id.hex}_{token.secret}",
        f"oba_{'0' * 32}_{token.secret}",
        str(token),
    ):
        with pytest.raises(agents.UnknownToken):
            agents.authenticate(text)


def test_the_old_token_opens_for_a_day_after_a_rotation(in_acme: Tenant) -> None:
    agent, old = agents.create_agent(name="Office")

    new = agents.rotate_token(agent)

    assert new.public_key == old.public_key
    assert agents.authenticate(old.bearer).id == agents.authenticate(new.bearer).id == agent.id
    assert agent.previous_ends_at is not None
    assert timedelta(hours=23, minutes=59) < agent.previous_ends_at - clock.now() <= timedelta(hours=24)
    Agent.objects.update(previous_ends_at=clock.now() - timedelta(seconds=1))
    with pytest.raises(agents.UnknownToken):
        agents.authenticate(old.bearer)
    assert agents.authenticate(new.bearer).id == agent.id


def test_the_old_token_can_be_cut_off_at_once(in_acme: Tenant) -> None:
    agent, old = agents.create_agent(name="Office")
    agents.rotate_token(agent)

    new = agents.rotate_token(agent, at_once=True)

    with pytest.raises(agents.UnknownToken):
        agents.authenticate(old.bearer)
    assert agents.authenticate(new.bearer).id == agent.id


def test_a_revoked_agent_is_told_so_and_nobody_waits_for_it(in_acme: Tenant) -> None:
    agent, token = agents.create_agent(name="Office")

    for _ in range(2):
        agents.revoke_agent(agent)

    with pytest.raises(agents.RevokedToken):
        agents.authenticate(token.bearer)
    with pytest.raises(agents.UnknownToken):
        agents.authenticate(token.bearer[:-1] + "~")
    assert CheckState.objects.get(watched=agent.heartbeat).state == State.PAUSED


def test_a_reinstated_agent_needs_its_new_token(in_acme: Tenant) -> None:
    agent, old = agents.create_agent(name="Office")
    agents.revoke_agent(agent)

    new = agents.reinstate_agent(agent)

    with pytest.raises(agents.UnknownToken):
        agents.authenticate(old.bearer)
    assert agents.authenticate(new.bearer).id == agent.id
    assert CheckState.objects.get(watched=agent.heartbeat).state == State.UNKNOWN


def test_a_renamed_agent_keeps_its_code_and_its_heartbeat_follows(in_acme: Tenant) -> None:
    agent, _token = agents.create_agent(name="Office")

    agents.rename_agent(agent, name="Berlin")

    kept = Agent.objects.select_related("heartbeat").get()
    assert (kept.name, kept.code, kept.heartbeat.name) == ("Berlin", "agent-office", "Agent Berlin")


@pytest.mark.parametrize(
    ("agent_name", "called", "after"),
    [
        ("Agent", "Agent Agent", "Agent Berlin"),
        ("Web", "Webserver room", "Webserver room"),
        ("e", "Agent e", "Agent Berlin"),
        ("e", "Silence", "Silence"),
        ("Office", "Office", "Berlin"),
        pytest.param("e", "x" * 145 + " e", "x" * 145 + " Berl", id="too long"),
    ],
)
def test_heartbeat_follows_only_where_the_agents_name_ends_its_own(
    in_acme: Tenant, agent_name: str, called: str, after: str
) -> None:
    agent, _token = agents.create_agent(name=agent_name)
    Check.objects.filter(id=agent.heartbeat_id).update(name=called)
    agent = Agent.objects.get()

    agents.rename_agent(agent, name="Berlin")

    assert Check.objects.get().name == after


def test_a_deleted_agent_takes_region_and_heartbeat_along(in_acme: Tenant) -> None:
    agent, token = agents.create_agent(name="Office")
    region_id = agent.region_id
    check = make_check(regions=[MAIN_REGION, region_id], confirmations=2)

    agents.delete_agent(agent)

    check.refresh_from_db()
    assert (check.regions, check.confirmations) == ([MAIN_REGION], 1)
    assert list(Turn.objects.values_list("region_id", flat=True)) == [MAIN_REGION]
    assert list(Check.objects.all()) == [check]
    assert not Region.objects.filter(id=region_id).exists()
    with pytest.raises(agents.UnknownToken):
        agents.authenticate(token.bearer)


def test_an_agent_that_checks_need_stays(in_acme: Tenant) -> None:
    agent, _token = agents.create_agent(name="Office")
    for name in ("Alpha", "Beta", "Gamma", "Delta", "Epsilon"):
        make_check(name, regions=[agent.region_id])

    with pytest.raises(agents.StillNeeded) as refused:
        agents.delete_agent(agent)

    assert str(refused.value) == (
        "“Alpha”, “Beta”, “Delta” and 2 more checks are checked from this agent alone. Choose other regions for them first."
    )
    assert isinstance(refused.value, Refusal)
    assert Agent.objects.exists()


def test_what_depended_on_a_deleted_agent_is_judged_by_the_others(in_acme: Tenant) -> None:
    agent, _token = agents.create_agent(name="Office")
    check = make_check(state=State.DOWN, regions=[MAIN_REGION, agent.region_id])
    Turn.objects.filter(region_id=MAIN_REGION).update(opinion=1)

    agents.delete_agent(agent)

    assert CheckState.objects.get(watched=check).state == State.UP


def test_journeys_are_not_moved_onto_agents(in_acme: Tenant) -> None:
    agent, _token = agents.create_agent(name="Office")
    kind = CHECK_TYPES.get("browser")
    sentence = "Agents do not run checks of the kind “Browser journey”: choose other regions than “Office”."
    on_agent = Timing(interval_seconds=300, timeout_seconds=30, regions=(MAIN_REGION, agent.region_id))
    journey = create_check(name="Shop", kind="browser", config=kind.sample())

    with pytest.raises(NotOnAgents) as made:
        create_check(name="Other", kind="browser", config=kind.sample(), timing=on_agent)
    with pytest.raises(NotOnAgents) as moved:
        update_check(journey, name="Shop", config=kind.sample(), timing=on_agent, tags=[])

    assert (str(made.value), str(moved.value), made.value.field) == (sentence, sentence, "regions")
    # Where it is already, it may be edited.
    Check.objects.filter(id=journey.id).update(regions=[MAIN_REGION, agent.region_id])
    journey.refresh_from_db()
    update_check(journey, name="Shop EU", config=kind.sample(), timing=on_agent, tags=[])
    assert Check.objects.get(id=journey.id).name == "Shop EU"


# --- regions ----------------------------------------------------------------------------------------------------------


def test_a_tenant_chooses_its_own_agents_and_never_anothers(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs, _ = agents.create_agent(name="Theirs")
    with tenant_scope(acme.id):
        ours, _ = agents.create_agent(name="Ours")

        chosen = [(place.code, str(place)) for place in selectable_regions()]

        assert chosen[-1] == ("agent-ours", "Ours")
        assert theirs.region_id not in {place.id for place in selectable_regions()}
        assert theirs.region_id not in {place.id for place in regions_to_choose([theirs.region_id])}
        assert theirs.region_id not in known_places()
        assert region_codes()[ours.region_id] == "agent-ours"


def test_a_revoked_agent_is_offered_only_to_checks_that_have_it(in_acme: Tenant) -> None:
    agent, _ = agents.create_agent(name="Office")
    agents.revoke_agent(agent)

    assert agent.region_id not in {place.id for place in selectable_regions()}
    assert [str(place) for place in regions_to_choose([agent.region_id])][-1] == "Office"


def test_no_prober_of_ours_is_sent_to_an_agents_region(in_acme: Tenant) -> None:
    from django.core.exceptions import ImproperlyConfigured

    agent, _ = agents.create_agent(name="Office")
    make_check(regions=[agent.region_id], due_at=clock.now() - timedelta(minutes=5))

    assert regions_with_overdue_turns() == []
    with pytest.raises(ImproperlyConfigured):
        region_of_code(agent.region.code)


def test_what_a_silent_agent_alone_watches_is_unknown_since_its_last_sign(in_acme: Tenant) -> None:
    agent, _ = agents.create_agent(name="Office")
    seen_at = clock.now() - timedelta(minutes=5)
    alone = make_check("alone", state=State.UP, regions=[agent.region_id], due_at=seen_at - timedelta(minutes=1))
    both = make_check("both", state=State.UP, regions=[MAIN_REGION, agent.region_id])
    Region.objects.filter(id=agent.region_id).update(seen_at=seen_at)

    lose_sight_of_silent_regions()

    assert [(flip.watched_id, flip.after, flip.at) for flip in Flip.objects.all()] == [(alone.id, "unknown", seen_at)]
    assert CheckState.objects.get(watched=both).state == State.UP


def test_an_agent_that_comes_back_loses_sight_of_its_own_turns_only(in_acme: Tenant) -> None:
    (one, _), (other, _) = agents.create_agent(name="one"), agents.create_agent(name="two")
    seen_at = clock.now() - timedelta(minutes=5)
    Region.objects.filter(is_private=True).update(seen_at=seen_at)
    mine, theirs = (make_check(state=State.UP, regions=[agent.region_id]) for agent in (one, other))
    one.region.refresh_from_db()

    mark_agent_seen(one.region)

    opinions = dict(Turn.objects.values_list("watched_id", "opinion"))
    assert opinions == {mine.id: None, theirs.id: 1}
    assert Region.objects.get(id=one.region_id).seen_at > seen_at


# --- reading ----------------------------------------------------------------------------------------------------------


def test_standings_say_how_agents_are(in_acme: Tenant) -> None:
    made = [agents.create_agent(name=name)[0] for name in ("a", "b", "c", "d")]
    for agent, seconds in zip(made[1:], (30, 91, 10), strict=True):
        Region.objects.filter(id=agent.region_id).update(seen_at=clock.now() - timedelta(seconds=seconds))
    agents.revoke_agent(made[3])
    make_check(regions=[made[1].region_id])
    pause_check(make_check(regions=[MAIN_REGION, made[1].region_id]))

    standings = [agents.standing_of(agent) for agent in agents.find_agents()]

    assert [(standing.agent.name, standing.state, standing.checks) for standing in standings] == [
        ("a", AgentState.NEW, 0),
        ("b", AgentState.CONNECTED, 2),
        ("c", AgentState.SILENT, 0),
        ("d", AgentState.REVOKED, 0),
    ]
    assert [check.name for check in agents.checks_of(made[1])] == ["API", "API"]
