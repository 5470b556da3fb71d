"""Pages of checks."""

import json
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.checks.domain import checks, queries
from apps.checks.domain.bulk import BulkAction, act_on
from apps.checks.domain.charts import PERIODS, default_period, latency_chart
from apps.checks.domain.dependencies import blamed_for
from apps.checks.domain.findings import findings_of
from apps.checks.domain.rollups import rolled_availability
from apps.checks.domain.settings import config_of, type_of
from apps.checks.enums import State
from apps.checks.forms import BulkForm, CheckForm, FilterForm, RenameForm
from apps.checks.models import Check
from apps.checks.permissions import EDIT_CHECKS, VIEW_CHECKS
from apps.checks.types.groups import kind_groups
from apps.checks.types.registry import CHECK_TYPES
from apps.core import clock
from apps.core.refusals import Refusal
from apps.core.registry import UnknownKind
from apps.tenants.doors import TenantRequest, tenant_view

PAGE_SIZE = 50


def _check_or_404(check_id: UUID) -> Check:
    found: Check = get_object_or_404(Check.objects.select_related("checkstate").prefetch_related("turns"), id=check_id)
    return found


def _is_from_list(request: TenantRequest) -> bool:
    return bool(request.headers.get("HX-Request"))


def _to_detail(request: TenantRequest, check_id: UUID) -> HttpResponse:
    return redirect("checks:detail", request.tenant.slug, check_id)


@require_GET
@tenant_view(VIEW_CHECKS)
def check_list(request: TenantRequest) -> HttpResponse:
    """The tenant's checks: the worst first, with search and filters."""
    wanted = FilterForm(request.GET).wanted()
    page = Paginator(queries.find_checks(**wanted), PAGE_SIZE).get_page(request.GET.get("page"))
    counts = queries.count_by_state()
    context = {
        **wanted,
        "page": page,
        "rows": _rows(page.object_list),
        "blamed_checks": blamed_for(page),
        "states": [(value, label, counts[value]) for value, label in State.choices],
        "tags": queries.all_tags(),
        "query": urlencode({name: value for name, value in wanted.items() if value}),
        "is_filtered": any(wanted.values()),
    }
    return render(request, "checks/list.html", context)


def _rows(checks: Iterable[Check]) -> list[tuple[Check, list[float | None]]]:
    found = list(checks)
    lines = queries.sparklines(found)
    return [(check, lines[check.id]) for check in found]


