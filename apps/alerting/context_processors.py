"""What every page shows of alerts."""

from typing import Any

from django.http import HttpRequest

from apps.alerting.domain.queries import firing_alert_count
from apps.core.tenancy import NoTenantScope


def alerts(request: HttpRequest) -> dict[str, Any]:
    """Return the number of firing alerts, counted only where a page shows it."""
    return {"firing_alerts": _count} if hasattr(request, "tenant") else {}


def _count() -> int | None:
    try:
        return firing_alert_count()
    except NoTenantScope:  # a page of refusal is drawn after the scope was closed
        return None
