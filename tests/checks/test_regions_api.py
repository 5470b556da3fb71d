"""Regions over the API: what a check may name."""

from datetime import timedelta

import pytest

from apps.checks.domain.agents import create_agent
from apps.checks.models import Region
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories.api import make_api

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