def _row(request: TenantRequest, check_id: UUID, **more: Any) -> HttpResponse:
    """Return one row of the list as it is now."""
    ((check, line),) = _rows([_check_or_404(check_id)])
    context = {"check": check, "line": line, "blamed_checks": blamed_for([check]), **more}
    return render(request, "checks/_row.html", context)


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_CHECKS)
def rename(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Change the name in its row of the list: the row with a field, then the row again."""
    check = _check_or_404(check_id)
    form = RenameForm(request.POST if request.method == "POST" else None, initial={"name": check.name})
    if form.is_valid():
        checks.rename_check(check, name=form.cleaned_data["name"])
        return _row(request, check_id)
    return _row(request, check_id, form=None if "cancel" in request.GET else form)


@require_POST
@tenant_view(EDIT_CHECKS)
def bulk(request: TenantRequest) -> HttpResponse:
    """Do one thing to many checks."""
    form = BulkForm(request.POST)
    wanted = form.wanted()
    if form.is_valid():
        chosen = queries.find_checks(**wanted)
        if not form.cleaned_data["everything"]:
            chosen = chosen.filter(id__in=form.cleaned_data["ids"])
        _act(request, form, chosen)
    else:
        messages.error(request, " ".join(str(text) for texts in form.errors.values() for text in texts))
    query = urlencode({name: value for name, value in wanted.items() if value})
    return redirect(f"{reverse('checks:list', args=[request.tenant.slug])}?{query}".rstrip("?"))


def _act(request: TenantRequest, form: BulkForm, chosen: Iterable[Check]) -> None:
    action = BulkAction(form.cleaned_data["action"])
    try:
        count = act_on(chosen, action, tags=form.cleaned_data["tags"])
    except ValidationError as refusal:
        messages.error(request, " ".join(refusal.messages))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        done = ngettext("%(action)s: one check changed.", "%(action)s: %(count)s checks changed.", count)
        messages.success(request, done % {"action": action.label, "count": count})


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_CHECKS)
def create(request: TenantRequest) -> HttpResponse:
    """Choose a kind, then make a check of the kind in ``?kind=``."""
    try:
        kind = CHECK_TYPES.get(request.GET.get("kind", ""))
    except UnknownKind:
        return render(request, "checks/kinds.html", {"groups": kind_groups()})
    form = CheckForm(request.POST or None, kind=kind)
    if (
        form.is_valid()
        and form.parsed_config
        and (check := _kept(form, lambda given: checks.create_check(kind=kind.kind, **given)))
    ):
        messages.success(request, _("%(name)s is being checked.") % {"name": check.name})
        return redirect("checks:detail", request.tenant.slug, check.id)
    return render(request, "checks/form.html", {"form": form, "kind": kind}, status=422 if form.errors else 200)


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_CHECKS)
def edit(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Change a check."""
    check = _check_or_404(check_id)
    kind = type_of(check)
    form = CheckForm(request.POST or None, kind=kind, stored=config_of(check), check=check)
    if form.is_valid() and form.parsed_config and _kept(form, lambda given: checks.update_check(check, **given)):
        messages.success(request, _("Saved. The next check uses the new settings."))
        return redirect("checks:detail", request.tenant.slug, check.id)
    return render(
        request, "checks/form.html", {"form": form, "kind": kind, "check": check}, status=422 if form.errors else 200
    )


def _kept(form: CheckForm, keep: Callable[[dict[str, Any]], Check]) -> Check | None:
    """Keep what the form says; what a rule refuses stands above the form."""
    given = {name: form.cleaned_data[name] for name in ("name", "tags")}
    try:
        return keep({**given, "config": form.parsed_config, "timing": form.timing()})
    except Refusal as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return None


@require_GET
@tenant_view(VIEW_CHECKS)
def detail(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """One check: what it is now, its chart, its last results and outages."""
    return render(
        request, "checks/detail.html", _detail_context(_check_or_404(check_id), request.GET.get("period", ""))
    )


def _detail_context(check: Check, period: str) -> dict[str, Any]:
    now, kind, results = clock.now(), type_of(check), queries.latest_results(check.id)
    return {
        "check": check,
        "kind": kind,
        "kind_panels": (f"checks/kinds/{check.kind}.html", "checks/kinds/_none.html"),
        "results": results,
        "findings": findings_of(kind, results[0].details if results else None),
        "turns": queries.turns_by_region(check),
        "flips": queries.latest_flips(check, 10),
        "confidence": queries.outage_confidence(check),
        "day": queries.availability(check.id, since=now - timedelta(days=1)),
        "week": rolled_availability(check.id, since=now - timedelta(days=7)),
        "periods": PERIODS,
        "period": period if period in PERIODS else default_period(check),
    }


@require_GET
@tenant_view(VIEW_CHECKS)
def chart(request: TenantRequest, check_id: UUID) -> JsonResponse:
    """The chart's data: average latency by phase."""
    check = _check_or_404(check_id)
    return JsonResponse(latency_chart(check, period=request.GET.get("period", "")))


@require_POST
@tenant_view(EDIT_CHECKS)
def pause(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Stop watching for now; from the list, the answer is its row."""
    checks.pause_check(_check_or_404(check_id))
    return _row(request, check_id) if _is_from_list(request) else _to_detail(request, check_id)


@require_POST
@tenant_view(EDIT_CHECKS)
def resume(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Watch again; from the list, the answer is its row."""
    try:
        checks.resume_check(_check_or_404(check_id))
    except Refusal as refusal:
        return _refused(request, check_id, refusal)
    return _row(request, check_id) if _is_from_list(request) else _to_detail(request, check_id)


def _refused(request: TenantRequest, check_id: UUID, refusal: Refusal) -> HttpResponse:
    """Say why not: in the list beside the row as it stays, elsewhere above the check's page."""
    if not _is_from_list(request):
        messages.error(request, str(refusal))
        return _to_detail(request, check_id)
    answer = _row(request, check_id)
    answer["HX-Trigger"] = json.dumps({"toast": {"text": str(refusal), "tone": "error"}})
    return answer


@require_POST
@tenant_view(EDIT_CHECKS)
def run_now(request: TenantRequest, check_id: UUID) -> HttpResponse:
    checks.check_now(_check_or_404(check_id))
    messages.info(request, _("The next check starts now."))
    return redirect("checks:detail", request.tenant.slug, check_id)


@require_POST
@tenant_view(EDIT_CHECKS)
def delete(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Delete a check with its history."""
    check = _check_or_404(check_id)
    checks.delete_check(check)
    messages.success(request, _("%(name)s was deleted.") % {"name": check.name})
    return redirect(reverse("checks:list", args=[request.tenant.slug]))
