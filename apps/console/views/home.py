"""The first pages of a tenant."""

from uuid import UUID

from django import forms
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from apps.checks.domain.queries import latest_results
from apps.checks.models import Check
from apps.checks.permissions import EDIT_CHECKS, VIEW_CHECKS
from apps.console.domain.jumping import jumps
from apps.console.domain.onboarding import watch_first_address
from apps.console.domain.overview import overview_of_tenant
from apps.console.domain.search import search
from apps.core.kinds import ConfigErrors
from apps.core.refusals import Refusal
from apps.tenants.doors import TenantRequest, tenant_view


class AddressForm(forms.Form):
    """The one question of the first minute."""

    url = forms.CharField(
        label=gettext_lazy("Which address should we watch?"),
        max_length=2_000,
        widget=forms.TextInput(
            attrs={
                "placeholder": "https://example.com/health",
                "autofocus": True,
                "inputmode": "url",
                "autocapitalize": "none",
            }
        ),
    )


@require_GET
@tenant_view(VIEW_CHECKS)
def home(request: TenantRequest) -> HttpResponse:
    """What is wrong now, first; a tenant without checks starts with the one question."""
    overview = overview_of_tenant()
    if not overview.checks_in_all and EDIT_CHECKS.name in request.can:
        return redirect("console:onboarding", request.tenant.slug)
    return render(request, "console/home.html", {"overview": overview})


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_CHECKS)
def onboarding(request: TenantRequest) -> HttpResponse:
    """Ask for one address and watch it."""
    form = AddressForm(request.POST or None)
    if form.is_valid():
        try:
            check = watch_first_address(form.cleaned_data["url"])
        except ConfigErrors as error:
            form.add_error("url", [text for texts in error.errors.values() for text in texts])
        except Refusal as refusal:
            form.add_error("url", str(refusal))
        else:
            return redirect("console:first_result", request.tenant.slug, check.id)
    return render(request, "console/onboarding.html", {"form": form}, status=422 if form.errors else 200)


@require_GET
@tenant_view(VIEW_CHECKS)
def first_result(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Wait with somebody for the first result of a new check; then lead on."""
    check = get_object_or_404(Check.objects.select_related("checkstate"), id=check_id)
    result = next(iter(latest_results(check.id, 1)), None)
    return render(request, "console/first_result.html", {"check": check, "result": result})


@require_GET
@tenant_view(VIEW_CHECKS)
def find(request: TenantRequest) -> HttpResponse:
    """Search the tenant by name."""
    text = request.GET.get("q", "").replace("\x00", "")[:200]
    hits = search(text, tenant_slug=request.tenant.slug, rights=request.can)
    return render(request, "console/search.html", {"text": text, "hits": hits})


@require_GET
@tenant_view(VIEW_CHECKS)
def jump(request: TenantRequest) -> HttpResponse:
    """The lines of the command palette for what is typed there."""
    text = request.GET.get("q", "").replace("\x00", "")[:200]
    groups = jumps(text, tenant_slug=request.tenant.slug, rights=request.can)
    return render(request, "console/_jumps.html", {"groups": groups})
