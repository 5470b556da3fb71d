"""The plan on screen and over the API: what is allowed, what is used."""

import pytest
from django.test import Client

from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.factories.api import make_api
from tests.factories.checks import make_check
from tests.factories.plans import give_plan
from tests.queries import queries_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client, acme: Tenant) -> Client:
    client.force_login(make_member(acme, "viewer@acme.example", Role.VIEWER))
    return client


def make_checks(tenant: Tenant, number: int) -> None:
    with tenant_scope(tenant.id):
        for place in range(number):
            make_check(f"check {place}")


def test_viewer_sees_use_and_limits_of_the_own_tenant_alone(viewer: Client, acme: Tenant, globex: Tenant) -> None:
    make_checks(acme, 3)
    make_checks(globex, 9)
    give_plan(acme, "free")
    give_plan(globex, "business")

    page = viewer.get("/t/acme/settings/plan/")

    text = page.content.decode()
    assert [(use.limit.name, use.used, use.allowed) for use in page.context["counted"]] == [
        ("checks", 3, 20),
        ("agents", 0, 0),
    ]
    assert [(use.limit.name, use.allowed) for use in page.context["others"]] == [
        ("min_interval_seconds", 300),
        ("regions_per_check", 1),
        ("has_browser_checks", False),
    ]
    assert '<progress class="progress-line" value="3" max="20" aria-label="Checks">3</progress>' in text
    assert "Acme is on the plan “Free”." in text
    assert "Not in the plan" in text
    assert [plan.code for plan, _uses in page.context["plans"]] == ["free", "team", "business"]
    assert viewer.post("/t/acme/settings/plan/").status_code == 405
    assert viewer.get("/t/globex/settings/plan/").status_code == 404


@pytest.mark.parametrize(
    ("allowed", "css_class", "is_over"),
    [(5, "progress-line", False), (4, "progress-line state-degraded", False), (2, "progress-line state-down", True)],
)
def test_bar_tells_how_tight_it_is(viewer: Client, acme: Tenant, allowed: int, css_class: str, is_over: bool) -> None:
    make_checks(acme, 3 if allowed != 4 else 4)
    give_plan(acme, "team", checks=allowed)

    text = viewer.get("/t/acme/settings/plan/").content.decode()

    assert f'<progress class="{css_class}" value=' in text
    assert ("There is more here than the plan allows" in text) is is_over
    assert ("More than the plan allows." in text) is is_over


def test_tenant_without_limits_sees_no_bars_and_no_plans_to_choose(viewer: Client, acme: Tenant) -> None:
    make_checks(acme, 2)

    page = viewer.get("/t/acme/settings/plan/")

    assert page.context["plans"] == []
    assert "2 in use, any number allowed" in page.content.decode()
    assert "<progress" not in page.content.decode()


def test_page_takes_the_same_queries_however_many_checks_there_are(viewer: Client, acme: Tenant) -> None:
    give_plan(acme, "team")
    make_checks(acme, 1)
    few = queries_of(lambda: viewer.get("/t/acme/settings/plan/"))
    make_checks(acme, 3)

    assert queries_of(lambda: viewer.get("/t/acme/settings/plan/")) == few


def test_api_tells_the_plan_to_any_key_of_the_tenant(acme: Tenant, globex: Tenant) -> None:
    make_checks(acme, 2)
    make_checks(globex, 7)
    standing = give_plan(acme, "team", checks=None, agents=1)

    answer = make_api(acme, Role.VIEWER).get("/api/v1/plan/")

    assert answer.status_code == 200
    assert standing.since_at is not None
    assert answer.json() == {
        "plan": "team",
        "title": "Team",
        "since_at": standing.since_at.isoformat().replace("+00:00", "Z"),
        "limits": [
            {"name": "checks", "title": "Checks", "allowed": None, "used": 2},
            {"name": "agents", "title": "Agents", "allowed": 1, "used": 0},
            {"name": "min_interval_seconds", "title": "Shortest interval", "allowed": 30, "used": None},
            {"name": "regions_per_check", "title": "Regions per check", "allowed": 5, "used": None},
            {"name": "has_browser_checks", "title": "Browser checks", "allowed": True, "used": None},
        ],
    }


def test_api_changes_no_plan(acme: Tenant) -> None:
    api = make_api(acme)

    assert [getattr(api, verb)("/api/v1/plan/", {"plan": "business"}).status_code for verb in ("post", "patch")] == [
        405,
        405,
    ]
