"""Approving what a check has observed."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.checks.domain.baselines import approve_baseline
from apps.checks.models import Check
from apps.checks.permissions import EDIT_CHECKS
from apps.core.refusals import Refusal
from apps.tenants.doors import TenantRequest, tenant_view


@require_POST
@tenant_view(EDIT_CHECKS)
def approve(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Make what was observed the baseline."""
    check = get_object_or_404(Check, id=check_id)
    try:
        approve_baseline(check, mark=request.POST.get("mark", ""))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("Approved. The next check compares with it."))
    return redirect("checks:detail", request.tenant.slug, check.id)
