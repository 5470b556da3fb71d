"""Pages of outages."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from apps.checks.models import Check
from apps.incidents.domain import queries, timeline
from apps.incidents.domain.causes import cause_of, remedy_of
from apps.incidents.domain.culprits import culprits_of
from apps.incidents.forms import NoteForm, OutageFilterForm
from apps.incidents.models import Outage
from apps.incidents.permissions import NOTE_OUTAGES, VIEW_OUTAGES
from apps.tenants.doors import TenantRequest, tenant_view

PAGE_SIZE = 50


@require_GET
@tenant_view(VIEW_OUTAGES)
def outage_list(request: TenantRequest) -> HttpResponse:
    """The tenant's outages: open ones first, then those that ended last."""
    form = OutageFilterForm(request.GET)
    wanted = form.wanted()
    found = queries.find_outages(wanted).order_by(*queries.OPEN_FIRST)
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    culprits = culprits_of(page)
    query = request.GET.copy()
    query.pop("page", None)
    context = {
        "form": form,
        "page": page,
        "rows": [(outage, cause_of(outage), culprits.get(outage.id)) for outage in page],
        "query": query.urlencode(),
        "is_filtered": any(request.GET.get(name) for name in form.fields),
        "is_narrowed": any(request.GET.get(name) for name in form.fields if name != "check"),
        "check": Check.objects.filter(id=wanted.check_id).first() if wanted.check_id else None,
    }
    return render(request, "incidents/list.html", context)


def _outage_or_404(outage_id: UUID) -> Outage:
    found: Outage = get_object_or_404(Outage.objects.select_related("watched", "last_flip"), id=outage_id)
    return found


def _detail_context(outage: Outage, form: NoteForm) -> dict[str, Any]:
    return {
        "outage": outage,
        "check": outage.watched,
        "cause": cause_of(outage),
        "culprit": culprits_of([outage]).get(outage.id),
        "cause_now": cause_of(outage, outage.severity_now),
        "remedy": remedy_of(outage),
        "entries": [(entry, timeline.sentence(entry)) for entry in queries.timeline_of(outage)],
        "form": form,
    }


@require_GET
@tenant_view(VIEW_OUTAGES)
def detail(request: TenantRequest, outage_id: UUID) -> HttpResponse:
    """One outage: what, how long, why, and its timeline."""
    return render(request, "incidents/detail.html", _detail_context(_outage_or_404(outage_id), NoteForm()))


@require_POST
@tenant_view(NOTE_OUTAGES)
def write_note(request: TenantRequest, outage_id: UUID) -> HttpResponse:
    """Add a note to the timeline."""
    outage = _outage_or_404(outage_id)
    form = NoteForm(request.POST)
    if not form.is_valid():
        return render(request, "incidents/detail.html", _detail_context(outage, form), status=422)
    timeline.write_note(outage=outage, text=form.cleaned_data["text"], author=request.user)
    messages.success(request, _("The note is on the timeline."))
    return redirect("incidents:detail", request.tenant.slug, outage.id)
