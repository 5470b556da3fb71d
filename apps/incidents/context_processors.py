"""What every page shows of outages."""

from typing import Any

from django.http import HttpRequest

from apps.core.tenancy import NoTenantScope
from apps.incidents.domain.queries import open_outage_count


def outages(request: HttpRequest) -> dict[str, Any]:
    """Return the number of open outages, counted only where a page shows it."""
    return {"open_outages": _count} if hasattr(request, "tenant") else {}


def _count() -> int | None:
    try:
        return open_outage_count()
    except NoTenantScope:  # a page of refusal is drawn after the scope was closed
        return None
