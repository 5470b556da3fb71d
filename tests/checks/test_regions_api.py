"""Regions over the API: what a check may name."""

from datetime import timedelta

import pytest

from apps.checks.domain.agents import create_agent
from apps.checks.models import MAIN_REGION, Region
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories.api import make_api
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db


def test_regions_that_live_and_own_agents_are_listed(acme: Tenant, globex: Tenant) -> None:
    now = clock.now()
    Region.objects.filter(code="eu").update(seen_at=now)
    Region.objects.filter(code="us").update(seen_at=now - timedelta(hours=1))
    with tenant_scope(acme.id):
        create_agent(name="Office")
    with tenant_scope(globex.id):
        create_agent(name="Elsewhere")

    answer = make_api(acme, Role.VIEWER).get("/api/v1/regions/")

    assert answer.status_code == 200
    assert [entry["code"] for entry in answer.json()] == ["main", "eu", "agent-office"]
    assert all(entry["name"] for entry in answer.json())


def test_a_region_that_is_silent_may_stay_but_is_not_chosen_anew(acme: Tenant) -> None:
    Region.objects.filter(code="eu").update(seen_at=clock.now() - timedelta(hours=1))
    with tenant_scope(acme.id):
        has_it = make_check(regions=[MAIN_REGION, Region.objects.get(code="eu").id])
        has_it_not = make_check()
    api, given = make_api(acme, Role.EDITOR), {"regions": ["main", "eu"]}

    kept, chosen, created = (
        api.patch(f"/api/v1/checks/{has_it.id}/", given),
        api.patch(f"/api/v1/checks/{has_it_not.id}/", given),
        api.post(
            "/api/v1/checks/", {"name": "Shop", "kind": "http", "config": {"url": "https://shop.example/"}, **given}
        ),
    )

    assert (kept.status_code, kept.json()["regions"]) == (200, ["main", "eu"])
    refusal = {"regions": ["Choose at least one of the regions that probe now: main."]}
    assert [(refused.status_code, refused.json()["errors"]) for refused in (chosen, created)] == [(400, refusal)] * 2
