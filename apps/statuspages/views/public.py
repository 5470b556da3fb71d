"""What everybody sees. A view names its rendering; the shelf keeps it by the page's version, so most visits draw nothing."""

import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.cache import get_conditional_response, patch_vary_headers

from apps.checks.domain.days import DAYS
from apps.core import clock
from apps.statuspages.domain.board import Board, board_of
from apps.statuspages.domain.diary import NoSuchMonth, diary_of, recent_days
from apps.statuspages.domain.live import topic_of
from apps.statuspages.domain.outages import ShownOutage, latest
from apps.statuspages.domain.shelf import rendering, shelf
from apps.statuspages.doors import public_page
from apps.statuspages.formats import statuspage_json
from apps.statuspages.formats.addresses import public_url
from apps.statuspages.formats.atom import feed as atom_feed
from apps.statuspages.formats.badge import badge as svg_badge
from apps.statuspages.formats.sentences import headline, subline
from apps.statuspages.models import StatusPage

BRIEFLY = "public, max-age=5"
ASK_FIRST = "public, no-cache"  # what a browser fetches because something changed must not come from its own cache
INCIDENTS = 50
FOUND_FOR = timedelta(days=DAYS)  # so long feeds tell of outages that were found later
MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


@public_page
def public(request: HttpRequest, page: StatusPage) -> HttpResponse:
    """Show the page."""
    return _kept(request, page, "page", lambda: _drawn("public", _board_context(page)))


@public_page
def live(request: HttpRequest, page: StatusPage) -> HttpResponse:
    """Show the part of the page that changes."""
    make = lambda: _drawn("_board", _board_context(page))  # noqa: E731
    return _kept(request, page, "live", make, cache_control=ASK_FIRST)


@public_page
def history(request: HttpRequest, page: StatusPage) -> HttpResponse:
    """Show past outages by month."""
    until = _month(request.GET.get("until", ""))
    try:
        diary = diary_of(page, now=clock.now(), until=until)
    except NoSuchMonth as error:
        raise Http404 from error
    context = {**_page_context(page), "diary": diary, "now": clock.now()}
    return _kept(request, page, f"history:{until or ''}", lambda: _drawn("history", context))


@public_page
def summary(request: HttpRequest, page: StatusPage) -> HttpResponse:
    return _json(request, page, "summary", lambda: statuspage_json.summary(_board(page)))


@public_page
def status(request: HttpRequest, page: StatusPage) -> HttpResponse:
    return _json(request, page, "status", lambda: statuspage_json.status(_board(page)))


@public_page
def components(request: HttpRequest, page: StatusPage) -> HttpResponse:
    return _json(request, page, "components", lambda: statuspage_json.components(_board(page)))


@public_page
def maintenances(request: HttpRequest, page: StatusPage, which: str) -> HttpResponse:
    """Planned work: ``all`` of it, what is ``active``, what is ``upcoming``."""

    def make() -> Any:
        board = _board(page)
        wanted = [work for work in board.works if which == "all" or work.is_running == (which == "active")]
        return statuspage_json.maintenances(board, wanted)

    return _json(request, page, f"maintenances:{which}", make)


@public_page
def incidents(request: HttpRequest, page: StatusPage) -> HttpResponse:
    def make() -> Any:
        return statuspage_json.incidents(page, _latest(page), clock.now())

    return _json(request, page, "incidents", make)


@public_page
def feed(request: HttpRequest, page: StatusPage) -> HttpResponse:
    def make() -> str:
        return atom_feed(page, _latest(page))

    return _kept(request, page, "feed", make, content_type="application/atom+xml; charset=utf-8")


@public_page
def badge(request: HttpRequest, page: StatusPage) -> HttpResponse:
    response = _kept(
        request, page, "badge", lambda: svg_badge(_board(page)), content_type="image/svg+xml; charset=utf-8"
    )
    return _for_other_sites(response)


def _board(page: StatusPage) -> Board:
    return board_of(page, clock.now())


def _latest(page: StatusPage) -> list[ShownOutage]:
    now = clock.now()
    return latest(page, limit=INCIDENTS, since=now - FOUND_FOR, now=now)


def _page_context(page: StatusPage) -> dict[str, Any]:
    return {"page": page, "theme_default": page.theme, "topic": topic_of(page.id), "address": public_url(page)}


def _board_context(page: StatusPage) -> dict[str, Any]:
    board = _board(page)
    return {
        **_page_context(page),
        "board": board,
        "now": board.now,
        "headline": headline(board),
        "subline": subline(board),
        "stretches": recent_days(board.outages, last=board.last_day, zone=board.zone),
    }


def _drawn(template: str, context: dict[str, Any]) -> str:
    """Render without the request: what is kept for all must not depend on one visitor's cookies."""
    return render_to_string(f"statuspages/{template}.html", context)


def _json(request: HttpRequest, page: StatusPage, shape: str, make: Callable[[], Any]) -> HttpResponse:
    """Answer in English, like the API whose shape it has."""
    with translation.override("en"):
        response = _kept(request, page, shape, lambda: json.dumps(make()), content_type="application/json")
    return _for_other_sites(response)


def _kept(
    request: HttpRequest,
    page: StatusPage,
    shape: str,
    make: Callable[[], str],
    *,
    content_type: str = "text/html; charset=utf-8",
    cache_control: str = BRIEFLY,
) -> HttpResponse:
    """Answer from the shelf, with 304 where the visitor has it already. A preview is made anew and kept by nobody."""
    if page.is_published:
        shown = shelf.take(f"statuspages:{page.id}:{page.version}:{shape}:{translation.get_language()}", make)
    else:
        shown, cache_control = rendering(make()), "private, no-store"
    response = HttpResponse(shown.body, content_type=content_type)
    response.headers["ETag"] = shown.etag
    response.headers["Cache-Control"] = cache_control
    patch_vary_headers(response, ["Accept-Language"])
    answer = get_conditional_response(request, etag=shown.etag, response=response)
    if not isinstance(answer, HttpResponse):
        raise TypeError("a conditional answer is a response")
    return answer


def _for_other_sites(response: HttpResponse) -> HttpResponse:
    """Let scripts of any site read it: it is public."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


def _month(text: str) -> date | None:
    """Return the first day of "2026-11"; none for an empty text; 404 for anything else."""
    if not text:
        return None
    found = MONTH.fullmatch(text)
    if found is None:
        raise Http404
    return date(int(found[1]), int(found[2]), 1)
