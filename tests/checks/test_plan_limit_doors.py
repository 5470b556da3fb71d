"""A tenant's plan at the doors: documents, imports, the API and the pages."""

import pytest
from django.test import Client

from apps.checks.domain.agents import create_agent, revoke_agent
from apps.checks.domain.applying import apply_document, standing_checks
from apps.checks.domain.configuration import DocumentErrors
from apps.checks.domain.importing import import_checks
from apps.checks.enums import State
from apps.checks.models import Agent, Check
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.factories.api import make_api
from tests.factories.checks import make_check
from tests.factories.plans import document, give_plan, wanted

# --- Documents and imports -------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("is_dry_run", [True, False])
def test_document_beyond_the_plan_is_refused_whole_saying_how_many(is_dry_run: bool, in_acme: Tenant) -> None:
    give_plan(in_acme, "free", checks=3)
    make_check("here")

    with pytest.raises(DocumentErrors) as refused:
        apply_document(document(*(wanted(f"new-{number}") for number in range(5))), is_dry_run=is_dry_run)

    assert refused.value.errors == {
        "checks": [
            "Checks: the plan “Free” allows 3 and 1 are in use; this is 3 too many. Remove what you no longer need, or see "
            "“Plan and usage” in the settings for a larger plan."
        ]
    }
    assert [check.name for check in standing_checks()] == ["here"]


@pytest.mark.django_db
def test_document_names_each_field_beyond_the_plan(in_acme: Tenant) -> None:
    give_plan(in_acme, "free")
    browser = {"key": "c", "name": "c", "kind": "browser", "config": {"steps": ["goto https://shop.example/"]}}

    with pytest.raises(DocumentErrors) as refused:
        apply_document(document(wanted("a", interval_seconds=30), wanted("b", interval_seconds=600), browser))

    assert list(refused.value.errors) == ["checks[0].interval_seconds", "checks[2].kind"]


@pytest.mark.django_db
def test_what_leaves_by_the_same_document_makes_room(in_acme: Tenant) -> None:
    apply_document(document(wanted("a"), wanted("b"), managedBy="ops"))
    give_plan(in_acme, "free", checks=2)

    plan = apply_document(document(wanted("c"), wanted("d"), managedBy="ops"), prune_label="ops")

    assert plan.counts == {"create": 2, "update": 0, "unchanged": 0, "prune": 2}
    assert [(check.key, check.timing.interval_seconds) for check in standing_checks()] == [("c", 300), ("d", 300)]


@pytest.mark.django_db
def test_document_that_changes_nothing_passes_beyond_a_smaller_plan(in_acme: Tenant) -> None:
    given = document(wanted("a", interval_seconds=10), wanted("b", interval_seconds=10), managedBy="ops")
    apply_document(given)
    give_plan(in_acme, "free", checks=1)

    plan = apply_document(given)

    assert plan.counts == {"create": 0, "update": 0, "unchanged": 2, "prune": 0}


@pytest.mark.django_db
def test_document_resumes_nothing_beyond_the_plan(in_acme: Tenant) -> None:
    apply_document(document(wanted("a", interval_seconds=300, paused=True), wanted("b", interval_seconds=300)))
    give_plan(in_acme, "free", checks=1)

    with pytest.raises(DocumentErrors) as refused:
        apply_document(document(wanted("a", interval_seconds=300, paused=False)))

    assert list(refused.value.errors) == ["checks"]


@pytest.mark.django_db
def test_import_takes_what_fits_and_reports_the_rest(in_acme: Tenant) -> None:
    raw = (
        b"Type,Friendly Name,URL/IP,Interval\n"
        b"HTTP,Shop,https://shop.example/,60\nHTTP,Blog,https://blog.example/,600\nHTTP,Wiki,https://wiki.example/,600\n"
    )
    give_plan(in_acme, "free", checks=2)

    made = import_checks(source="uptimerobot", files=[raw], can=(), is_dry_run=False)

    assert sorted(Check.objects.values_list("name", "interval_seconds")) == [("Blog", 600), ("Shop", 300)]
    assert [(loss.name, str(loss.reason), loss.is_whole) for loss in made.losses if "plan" in str(loss.reason)] == [
        ("Shop", "It is checked every 300 seconds instead of 60: your plan allows no shorter interval.", False),
        ("Wiki", "Your plan allows no more checks. See “Plan and usage” in the settings.", True),
    ]


# --- The API and the pages -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_api_says_which_limit_and_what_the_plan_allows(acme: Tenant) -> None:
    give_plan(acme, "free", checks=1)
    api = make_api(acme)
    body = {"name": "A", "kind": "http", "config": {"url": "http://127.0.0.1:9/"}}

    made = api.post("/api/v1/checks/", body)
    often = api.patch(f"/api/v1/checks/{made.json()['id']}/", {"interval_seconds": 10})
    full = api.post("/api/v1/checks/", body)

    assert (made.status_code, made.json()["interval_seconds"]) == (201, 300)
    assert full.status_code == 403
    assert full.json() == {
        "type": "urn:obsera:problem:plan_limit",
        "title": "The plan does not allow this.",
        "status": 403,
        "detail": (
            "Checks: the plan “Free” allows 1 and 1 are in use; this is one too many. Remove what you no longer need, or "
            "see “Plan and usage” in the settings for a larger plan."
        ),
        "limit": {"name": "checks", "plan": "free", "allowed": 1, "used": 1, "see": "/api/v1/plan/"},
    }
    assert (often.status_code, list(often.json()["errors"])) == (403, ["interval_seconds"])
    assert often.json()["limit"] == {
        "name": "min_interval_seconds",
        "plan": "free",
        "allowed": 300,
        "see": "/api/v1/plan/",
    }


