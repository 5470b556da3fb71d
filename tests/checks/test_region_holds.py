"""Agents deleted while somebody saves a check onto them: two real transactions, at every door."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain import agents
from apps.checks.domain.applying import apply_document
from apps.checks.domain.bulk import BulkAction, act_on
from apps.checks.domain.checks import Timing, change_check, create_check, update_check
from apps.checks.domain.configuration import DocumentErrors
from apps.checks.domain.fitting import bring_within_plan
from apps.checks.domain.region_holds import RegionGone
from apps.checks.domain.settings import config_of
from apps.checks.enums import State
from apps.checks.models import MAIN_REGION, Agent, Check, Region, Turn
from apps.checks.types.http import HttpConfig
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.api import make_api
from tests.factories.checks import make_check
from tests.factories.plans import give_plan
from tests.rivals import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)

GONE = "The region “Office” is gone: its agent was deleted. Choose another one."
URL = "https://shop.example/"
FORM = {
    "name": "Shop",
    "interval_seconds": "60",
    "timeout_seconds": "5",
    "retries": "2",
    "retry_interval_seconds": "3",
    "config-url": URL,
    "config-method": "GET",
    "config-expected_status": "200-299",
    "config-http_version": "auto",
}


@pytest.fixture
def agent(acme: Tenant) -> Agent:
    with tenant_scope(acme.id):
        return agents.create_agent(name="Office")[0]


@contextmanager
def deleted_meanwhile(tenant: Tenant, agent: Agent) -> Iterator[None]:
    """Delete the agent in a transaction that ends only when the block waits for it."""

    with meanwhile(tenant_scope(tenant.id), partial(agents.delete_agent, agent)):
        yield


def left(tenant: Tenant) -> list[tuple[str, list[int], list[int]]]:
    """Each check with its regions and those of its turns; no agent, no region of one is there any more."""
    with tenant_scope(tenant.id):
        assert not Agent.objects.exists()
        assert not Region.objects.filter(is_private=True).exists()
        return [
            (check.name, check.regions, sorted(Turn.objects.filter(watched=check).values_list("region_id", flat=True)))
            for check in Check.objects.order_by("name")
        ]


# --- who deletes was first --------------------------------------------------------------------------------------------


def test_a_new_check_is_refused_by_the_regions_name(acme: Tenant, agent: Agent) -> None:
    timing = Timing(regions=(MAIN_REGION, agent.region_id))

    with deleted_meanwhile(acme, agent), tenant_scope(acme.id), pytest.raises(RegionGone) as refused:
        create_check(name="Shop", kind="http", config=HttpConfig(url=URL), timing=timing)

    assert (str(refused.value), refused.value.field) == (GONE, "regions")
    assert left(acme) == []


def test_the_form_says_so_at_its_field(acme: Tenant, agent: Agent, owner: User, client: Client) -> None:
    client.force_login(owner)
    url = reverse("checks:create", args=[acme.slug]) + "?kind=http"
    sent = {**FORM, "regions": [agent.region_id]}

    with deleted_meanwhile(acme, agent):
        answer = client.post(url, sent)

    assert (answer.status_code, answer.context["form"].errors) == (422, {"regions": [GONE]})
    afterwards = client.post(url, sent).context["form"].errors["regions"]
    assert afterwards == ["A chosen region is gone: its agent was deleted. Choose others."]
    assert left(acme) == []


def test_the_api_says_so_at_its_field(acme: Tenant, agent: Agent) -> None:
    api = make_api(acme)
    given = {"name": "Shop", "kind": "http", "config": {"url": URL}, "regions": [agent.code]}

    with deleted_meanwhile(acme, agent):
        answer = api.post("/api/v1/checks/", given)

    assert (answer.status_code, json.loads(answer.content)["errors"]) == (409, {"regions": [GONE]})
    assert left(acme) == []


def test_a_document_says_so_at_its_path(acme: Tenant, agent: Agent) -> None:
    check = {"key": "shop", "name": "Shop", "kind": "http", "config": {"url": URL}, "regions": [agent.code]}

    with deleted_meanwhile(acme, agent), tenant_scope(acme.id), pytest.raises(DocumentErrors) as refused:
        apply_document({"apiVersion": "obsera/v1", "checks": [check]})

    assert refused.value.errors == {"checks[0].regions": ["Give a list of regions: main."]}
    assert left(acme) == []


def test_a_check_that_is_moved_onto_it_hears_its_name(acme: Tenant, agent: Agent) -> None:
    with tenant_scope(acme.id):
        check = make_check("Shop")

    with deleted_meanwhile(acme, agent), tenant_scope(acme.id), pytest.raises(RegionGone) as refused:
        change_check(check.id, timing={"regions": (agent.region_id,)})

    assert str(refused.value) == GONE


def test_a_check_moved_onto_it_stays_as_it_was(acme: Tenant, agent: Agent) -> None:
    with tenant_scope(acme.id):
        check = make_check("Shop")
    timing = Timing(regions=(agent.region_id,))

    with deleted_meanwhile(acme, agent), tenant_scope(acme.id), pytest.raises(RegionGone) as refused:
        update_check(check, name="Shop", config=config_of(check), timing=timing, tags=[])

    assert str(refused.value) == GONE
    assert left(acme) == [("Shop", [MAIN_REGION], [MAIN_REGION])]


def _edit(check: Check) -> None:
    timing = Timing(regions=tuple(check.regions), confirmations=2)
    update_check(check, name=check.name, config=config_of(check), timing=timing, tags=["new"])


def _slow_down(_check: Check) -> None:
    assert bring_within_plan().slowed


def _resume(check: Check) -> None:
    assert act_on([check], BulkAction.RESUME) == 1


@pytest.mark.parametrize(
    ("state", "act", "shortest"),
    [(State.UP, _edit, 60), (State.UP, _slow_down, 300), (State.PAUSED, _resume, 60)],
    ids=["edited", "slowed", "resumed"],
)
def test_what_had_it_before_goes_on_without_it(
    acme: Tenant, agent: Agent, state: State, act: Callable[[Check], None], shortest: int
) -> None:
    with tenant_scope(acme.id):
        check = make_check("Shop", state=state, regions=[MAIN_REGION, agent.region_id], confirmations=2)
    give_plan(acme, "free", min_interval_seconds=shortest)

    with deleted_meanwhile(acme, agent), tenant_scope(acme.id):
        act(check)

    assert left(acme) == [("Shop", [MAIN_REGION], [MAIN_REGION])]
    with tenant_scope(acme.id):
        assert Check.objects.get().confirmations == 1


def test_a_check_deleted_at_the_same_moment_is_gone(acme: Tenant, agent: Agent) -> None:
    with tenant_scope(acme.id):
        check = make_check("Shop", regions=[MAIN_REGION, agent.region_id])

    with deleted_meanwhile(acme, agent), tenant_scope(acme.id):
        act_on([check], BulkAction.DELETE)

    assert left(acme) == []


# --- who saves was first ----------------------------------------------------------------------------------------------


def test_deletion_waits_for_who_saves_and_then_refuses(acme: Tenant, agent: Agent) -> None:
    def save() -> None:
        timing = Timing(regions=(agent.region_id,))
        create_check(name="Shop", kind="http", config=HttpConfig(url=URL), timing=timing)

    with (
        meanwhile(tenant_scope(acme.id), save),
        tenant_scope(acme.id),
        pytest.raises(agents.StillNeeded) as refused,
    ):
        agents.delete_agent(agent)

    assert str(refused.value) == "“Shop” is checked from this agent alone. Choose another region for it first."
    with tenant_scope(acme.id):
        assert Turn.objects.get().region_id == agent.region_id
