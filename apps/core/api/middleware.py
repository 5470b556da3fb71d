"""The edge of the API: what happens before a view is found, and where none is."""

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from apps.core.api.errors import PROBLEM_TYPE, plain_problem

API_PREFIX = "/api/"


def has_null(request: HttpRequest) -> bool:
    """Tell whether the address holds a null character, which PostgreSQL cannot compare with anything."""
    return "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")


class EdgeMiddleware:
    """Under ``/api/`` the last slash is optional and every error is a problem document, whoever made it.

    Everywhere, an address with a null character is refused before it reaches a query.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        is_api = request.path_info.startswith(API_PREFIX)
        if has_null(request):
            return self._answered(_refuse_null(is_api))
        if is_api and not request.path_info.endswith("/"):
            request.path_info += "/"
            request.path += "/"
        response = self.get_response(request)
        if isinstance(response, HttpResponseBase):
            return _as_problem(response) if is_api else response
        return self._later(response, is_api)

    async def _later(self, response: Awaitable[HttpResponseBase], is_api: bool) -> HttpResponseBase:
        return _as_problem(await response) if is_api else await response

    def _answered(self, response: HttpResponse) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        async def later() -> HttpResponseBase:
            return response

        return later() if iscoroutinefunction(self.get_response) else response


def _refuse_null(is_api: bool) -> HttpResponse:
    detail = _("Addresses may not hold null characters.")
    return (
        plain_problem(400, detail)
        if is_api
        else HttpResponseBadRequest(detail, content_type="text/plain; charset=utf-8")
    )


def _as_problem(response: HttpResponseBase) -> HttpResponseBase:
    """Replace an error page by a problem document (no such address, a refused host, a fault of ours)."""
    if response.status_code < 400 or response.headers.get("Content-Type", "").startswith(PROBLEM_TYPE):
        return response
    return plain_problem(response.status_code)
