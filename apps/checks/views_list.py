"""The list of checks and what can be done in it. A window of it is drawn at once; more rows follow while it is scrolled."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Page, Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.checks.domain import checks, queries
from apps.checks.domain.bulk import BulkAction, act_on
from apps.checks.domain.days import Day
from apps.checks.domain.dependencies import blamed_for
from apps.checks.domain.uptime import daily_uptime
from apps.checks.doors import check_or_404
from apps.checks.enums import State
from apps.checks.forms import BulkForm, FilterForm, RenameForm
from apps.checks.models import Check
from apps.checks.permissions import EDIT_CHECKS, VIEW_CHECKS
from apps.core import clock
from apps.core.refusals import Refusal
from apps.tenants.doors import TenantRequest, tenant_view

# A screen's worth, and how many of them may stand below each other before a new page begins.
PAGE_SIZE, MOST_PAGES = 25, 8
LONGEST_NUMBER = 6
AVAILABILITY = "availability"


class Row(NamedTuple):
    """A check of the list with what the chosen columns show: a line of response times, or its last days."""

    check: Check
    line: list[float | None]
    days: list[Day]


@dataclass(frozen=True, slots=True)
class Window:
    """Pages of the list that stand below each other, with what the pager asks a page for."""

    first: Page[Check]
    last: Page[Check]

    @property
    def paginator(self) -> Paginator[Check]:
        return self.first.paginator

    @property
    def checks(self) -> list[Check]:
        """The window's rows, by one question."""
        return list(self.paginator.object_list[self.start_index - 1 : self.end_index]) if self.paginator.count else []

    @property
    def start_index(self) -> int:
        return self.first.start_index()

    @property
    def end_index(self) -> int:
        return self.last.end_index()

    @property
    def has_other_pages(self) -> bool:
        return self.has_previous or self.has_next

    @property
    def has_previous(self) -> bool:
        return self.first.has_previous()

    @property
    def has_next(self) -> bool:
        return self.last.has_next()

    @property
    def previous_page_number(self) -> int:
        return max(1, self.first.number - MOST_PAGES)

    @property
    def next_page_number(self) -> int:
        return self.last.next_page_number()

    @property
    def may_grow(self) -> bool:
        return self.has_next and self.last.number - self.first.number + 1 < MOST_PAGES


def _is_from_list(request: TenantRequest) -> bool:
    return bool(request.headers.get("HX-Request"))


def _to_detail(request: TenantRequest, check_id: UUID) -> HttpResponse:
    return redirect("checks:detail", request.tenant.slug, check_id)


def _number(request: TenantRequest, name: str, *, default: int) -> int:
    given = request.GET.get(name, "")
    return int(given) if given.isdecimal() and len(given) <= LONGEST_NUMBER else default


def _window(request: TenantRequest, paginator: Paginator[Check]) -> Window:
    """Return the pages asked for: ``page``, and those after it until ``upto`` (as many as may stand together)."""
    first = paginator.get_page(request.GET.get("page"))
    upto = _number(request, "upto", default=first.number)
    return Window(first, paginator.get_page(min(max(upto, first.number), first.number + MOST_PAGES - 1)))


def _added(request: TenantRequest, window: Window) -> Window:
    """Return what the reader does not have yet: the window's pages from ``from`` on."""
    since = _number(request, "from", default=window.first.number)
    return Window(window.paginator.page(min(max(since, window.first.number), window.last.number)), window.last)


@require_GET
@tenant_view(VIEW_CHECKS)
def check_list(request: TenantRequest) -> HttpResponse:
    """The tenant's checks: the worst first, with search and filters."""
    wanted = FilterForm(request.GET).wanted()
    window = _window(request, Paginator(queries.find_checks(**wanted), PAGE_SIZE))
    context = {
        **wanted,
        **_table(request, _added(request, window).checks),
        "page": window,
        "query": _query(wanted, _view(request)),
        "now_href": f"?{_query(wanted, '')}",
        "availability_href": f"?{_query(wanted, AVAILABILITY)}",
        "is_filtered": any(wanted.values()),
    }
    if request.GET.get("from"):
        return render(request, "checks/_more.html", context)
    is_part = request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request")
    if not is_part:
        counts = queries.count_by_state()
        states = [(value, label, counts[value]) for value, label in State.choices]
        context |= {"states": states, "tags": queries.all_tags()}
    answer = render(request, "checks/_list.html" if is_part else "checks/list.html", context)
    patch_vary_headers(answer, ["HX-Request", "HX-History-Restore-Request"])
    return answer


def _view(request: TenantRequest) -> str:
    given = request.POST.get("view") or request.GET.get("view")
    return AVAILABILITY if given == AVAILABILITY else ""


def _query(wanted: dict[str, Any], view: str) -> str:
    """Return the part of the address that says what is listed and how."""
    return urlencode({name: value for name, value in {**wanted, "view": view}.items() if value})


def _table(request: TenantRequest, found: Iterable[Check]) -> dict[str, Any]:
    """Return what rows need, whatever their number, by one question for each thing they show."""
    listed, view = list(found), _view(request)
    zone = ZoneInfo(request.tenant.time_zone)
    lines = {} if view else queries.sparklines(listed)
    days = daily_uptime([check.id for check in listed], zone=zone) if view else {}
    return {
        "rows": [Row(check, lines.get(check.id, []), days.get(check.id, [])) for check in listed],
        "blamed_checks": blamed_for(listed),
        "view": view,
        "last_day": clock.now().astimezone(zone).date(),
    }


def _row_of(request: TenantRequest, check: Check, **more: Any) -> HttpResponse:
    """Return one row of the list as it is now."""
    table = _table(request, [check])
    (row,) = table["rows"]
    return render(request, "checks/_row.html", {**table, **row._asdict(), **more})


@require_http_methods(["GET", "POST"])
@tenant_view(EDIT_CHECKS)
def rename(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Change the name in its row of the list: the row with a field, then the row again."""
    check = check_or_404(check_id)
    form = RenameForm(request.POST if request.method == "POST" else None, initial={"name": check.name})
    if form.is_valid():
        checks.rename_check(check, name=form.cleaned_data["name"])
        return _row_of(request, check_or_404(check_id))
    return _row_of(request, check, form=None if "cancel" in request.GET else form)


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
    return redirect(
        f"{reverse('checks:list', args=[request.tenant.slug])}?{_query(wanted, _view(request))}".rstrip("?")
    )


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


@require_POST
@tenant_view(EDIT_CHECKS)
def pause(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Stop watching for now; from the list, the answer is its row."""
    checks.pause_check(check_or_404(check_id))
    return _row_of(request, check_or_404(check_id)) if _is_from_list(request) else _to_detail(request, check_id)


@require_POST
@tenant_view(EDIT_CHECKS)
def resume(request: TenantRequest, check_id: UUID) -> HttpResponse:
    """Watch again; from the list, the answer is its row."""
    try:
        checks.resume_check(check_or_404(check_id))
    except Refusal as refusal:
        return _refused(request, check_id, refusal)
    return _row_of(request, check_or_404(check_id)) if _is_from_list(request) else _to_detail(request, check_id)


def _refused(request: TenantRequest, check_id: UUID, refusal: Refusal) -> HttpResponse:
    """Say why not: in the list beside the row as it stays, elsewhere above the check's page."""
    if not _is_from_list(request):
        messages.error(request, str(refusal))
        return _to_detail(request, check_id)
    answer = _row_of(request, check_or_404(check_id))
    answer["HX-Trigger"] = json.dumps({"toast": {"text": str(refusal), "tone": "error"}})
    return answer
