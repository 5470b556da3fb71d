"""The operator's pages about organisations and their plans."""

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from apps.accounts.models import User
from apps.checks.domain.fitting import beyond_plan, bring_within_plan
from apps.console.domain.customers import customers, find_tenants
from apps.console.forms import PlanForm
from apps.core.tenancy import tenant_scope
from apps.plans.domain.plans import note_in_history, plan_changes, set_plan
from apps.plans.domain.usage import uses_of
from apps.tenants.doors import staff_view
from apps.tenants.models import Tenant

PAGE_SIZE = 50


@require_GET
@staff_view
@never_cache
def tenants(request: HttpRequest) -> HttpResponse:
    """List the organisations with their plans, by name or address."""
    text = request.GET.get("q", "").replace("\x00", "")[:100].strip()
    page = Paginator(find_tenants(text), PAGE_SIZE).get_page(request.GET.get("page"))
    query = urlencode({"q": text}) if text else ""
    context = {"page": page, "customers": customers(list(page.object_list)), "text": text, "query": query}
    return render(request, "console/plans/list.html", context)


@require_http_methods(["GET", "POST"])
@staff_view
@never_cache
def plan(request: HttpRequest, tenant_slug: str) -> HttpResponse:
    """Show an organisation's plan, its use and its history; give it another, or bring its checks within it."""
    customer = get_object_or_404(Tenant, slug=tenant_slug)
    with tenant_scope(customer.id), transaction.atomic():
        if "fit" in request.POST:
            _fit(request, customer)
            return redirect("console:tenant_plan", customer.slug)
        standing, uses = uses_of(customer.id)
        form = PlanForm(request.POST if request.method == "POST" else None, standing=standing)
        if form.is_valid():
            _set(customer, form, cast("User", request.user))
            messages.success(request, _("The plan of %(name)s was changed.") % {"name": customer.name})
            return redirect("console:tenant_plan", customer.slug)
        context: dict[str, Any] = {
            "customer": customer,
            "standing": standing,
            "counted": [use for use in uses if use.limit.is_counted],
            "form": form,
            "beyond": beyond_plan(),
            "changes": plan_changes(),
        }
    return render(request, "console/plans/detail.html", context, status=422 if form.errors else 200)


def _fit(request: HttpRequest, customer: Tenant) -> None:
    fit = bring_within_plan()
    done = _("Brought within the plan: %(slowed)s slowed down, %(paused)s paused.") % {
        "slowed": len(fit.slowed),
        "paused": len(fit.paused),
    }
    if fit:
        note_in_history(customer.id, changed_by=cast("User", request.user).email, note=done)
    messages.success(request, done)


def _set(customer: Tenant, form: PlanForm, operator: User) -> None:
    given = form.cleaned_data
    set_plan(customer.id, code=given["plan"], overrides=form.overrides, changed_by=operator.email, note=given["note"])
