"""The text that came with a ping."""

from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from apps.checks.domain.heartbeats import find_ping
from apps.checks.models import Check
from apps.checks.permissions import VIEW_CHECKS
from apps.tenants.doors import TenantRequest, tenant_view


@require_GET
@tenant_view(VIEW_CHECKS)
def ping_text(request: TenantRequest, check_id: UUID, number: int) -> HttpResponse:
    """Show one ping's text."""
    ping = find_ping(get_object_or_404(Check, id=check_id), number)
    if ping is None:
        raise Http404
    return render(request, "checks/kinds/_ping_text.html", {"text": ping.text})
