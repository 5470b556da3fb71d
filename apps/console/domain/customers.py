"""The organisations of this installation with their plans, for who operates it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from apps.checks.domain.allowance import UNCOUNTED
from apps.checks.models import Agent, Check
from apps.core.tenancy import system_scope
from apps.plans.domain.plans import Standing, standing_of_row
from apps.plans.models import TenantPlan
from apps.tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant, its plan, and how much of it is used."""

    tenant: Tenant
    standing: Standing
    checks: int
    agents: int

    @property
    def is_over(self) -> bool:
        allowed = self.standing.entitlements
        pairs = ((self.checks, allowed.checks), (self.agents, allowed.agents))
        return any(most is not None and used > most for used, most in pairs)


def find_tenants(text: str = "") -> QuerySet[Tenant]:
    """Return the tenants whose name or address has the text, by name."""
    found = Tenant.objects.order_by("name", "slug")
    return found.filter(Q(name__icontains=text) | Q(slug__icontains=text)) if text else found


def customers(tenants: list[Tenant]) -> list[Customer]:
    """Return those tenants as customers, in three queries however many they are."""
    ids = [tenant.id for tenant in tenants]
    with system_scope("the operator sees every organisation's plan"):
        rows = {row.tenant_id: row for row in TenantPlan.unscoped.filter(tenant_id__in=ids)}
        checks = _counted(Check.unscoped.exclude(kind__in=UNCOUNTED), ids)
        agents = _counted(Agent.unscoped.all(), ids)
    return [
        Customer(tenant, standing_of_row(rows.get(tenant.id)), checks.get(tenant.id, 0), agents.get(tenant.id, 0))
        for tenant in tenants
    ]


def _counted(rows: QuerySet[Any], tenant_ids: list[UUID]) -> dict[UUID, int]:
    counted = rows.filter(tenant_id__in=tenant_ids).order_by().values("tenant_id").annotate(number=Count("pk"))
    return {row["tenant_id"]: row["number"] for row in counted}
