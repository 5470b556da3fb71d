"""Pages of maintenance windows."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.checks.models import Check
from apps.incidents.domain import maintenance
from apps.incidents.domain.coverage import count_grouped, count_within
from apps.incidents.forms import WindowForm
from apps.incidents.models import MaintenanceWindow
from apps.incidents.permissions import PLAN_MAINTENANCE, VIEW_OUTAGES
from apps.tenants.doors import TenantRequest, tenant_view

PAGE_SIZE = 50


@require_GET
@tenant_view(VIEW_OUTAGES)
def window_list(request: TenantRequest) -> HttpResponse:
    """What runs, what comes, what is over."""
    page = Paginator(maintenance.find_windows(), PAGE_SIZE).get_page(request.GET.get("page"))
    grouped = count_grouped(page)
    rows = [(window, maintenance.next_of(window), grouped[window.id]) for window in page]
    return render(request, "incidents/windows.html", {"page": page, "rows": rows})


@require_http_methods(["GET", "POST"])
@tenant_view(PLAN_MAINTENANCE)
def create_window(request: TenantRequest) -> HttpResponse:
    """Plan maintenance."""
    return _form_page(request, None)


@require_http_methods(["GET", "POST"])
@tenant_view(PLAN_MAINTENANCE)
def edit_window(request: TenantRequest, window_id: UUID) -> HttpResponse:
    """Plan it otherwise."""
    return _form_page(request, get_object_or_404(MaintenanceWindow, id=window_id))


def _form_page(request: TenantRequest, window: MaintenanceWindow | None) -> HttpResponse:
    form = WindowForm(request.POST or None, window=window, time_zone=request.tenant.time_zone)
    if request.method == "POST" and form.is_valid():
        try:
            maintenance.keep_window(window, form.settings(), actor=request.user)
        except maintenance.BadWindow as refusal:  # a colleague was faster
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("The maintenance is planned."))
            return redirect("incidents:windows", request.tenant.slug)
    planned = [(one.starts_at, one.ends_at) for one in maintenance.next_of(window, count=5)] if window else []
    grouped = count_within(window.checks.all()) if window and not window.covers_all else 0
    context = {"form": form, "window": window, "planned": planned, "grouped": grouped}
    return render(request, "incidents/window_form.html", context, status=422 if form.errors else 200)


@require_POST
@tenant_view(PLAN_MAINTENANCE)
def preview_window(request: TenantRequest) -> HttpResponse:
    """Show when what is being planned would take place."""
    form = WindowForm.of_timing(request.POST, time_zone=request.tenant.time_zone)
    planned = maintenance.preview(form.settings()) if form.is_valid() else []
    grouped = 0 if "covers_all" in request.POST else count_within(form.cleaned_data.get("checks", ()))
    context = {"planned": planned, "is_valid": form.is_valid(), "grouped": grouped}
    return render(request, "incidents/_window_preview.html", context)


@require_POST
@tenant_view(PLAN_MAINTENANCE)
def start_now(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Put a check under maintenance for an hour."""
    check = get_object_or_404(Check, id=check_id)
    maintenance.start_now(check, actor=request.user, time_zone=request.tenant.time_zone)
    messages.success(request, _("Under maintenance for one hour. Its results are kept and judge nothing."))
    return redirect("checks:detail", request.tenant.slug, check.id)


@require_POST
@tenant_view(PLAN_MAINTENANCE)
def end_window(request: TenantRequest, window_id: UUID) -> HttpResponse:
    """End what runs."""
    window = get_object_or_404(MaintenanceWindow, id=window_id)
    try:
        maintenance.end_now(window_id=window.id)
    except maintenance.NotRunning as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, _("The maintenance is over."))
    return redirect("incidents:windows", request.tenant.slug)


@require_POST
@tenant_view(PLAN_MAINTENANCE)
def delete_window(request: TenantRequest, window_id: UUID) -> HttpResponse:
    """Plan it no longer."""
    maintenance.delete_window(get_object_or_404(MaintenanceWindow, id=window_id))
    messages.success(request, _("The maintenance is deleted."))
    return redirect("incidents:windows", request.tenant.slug)
