"""Pages of checks."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.checks.domain import checks, queries
from apps.checks.domain.allowance import is_used_up, kinds_beyond_plan
from apps.checks.domain.charts import PERIODS, default_period, latency_chart, stretch_between
from apps.checks.domain.checks import Timing
from apps.checks.domain.dependencies import blamed_for
from apps.checks.domain.findings import findings_of
from apps.checks.domain.promises import promise_of
from apps.checks.domain.reasons import reason_of
from apps.checks.domain.rollups import rolled_availability
from apps.checks.domain.settings import config_of, type_of
from apps.checks.domain.switches import kinds_switched_off, switch_of
from apps.checks.domain.uptime import daily_uptime
from apps.checks.doors import check_or_404
from apps.checks.forms import CheckForm
from apps.checks.models import Check
from apps.checks.permissions import EDIT_CHECKS, VIEW_CHECKS
from apps.checks.types.base import CheckType
from apps.checks.types.groups import kind_groups
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.kind_forms import PREFIX
from apps.core.kinds import ConfigErrors
from apps.core.refusals import Refusal
from apps.core.registry import UnknownKind
from apps.tenants.doors import TenantRequest, tenant_view


def _choose_kind(request: TenantRequest) -> HttpResponse:
    context = {
        "groups": kind_groups(),
        "beyond_plan": kinds_beyond_plan(),
        "is_used_up": is_used_up(),
        "off": kinds_switched_off(),
    }
    return render(request, "checks/kinds.html", context)


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_CHECKS)
def create(request: TenantRequest) -> HttpResponse:
    """Choose a kind, then make a check of the kind in ``?kind=``."""
    try:
        kind = CHECK_TYPES.get(request.GET.get("kind", ""))
    except UnknownKind:
        return _choose_kind(request)
    form = CheckForm(request.POST or None, kind=kind)
    if form.is_valid() and (check := _kept(form, partial(_create, kind))):
        messages.success(request, _("%(name)s is being checked.") % {"name": check.name})
        return redirect("checks:detail", request.tenant.slug, check.id)
    context = {"form": form, "kind": kind, "switch": switch_of(kind)}
    return render(request, "checks/form.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_CHECKS)
def edit(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Change a check."""
    check = check_or_404(check_id)
    kind = type_of(check)
    form = CheckForm(request.POST or None, kind=kind, stored=config_of(check), check=check)
    if form.is_valid() and _kept(form, partial(_change, check)):
        messages.success(request, _("Saved. The next check uses the new settings."))
        return redirect("checks:detail", request.tenant.slug, check.id)
    return render(
        request, "checks/form.html", {"form": form, "kind": kind, "check": check}, status=422 if form.errors else 200
    )


def _create(kind: CheckType, form: CheckForm) -> Check:
    assert form.parsed_config  # noqa: S101 - the form is valid
    timing = Timing(**form.timing())
    return checks.create_check(kind=kind.kind, config=form.parsed_config, timing=timing, **_named(form))


def _change(check: Check, form: CheckForm) -> Check:
    # A name that stays is no rename, for which all groups would be held.
    named = {name: value for name, value in _named(form).items() if name != "name" or name in form.changed_data}
    changed = checks.change_check(check.id, config=form.given_config, timing=form.timing(), **named)
    if changed is None:
        raise Http404
    return changed


def _named(form: CheckForm) -> dict[str, Any]:
    return {name: form.cleaned_data[name] for name in ("name", "tags")}


def _kept(form: CheckForm, keep: Callable[[CheckForm], Check]) -> Check | None:
    """Keep what the form says; what a rule refuses stands at its field, or above the form."""
    try:
        return keep(form)
    except Refusal as refusal:
        field = refusal.field.replace("config.", PREFIX)
        form.add_error(field if field in form.fields else None, str(refusal))
    except ConfigErrors as error:  # with what a colleague has made of the other settings meanwhile
        form.add_config_errors(error)
    return None


@require_GET
@tenant_view(VIEW_CHECKS)
def detail(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """One check: what it is now, its chart, its last results and outages."""
    check, zone = check_or_404(check_id), ZoneInfo(request.tenant.time_zone)
    period = request.GET.get("period", "")
    period = period if period in PERIODS else default_period(check)
    ends = {name: request.GET[name] for name in ("from", "to") if request.GET.get(name, "").isdecimal()}
    context = {
        **_detail_context(check),
        "periods": PERIODS,
        "period": period,
        "chart_query": urlencode({"period": period, **ends}),
        "days": daily_uptime([check.id], zone=zone)[check.id],
        "last_day": clock.now().astimezone(zone).date(),
    }
    return render(request, "checks/detail.html", context)


def _detail_context(check: Check) -> dict[str, Any]:
    now, kind, results = clock.now(), type_of(check), queries.latest_results(check.id)
    return {
        "check": check,
        "kind": kind,
        "kind_panels": (f"checks/kinds/{check.kind}.html", "checks/kinds/_none.html"),
        "results": results,
        "findings": findings_of(kind, results[0].details if results else None),
        "turns": queries.turns_by_region(check),
        "reason": reason_of(check, results),
        "confidence": queries.outage_confidence(check),
        "promise": promise_of(check),
        "blamed_checks": blamed_for([check]),
        "day": queries.availability(check.id, since=now - timedelta(days=1)),
        "week": rolled_availability(check.id, since=now - timedelta(days=7)),
    }


@require_GET
@tenant_view(VIEW_CHECKS)
def chart(request: TenantRequest, check_id: UUID) -> JsonResponse:
    """The chart's data: average latency by phase, in a period or between ``from`` and ``to`` (milliseconds)."""
    check = check_or_404(check_id)
    chosen = stretch_between(check, request.GET.get("from", ""), request.GET.get("to", ""))
    return JsonResponse(latency_chart(check, period=request.GET.get("period", ""), chosen=chosen))


@require_POST
@tenant_view(EDIT_CHECKS)
def run_now(request: TenantRequest, check_id: UUID) -> HttpResponse:
    try:
        checks.check_by_hand(check_or_404(check_id))
        messages.info(request, _("The next check starts now."))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect("checks:detail", request.tenant.slug, check_id)


@require_POST
@tenant_view(EDIT_CHECKS)
def delete(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Delete a check with its history."""
    check = check_or_404(check_id)
    checks.delete_check(check)
    messages.success(request, _("%(name)s was deleted.") % {"name": check.name})
    return redirect(reverse("checks:list", args=[request.tenant.slug]))
