"""The text that came with a ping, and the key that pings by name bear."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.checks.domain.heartbeats import find_ping, ping_key
from apps.checks.domain.ping_keys import rotate_ping_key, set_ping_key
from apps.checks.forms_ping_key import PingKeyForm
from apps.checks.models import Check
from apps.checks.permissions import MANAGE_PING_KEY, VIEW_CHECKS
from apps.core.refusals import Refusal
from apps.tenants.doors import TenantRequest, tenant_view


@require_GET
@tenant_view(VIEW_CHECKS)
def ping_text(request: TenantRequest, check_id: UUID, number: int) -> HttpResponse:
    """Show one ping's text."""
    ping = find_ping(get_object_or_404(Check, id=check_id), number)
    if ping is None:
        raise Http404
    return render(request, "checks/kinds/_ping_text.html", {"text": ping.text})


@never_cache
@require_http_methods(["GET", "POST"])
@tenant_view(MANAGE_PING_KEY)
def key(request: TenantRequest) -> HttpResponse:
    """The tenant's ping key; POST replaces it by one that jobs know already."""
    form = PingKeyForm(request.POST or None)
    if form.is_valid():
        try:
            set_ping_key(form.cleaned_data["key"])
        except Refusal as refusal:
            form.add_error(refusal.field, str(refusal))
        else:
            messages.success(request, _("Saved."))
            return redirect("checks:ping_key", request.tenant.slug)
    context = {"form": form, "ping_key": ping_key()}
    return render(request, "checks/ping_key.html", context, status=422 if form.errors else 200)


@require_POST
@tenant_view(MANAGE_PING_KEY)
def rotate_key(request: TenantRequest) -> HttpResponse:
    """Replace the ping key by a new one."""
    rotate_ping_key()
    messages.success(request, _("There is a new ping key."))
    return redirect("checks:ping_key", request.tenant.slug)