@pytest.mark.django_db
def test_api_resumes_nothing_beyond_the_plan_and_applies_nothing(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check("paused", state=State.PAUSED)
        make_check("running")
    give_plan(acme, "free", checks=1)
    api = make_api(acme)

    resumed = api.post(f"/api/v1/checks/{check.id}/resume/", {})
    applied = api.post("/api/v1/checks/apply", document(wanted("new")))

    assert (resumed.status_code, resumed.json()["limit"]["used"]) == (403, 1)
    assert (applied.status_code, list(applied.json()["errors"])) == (400, ["checks"])


def editor(acme: Tenant) -> Client:
    client = Client()
    client.force_login(make_member(acme, "editor@acme.example", Role.EDITOR))
    return client


FORM = {"name": "A", "config-url": "http://127.0.0.1:9/", "timeout_seconds": "10", "retries": "1"}


@pytest.mark.django_db
def test_form_offers_the_plans_shortest_interval_and_names_the_field_that_is_beyond(acme: Tenant) -> None:
    give_plan(acme, "free")
    client = editor(acme)

    empty = client.get("/t/acme/checks/new/?kind=http").context["form"]
    answer = client.post(
        "/t/acme/checks/new/?kind=http", {**FORM, "interval_seconds": "60", "retry_interval_seconds": "5"}
    )

    assert (empty["interval_seconds"].value(), str(empty["interval_seconds"].help_text)) == (
        300,
        "Your plan allows from 300 seconds up to a day.",
    )
    assert answer.status_code == 422
    assert answer.context["form"].errors == {
        "interval_seconds": [
            "The plan's shortest interval is 300 seconds: give that or more. The plan is “Free”; see “Plan and usage” in the "
            "settings."
        ]
    }


@pytest.mark.django_db
def test_picker_says_what_is_not_in_the_plan_and_when_it_is_used_up(acme: Tenant) -> None:
    client = editor(acme)
    unlimited = client.get("/t/acme/checks/new/")
    give_plan(acme, "free", checks=1)
    with tenant_scope(acme.id):
        before = client.get("/t/acme/checks/new/")
        make_check("the one")
    full = client.get("/t/acme/checks/new/")

    assert [answer.context["beyond_plan"] for answer in (unlimited, before, full)] == [[], ["browser"], ["browser"]]
    assert [answer.context["is_used_up"] for answer in (unlimited, before, full)] == [False, False, True]
    assert [answer.content.decode().count("Not in your plan") for answer in (unlimited, full)] == [0, 1]
    assert 'href="?kind=browser"' in unlimited.content.decode()
    assert 'href="?kind=browser"' not in full.content.decode()


@pytest.mark.django_db
def test_form_of_a_full_plan_says_so_above_and_makes_nothing(acme: Tenant) -> None:
    give_plan(acme, "free", checks=0)
    client = editor(acme)

    answer = client.post(
        "/t/acme/checks/new/?kind=http", {**FORM, "interval_seconds": "300", "retry_interval_seconds": "5"}
    )
    first = client.post("/t/acme/start/", {"url": "shop.example"})

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, ["__all__"])
    assert (first.status_code, list(first.context["form"].errors)) == (422, ["url"])
    with tenant_scope(acme.id):
        assert Check.objects.count() == 0


@pytest.mark.django_db
def test_page_of_agents_says_why_none_is_added_or_let_in_again(acme: Tenant, client: Client, owner) -> None:
    with tenant_scope(acme.id):
        (revoked, _token), _other = create_agent(name="Cellar"), create_agent(name="Attic")
        revoke_agent(revoked)
    give_plan(acme, "team", agents=1)
    client.force_login(owner)

    added = client.post("/t/acme/checks/agents/", {"name": "Roof"})
    again = client.post(f"/t/acme/checks/agents/{revoked.id}/reinstate/", follow=True)

    assert (added.status_code, list(added.context["form"].errors)) == (422, ["name"])
    assert [str(message)[:31] for message in again.context["messages"]] == ["Agents: the plan “Team” allows "]
    with tenant_scope(acme.id):
        standing = [(agent.name, agent.revoked_at is None) for agent in Agent.objects.order_by("name")]
    assert standing == [("Attic", True), ("Cellar", False)]


@pytest.mark.django_db
def test_list_says_why_a_check_does_not_go_on(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        paused, _running = make_check("paused", state=State.PAUSED), make_check("running")
    give_plan(acme, "free", checks=1)
    client = editor(acme)

    row = client.post(f"/t/acme/checks/{paused.id}/resume/", headers={"hx-request": "true"})
    page = client.post(f"/t/acme/checks/{paused.id}/resume/", follow=True)
    many = client.post("/t/acme/checks/bulk/", {"action": "resume", "ids": [str(paused.id)]}, follow=True)

    assert "allows 1 and 1 run" in row.headers["HX-Trigger"]
    assert f'id="check-{paused.id}"' in row.content.decode()
    assert [str(message)[:33] for message in page.context["messages"]] == ["Running checks: the plan allows 1"]
    assert [str(message)[:33] for message in many.context["messages"]] == ["Running checks: the plan allows 1"]
