"""Agents on screen."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client

from apps.checks.domain import agents
from apps.checks.domain.agent_wire import parse_token
from apps.checks.models import MAIN_REGION, Agent, Check, Region, Turn
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.factories.checks import make_check
from tests.factories.plans import give_plan
from tests.queries import queries_of

pytestmark = pytest.mark.django_db
PAGE = "/t/acme/checks/agents/"
TOKEN = re.compile(r"oba_[0-9a-f]{32}_[\w-]{43}_[\w-]{43}")


@pytest.fixture
def client_as(acme: Tenant) -> Callable[[Role], Client]:
    def made(role: Role) -> Client:
        client = Client()
        client.force_login(make_member(acme, f"{role}@agents.example", role))
        return client

    return made


def made_agent(tenant: Tenant, name: str = "Office") -> Agent:
    with tenant_scope(tenant.id):
        return agents.create_agent(name=name)[0]


def tokens_on(page: object) -> set[str]:
    return set(TOKEN.findall(page.content.decode()))  # type: ignore[attr-defined]


def test_a_new_agents_token_is_shown_once_with_its_command(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    admin = client_as(Role.ADMIN)

    made, again = admin.post(PAGE, {"name": "Office"}), admin.get(PAGE)

    (text,) = tokens_on(made)
    assert agents.authenticate(parse_token(text).bearer).name == "Office"
    assert "bin/obsera-agent --server http://localhost:8000 --token-file obsera-agent.token" in made.content.decode()
    assert made.headers["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"
    assert tokens_on(again) == set()
    assert "agent-office" in again.content.decode()


def test_a_name_that_is_taken_is_said_at_its_field(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    made_agent(acme)

    answer = client_as(Role.ADMIN).post(PAGE, {"name": "office"})

    assert answer.status_code == 422
    assert answer.context["form"].errors == {"name": ["There is an agent of that name already."]}


def test_editors_see_agents_and_change_none(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    agent, editor = made_agent(acme), client_as(Role.EDITOR)

    pages = [editor.get(PAGE), editor.get(f"{PAGE}{agent.id}/")]
    answers = [editor.post(PAGE, {"name": "Mine"})] + [
        editor.post(f"{PAGE}{agent.id}/{verb}/", {"name": "Mine"})
        for verb in ("rename", "rotate", "revoke", "reinstate", "delete")
    ]

    assert [page.status_code for page in pages] == [200, 200]
    assert all('name="name"' not in page.content.decode() for page in pages)
    assert {answer.status_code for answer in answers} == {403}
    with tenant_scope(acme.id):
        kept = Agent.objects.get()
        assert (kept.name, kept.revoked_at, kept.previous_hash) == ("Office", None, "")


def test_a_strangers_agent_does_not_exist(acme: Tenant, globex: Tenant, client_as: Callable[[Role], Client]) -> None:
    theirs, owner = made_agent(globex, "Theirs"), client_as(Role.OWNER)

    answers = [owner.get(f"{PAGE}{theirs.id}/")] + [
        owner.post(f"{PAGE}{theirs.id}/{verb}/", {"name": "Mine"})
        for verb in ("rename", "rotate", "revoke", "reinstate", "delete")
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert "Theirs" not in owner.get(PAGE).content.decode()
    with tenant_scope(globex.id):
        assert (Agent.objects.get().name, Agent.objects.get().revoked_at) == ("Theirs", None)


def test_a_rotation_shows_the_new_token_and_when_the_old_one_ends(
    acme: Tenant, client_as: Callable[[Role], Client]
) -> None:
    agent, admin = made_agent(acme), client_as(Role.ADMIN)

    soft = admin.post(f"{PAGE}{agent.id}/rotate/")
    hard = admin.post(f"{PAGE}{agent.id}/rotate/", {"at_once": "on"})

    assert "The token before this one still opens." in soft.content.decode()
    assert "The token before this one still opens." not in hard.content.decode()
    with pytest.raises(agents.UnknownToken):
        agents.authenticate(parse_token(tokens_on(soft).pop()).bearer)
    assert agents.authenticate(parse_token(tokens_on(hard).pop()).bearer).id == agent.id


def test_an_agent_is_revoked_and_let_in_again(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    agent, admin = made_agent(acme), client_as(Role.ADMIN)

    assert admin.post(f"{PAGE}{agent.id}/revoke/").status_code == 302
    assert "Revoked" in admin.get(PAGE).content.decode()
    again = admin.post(f"{PAGE}{agent.id}/reinstate/")

    assert agents.authenticate(parse_token(tokens_on(again).pop()).bearer).revoked_at is None


def test_what_the_plan_has_no_room_for_is_said(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    agent, admin = made_agent(acme), client_as(Role.ADMIN)
    admin.post(f"{PAGE}{agent.id}/revoke/")
    give_plan(acme, "free")

    added = admin.post(PAGE, {"name": "Another"})
    again = admin.post(f"{PAGE}{agent.id}/reinstate/", follow=True)

    assert (added.status_code, list(added.context["form"].errors)) == (422, ["name"])
    assert "Plan and usage" in again.content.decode()
    assert tokens_on(added) == tokens_on(again) == set()


def test_an_agent_is_renamed(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    agent, admin = made_agent(acme), client_as(Role.ADMIN)
    made_agent(acme, "Cellar")

    assert admin.post(f"{PAGE}{agent.id}/rename/", {"name": "Berlin"}).status_code == 302
    refused = admin.post(f"{PAGE}{agent.id}/rename/", {"name": "cellar"})

    assert refused.status_code == 422
    assert refused.context["rename_form"].errors == {"name": ["There is an agent of that name already."]}
    with tenant_scope(acme.id):
        assert Agent.objects.get(id=agent.id).name == "Berlin"


def test_an_agent_that_checks_need_is_not_deleted(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    agent, admin = made_agent(acme), client_as(Role.ADMIN)
    with tenant_scope(acme.id):
        check = make_check("Intranet", regions=[agent.region_id])

    refused = admin.post(f"{PAGE}{agent.id}/delete/", follow=True)
    with tenant_scope(acme.id):
        Check.objects.filter(id=check.id).update(regions=[MAIN_REGION])
        Turn.objects.update(region_id=MAIN_REGION)
    done = admin.post(f"{PAGE}{agent.id}/delete/", follow=True)

    assert (
        "“Intranet” is checked from this agent alone. Choose another region for it first." in refused.content.decode()
    )
    assert done.redirect_chain[-1][0] == PAGE
    assert "Office was deleted." in done.content.decode()


def test_the_list_takes_the_same_queries_for_one_and_three(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    viewer, counts = client_as(Role.VIEWER), {}
    for number in range(3):
        agent = made_agent(acme, f"Agent {number}")
        Region.objects.filter(id=agent.region_id).update(seen_at=clock.now() - timedelta(seconds=number * 60))
        with tenant_scope(acme.id):
            make_check(regions=[agent.region_id])
        counts[number + 1] = queries_of(lambda: viewer.get(PAGE))

    assert counts[1] == counts[3]


def test_the_page_takes_the_same_queries_for_one_check_and_three(
    acme: Tenant, client_as: Callable[[Role], Client]
) -> None:
    agent, viewer, counts = made_agent(acme), client_as(Role.VIEWER), {}
    for number in range(3):
        with tenant_scope(acme.id):
            make_check(f"Check {number}", regions=[agent.region_id])
        counts[number + 1] = queries_of(lambda: viewer.get(f"{PAGE}{agent.id}/"))

    assert counts[1] == counts[3]


# --- choosing an agent for a check --------------------------------------------------------------------------------------


def test_a_form_offers_the_tenants_own_agents_by_name(
    acme: Tenant, globex: Tenant, client_as: Callable[[Role], Client]
) -> None:
    ours = made_agent(acme, "Ours")
    made_agent(globex, "Theirs")

    page = client_as(Role.EDITOR).get("/t/acme/checks/new/?kind=http")

    choices = dict(page.context["form"].fields["regions"].choices)
    assert choices[ours.region_id] == "Ours"
    assert "Theirs" not in choices.values()


def test_a_forged_choice_of_a_strangers_agent_is_refused(
    acme: Tenant, globex: Tenant, client_as: Callable[[Role], Client]
) -> None:
    theirs, editor = made_agent(globex, "Theirs"), client_as(Role.EDITOR)
    page = editor.get("/t/acme/checks/new/?kind=http")
    given = {name: value for name, value in page.context["form"].initial.items() if value is not None}

    answer = editor.post("/t/acme/checks/new/?kind=http", {**given, "name": "x", "regions": [str(theirs.region_id)]})

    assert answer.status_code == 422
    assert "regions" in answer.context["form"].errors
    with tenant_scope(acme.id):
        assert not Check.objects.exists()


def test_a_check_names_its_agents_on_its_page(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    agent = made_agent(acme, "Cellar")
    with tenant_scope(acme.id):
        check = make_check(regions=[MAIN_REGION, agent.region_id])

    page = client_as(Role.VIEWER).get(f"/t/acme/checks/{check.id}/")

    assert re.search(r'<th scope="row" class="cell-main">Cellar', page.content.decode())


def test_a_page_says_what_its_agent_refuses_and_why(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    agent = made_agent(acme)
    with tenant_scope(acme.id):
        regions = [agent.region_id]
        for name, kind in (("Fine", "http"), ("Names", "dns"), ("Far away", "http")):
            make_check(name, kind=kind, regions=regions)
        Turn.objects.filter(watched__name="Far away").update(
            last_error="outside_allow_list", last_error_values={"address": "192.0.2.1"}
        )
        Agent.objects.update(
            kinds=["http", "tcp"], is_limited=True, allow_list=["10.0.0.0/8"], lost=7, lost_at=clock.now()
        )

    page = client_as(Role.VIEWER).get(f"{PAGE}{agent.id}/")

    assert [(one.check.name, one.reason) for one in page.context["refused"]] == [
        ("Far away", "its allow-list does not hold 192.0.2.1"),
        ("Names", "it does not run checks of the kind “DNS”"),
    ]
    text = page.content.decode()
    assert "It refuses 2 checks" in text
    assert "It is overloaded: it loses turns" in text
    assert "10.0.0.0/8" in text


def test_a_form_says_which_agents_refuse_the_check(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    agent, other = made_agent(acme), made_agent(acme, "Attic")
    with tenant_scope(acme.id):
        Agent.objects.filter(id=agent.id).update(kinds=["dns"])
        check = make_check(regions=[other.region_id])
        Turn.objects.update(last_error="outside_allow_list", last_error_values={"address": "192.0.2.1"})

    form = client_as(Role.EDITOR).get(f"/t/acme/checks/{check.id}/edit/").context["form"]

    choices = dict(form.fields["regions"].choices)
    assert choices[agent.region_id] == "Office (it does not run checks of the kind “HTTP”)"
    assert choices[other.region_id] == "Attic (its allow-list does not hold 192.0.2.1)"


def test_an_agent_that_has_told_nothing_refuses_nothing(acme: Tenant, client_as: Callable[[Role], Client]) -> None:
    agent = made_agent(acme)
    with tenant_scope(acme.id):
        make_check(kind="dns", regions=[agent.region_id])

    page = client_as(Role.VIEWER).get(f"{PAGE}{agent.id}/")

    assert (page.context["refused"], page.context["kinds"]) == ([], None)
