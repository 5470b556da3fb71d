"""Agents over the API, and agents among the regions of checks there and in documents."""

from datetime import timedelta

import pytest

from apps.checks.domain import agents
from apps.checks.domain.agent_wire import parse_token
from apps.checks.domain.applying import apply_document, export_checks
from apps.checks.domain.configuration import API_VERSION
from apps.checks.models import MAIN_REGION, Agent, Check, Region, Result, Turn
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories.api import make_api
from tests.factories.checks import make_check
from tests.queries import queries_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/agents/"


def test_an_agent_is_made_with_its_token_shown_once(acme: Tenant) -> None:
    api = make_api(acme, Role.ADMIN)

    made = api.post(URL, {"name": "Office"})
    shown = api.get(f"{URL}{made.json()['id']}/").json()

    assert made.status_code == 201
    assert agents.authenticate(parse_token(made.json()["token"]).bearer).name == "Office"
    assert made.json()["command"].startswith("bin/obsera-agent --server ")
    assert "token" not in shown
    assert {name: shown[name] for name in ("name", "code", "state", "checks", "version", "buffered", "dropped")} == {
        **{"name": "Office", "code": "agent-office", "state": "new", "checks": 0},
        **{"version": "", "buffered": 0, "dropped": 0},
    }


def test_an_agent_is_renamed_rotated_revoked_reinstated_and_deleted(acme: Tenant) -> None:
    api = make_api(acme, Role.ADMIN)
    made = api.post(URL, {"name": "Office"}).json()
    own = f"{URL}{made['id']}/"

    assert api.patch(own, {"name": "Berlin"}).json()["name"] == "Berlin"
    rotated = api.post(f"{own}rotate/", {"at_once": True}).json()
    with pytest.raises(agents.UnknownToken):
        agents.authenticate(parse_token(made["token"]).bearer)
    assert agents.authenticate(parse_token(rotated["token"]).bearer).name == "Berlin"
    assert api.post(f"{own}revoke/", {}).json()["state"] == "revoked"
    again = api.post(f"{own}reinstate/", {}).json()
    assert agents.authenticate(parse_token(again["token"]).bearer).revoked_at is None
    assert api.delete(own).status_code == 204
    assert api.get(own).status_code == 404


def test_what_a_rule_forbids_is_a_conflict(acme: Tenant) -> None:
    api = make_api(acme, Role.ADMIN)
    made = api.post(URL, {"name": "Office"}).json()
    with tenant_scope(acme.id):
        make_check("Intranet", regions=[Agent.objects.get().region_id])

    same_name, needed = api.post(URL, {"name": "Office"}), api.delete(f"{URL}{made['id']}/")

    assert (same_name.status_code, same_name.json()["detail"]) == (409, "There is an agent of that name already.")
    assert list(same_name.json()["errors"]) == ["name"]
    assert needed.status_code == 409
    assert needed.json()["detail"].startswith("“Intranet” is checked from this agent alone.")


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "x" * 81}, {"name": "x", "code": "mine", "more": 1}])
def test_a_bad_body_makes_no_agent(acme: Tenant, body: dict[str, object]) -> None:
    assert make_api(acme, Role.ADMIN).post(URL, body).status_code == 400
    with tenant_scope(acme.id):
        assert not Agent.objects.exists()


def test_editors_see_agents_and_make_none(acme: Tenant) -> None:
    api = make_api(acme, Role.EDITOR)

    assert (api.get(URL).status_code, api.post(URL, {"name": "Mine"}).status_code) == (200, 403)


def test_the_list_takes_the_same_queries_for_one_and_three(acme: Tenant) -> None:
    api, counts = make_api(acme), {}
    for number in range(3):
        with tenant_scope(acme.id):
            agents.create_agent(name=f"Agent {number}")
        counts[number + 1] = queries_of(lambda: api.get(URL))

    assert counts[1] == counts[3]


# --- as a region of checks --------------------------------------------------------------------------------------------


@pytest.fixture
def office(acme: Tenant) -> Agent:
    with tenant_scope(acme.id):
        return agents.create_agent(name="Office")[0]


@pytest.fixture
def theirs(globex: Tenant) -> Agent:
    with tenant_scope(globex.id):
        return agents.create_agent(name="Theirs")[0]


BODY = {"name": "Intranet", "kind": "http", "config": {"url": "http://intranet.example/"}}


def test_a_check_names_its_agent_by_code(acme: Tenant, office: Agent) -> None:
    api = make_api(acme)

    made = api.post("/api/v1/checks/", {**BODY, "regions": ["main", "agent-office"]}).json()

    assert made["regions"] == ["main", "agent-office"]
    with tenant_scope(acme.id):
        assert Check.objects.get(name="Intranet").regions == [MAIN_REGION, office.region_id]
        assert Turn.objects.filter(region_id=office.region_id).count() == 1


def test_a_strangers_agent_cannot_be_named(acme: Tenant, theirs: Agent) -> None:
    api = make_api(acme)

    answers = [
        api.post("/api/v1/checks/", {**BODY, "regions": [code]})
        for code in ("agent-theirs", theirs.region.code, str(theirs.region_id))
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400]
    assert all("agent-" not in answer.content.decode() for answer in answers)


def test_results_tell_from_which_agent_they_came(acme: Tenant, office: Agent) -> None:
    with tenant_scope(acme.id):
        check = make_check(regions=[office.region_id])
        now = clock.now()
        Result.objects.create(
            check_id=check.id, region_id=office.region_id, due_at=now - timedelta(minutes=1), started_at=now, verdict=1
        )

    [result] = make_api(acme).get(f"/api/v1/checks/{check.id}/results/").json()["results"]

    assert result["region"] == "agent-office"


def test_a_document_names_agents_and_is_read_back(acme: Tenant, office: Agent, theirs: Agent) -> None:
    with tenant_scope(acme.id):
        make_check("Intranet", key="intranet", regions=[MAIN_REGION, office.region_id])
        document = export_checks()
        [intranet] = document["checks"]  # the heartbeat that tells of the agent's silence comes with the agent
        assert intranet["regions"] == ["main", "agent-office"]

        Check.objects.all().delete()
        apply_document(document)

        assert Check.objects.get(key="intranet").regions == [MAIN_REGION, office.region_id]


def test_a_document_cannot_name_a_strangers_agent(acme: Tenant, theirs: Agent) -> None:
    check = {
        "key": "a",
        "name": "a",
        "kind": "http",
        "config": {"url": "http://x.example/"},
        "regions": ["agent-theirs"],
    }
    document = {"apiVersion": API_VERSION, "checks": [check]}

    answer = make_api(acme).post("/api/v1/checks/apply/", document)

    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["checks[0].regions"])
    assert "agent-theirs" not in answer.content.decode()
    with tenant_scope(acme.id):
        assert not Check.objects.exists()


def test_regions_of_private_agents_bear_no_name(theirs: Agent) -> None:
    region = Region.objects.get(id=theirs.region_id)

    assert (region.name, region.code, str(region)) == ("", f"agent-{theirs.id.hex}", f"agent-{theirs.id.hex}")
