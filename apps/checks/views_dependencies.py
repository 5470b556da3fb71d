"""What a check depends on, for people."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from apps.checks.domain.dependencies import depends_on, set_parents
from apps.checks.forms_dependencies import DependenciesForm
from apps.checks.models import Check
from apps.checks.permissions import EDIT_CHECKS
from apps.core.refusals import Refusal
from apps.tenants.doors import TenantRequest, tenant_view


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_CHECKS)
def edit(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Choose what a check depends on."""
    check = get_object_or_404(Check, id=check_id)
    form = DependenciesForm(request.POST or None, check=check, initial={"parents": depends_on(check)})
    if request.method == "POST" and form.is_valid():
        try:
            set_parents(check, list(form.cleaned_data["parents"]))
        except Refusal as refusal:
            form.add_error("parents", str(refusal))
        else:
            messages.success(request, _("Saved."))
            return redirect("checks:detail", request.tenant.slug, check.id)
    context = {"form": form, "check": check}
    return render(request, "checks/dependencies.html", context, status=422 if form.errors else 200)
