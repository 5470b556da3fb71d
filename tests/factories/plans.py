"""Plans, given the way the operator gives them."""

from typing import Any

from apps.core.tenancy import tenant_scope
from apps.plans.domain.plans import Standing, set_plan
from apps.tenants.models import Tenant


def give_plan(tenant: Tenant, code: str, **overrides: Any) -> Standing:
    """Put a tenant on a plan; `overrides` are its own deal."""
    with tenant_scope(tenant.id):
        return set_plan(tenant.id, code=code, overrides=overrides, changed_by="op@obsera.example")


def wanted(key: str, **fields: Any) -> dict[str, Any]:
    """A check of a configuration document."""
    return {"key": key, "name": key, "kind": "http", "config": {"url": "http://127.0.0.1:9/"}, **fields}


def document(*checks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A configuration document."""
    return {"apiVersion": "obsera/v1", "checks": list(checks), **more}
