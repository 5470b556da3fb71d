"""Pages about the tenant: entering, founding, settings, its plan, keys."""

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.accounts.models import User
from apps.core import clock
from apps.plans.catalogue import UNLIMITED
from apps.plans.domain.usage import compared, uses_of
from apps.tenants.domain import api_keys, queries, tenants
from apps.tenants.domain.memberships import tenant_to_enter, tenants_of
from apps.tenants.domain.rights import may_grant
from apps.tenants.doors import LAST_TENANT, TenantRequest, account_view, require, tenant_view
from apps.tenants.forms import ApiKeyForm, NewTenantForm, SettingsForm
from apps.tenants.models import ApiKey, Tenant
from apps.tenants.permissions import MANAGE_API_KEYS, MANAGE_SETTINGS, VIEW_TENANT


def address_in(tenant: Tenant, *names: str) -> str:
    """Return the first of the named pages that this installation has; the apps above us bring theirs."""
    for name in names:
        try:
            return reverse(name, args=[tenant.slug])
        except NoReverseMatch:
            continue
    return reverse("tenants:settings", args=[tenant.slug])


@account_view
@require_GET
def enter(request: HttpRequest) -> HttpResponse:
    """Lead a signed-in person to where they work."""
    found = tenants_of(cast("User", request.user))
    tenant = tenant_to_enter(found, request.session.get(LAST_TENANT))
    if tenant:
        return redirect(address_in(tenant, "console:home"))
    return redirect("tenants:switch" if found else "tenants:create")


@account_view
@require_GET
def switch(request: HttpRequest) -> HttpResponse:
    """Let a person choose among their tenants."""
    found = tenants_of(cast("User", request.user))
    choices = [(tenant, address_in(tenant, "console:home")) for tenant in found]
    return render(request, "tenants/switch.html", {"choices": choices})


@account_view
@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    """Found a tenant."""
    form = NewTenantForm(request.POST or None)
    if form.is_valid():
        tenant = tenants.create_tenant(name=form.cleaned_data["name"], owner=cast("User", request.user))
        return redirect(address_in(tenant, "console:onboarding", "console:home"))
    return render(request, "tenants/create.html", {"form": form})


@tenant_view(VIEW_TENANT)
@require_http_methods(["GET", "POST"])
def settings(request: TenantRequest) -> HttpResponse:
    """Show the settings to everyone, keep them for those who may change them."""
    form = SettingsForm(request.POST or None, instance=request.tenant)
    if request.method == "POST":
        require(request, MANAGE_SETTINGS)
        if form.is_valid():
            tenants.change_settings(tenant=request.tenant, **form.cleaned_data)
            messages.success(request, _("Settings saved."))
            return redirect("tenants:settings", request.tenant.slug)
        request.tenant.refresh_from_db()  # the form wrote its unsaved values into it
    return render(request, "tenants/settings.html", {"form": form})


@tenant_view(VIEW_TENANT)
@require_GET
def plan(request: TenantRequest) -> HttpResponse:
    """Show the plan: what is used of it, and what the others allow."""
    standing, uses = uses_of(request.tenant.id)
    context = {
        "standing": standing,
        "counted": [use for use in uses if use.limit.is_counted],
        "others": [use for use in uses if not use.limit.is_counted],
        "is_over": any(use.is_over for use in uses),
        "plans": compared() if standing.plan.code != UNLIMITED else [],
    }
    return render(request, "tenants/plan.html", context)


@tenant_view(MANAGE_API_KEYS)
@never_cache
@require_http_methods(["GET", "POST"])
def keys(request: TenantRequest) -> HttpResponse:
    """List keys and make one; its text is on the answering page only."""
    form = ApiKeyForm(request.POST or None, can=request.can)
    text = ""
    if form.is_valid():
        lifetime = form.chosen_lifetime
        _key, text = api_keys.create_api_key(
            name=form.cleaned_data["name"],
            role=form.chosen_role,
            created_by=request.user,
            can=request.can,
            expires_at=clock.now() + lifetime if lifetime else None,
        )
        form = ApiKeyForm(can=request.can)
    rows = [(key, may_grant(request.can, key.role)) for key in queries.unrevoked_keys()]
    return render(request, "tenants/api_keys.html", {"form": form, "rows": rows, "new_key": text, "now": clock.now()})


@tenant_view(MANAGE_API_KEYS)
@require_POST
def revoke_key(request: TenantRequest, key_id: str) -> HttpResponse:
    """End a key."""
    key = get_object_or_404(ApiKey, id=key_id)
    api_keys.revoke_api_key(key=key, can=request.can)
    messages.success(request, _("“%(name)s” no longer opens anything.") % {"name": key.name})
    return redirect("tenants:api_keys", request.tenant.slug)
