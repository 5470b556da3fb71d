"""Errors as RFC 9457 problem documents: what is wrong, where, and how to mend it."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, JsonResponse
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from apps.core.kinds import ConfigErrors
from apps.core.refusals import BeyondLimit, Refusal, TooSoon

PROBLEM_TYPE = "application/problem+json"


class Conflict(exceptions.APIException):
    """A rule of the product forbids this now."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = _("A rule forbids this.")
    default_code = "conflict"

    def __init__(self, detail: Any = None, *, field: str = "") -> None:
        super().__init__(detail)
        self.members: dict[str, Any] = {"errors": _at(field, str(detail))} if field else {}


def _at(field: str, text: str) -> Any:
    """Return the text at its field, as a refusal of the body has it: a setting's within ``config``."""
    above, _dot, name = field.rpartition(".")
    return {above: {name: [text]}} if above else {name: [text]}


class LimitReached(exceptions.APIException):
    """More was asked than the tenant's plan allows; the answer says which limit, and which field to change."""

    status_code = status.HTTP_403_FORBIDDEN
    default_detail = _("The plan does not allow this.")
    default_code = "plan_limit"

    def __init__(self, refusal: BeyondLimit) -> None:
        super().__init__(str(refusal))
        self.members: dict[str, Any] = {"limit": refusal.limit}
        if refusal.field:
            self.members["errors"] = {refusal.field: [str(refusal)]}


class AskedTooSoon(exceptions.APIException):
    """The same was asked a moment ago; the header Retry-After says for how long to wait."""

    status_code = status.HTTP_429_TOO_MANY_REQUESTS
    default_detail = _("This was asked a moment ago.")
    default_code = "too_soon"

    def __init__(self, refusal: TooSoon) -> None:
        super().__init__(str(refusal))
        self.wait = refusal.retry_after_seconds  # the framework writes the header of it


def as_api_exception(error: Exception) -> Exception:
    """Return the API's exception for one of ours or Django's; unknown ones unchanged."""
    if isinstance(error, ConfigErrors):
        return exceptions.ValidationError({"config": error.errors})
    if isinstance(error, ValidationError):
        return exceptions.ValidationError(error.message_dict if hasattr(error, "error_dict") else error.messages)
    if isinstance(error, BeyondLimit):
        return LimitReached(error)
    if isinstance(error, TooSoon):
        return AskedTooSoon(error)
    if isinstance(error, Refusal):
        return Conflict(str(error), field=error.field)
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied(str(error) or None)
    return error


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception into ``{"type", "title", "status", "detail", "errors"}``; unknown ones stay exceptions."""
    error = as_api_exception(error)
    response = exception_handler(error, context)
    if response is None or not isinstance(error, exceptions.APIException):
        return response
    body = {
        "type": f"urn:obsera:problem:{error.default_code}",
        "title": str(error.default_detail),
        "status": response.status_code,
    }
    if isinstance(error, exceptions.ValidationError):
        body["errors"] = error.detail if isinstance(error.detail, dict) else {"__all__": error.detail}
    else:
        body["detail"] = str(error.detail)
    body.update(getattr(error, "members", {}))
    response.data = body
    response.content_type = PROBLEM_TYPE
    return response


def plain_problem(status_code: int, detail: str = "") -> JsonResponse:
    """Return a problem document for what never reached a view of the API."""
    title = HTTPStatus(status_code).phrase
    kind = title.lower().replace(" ", "_")
    body = {"type": f"urn:obsera:problem:{kind}", "title": title, "status": status_code, "detail": detail or title}
    return JsonResponse(body, status=status_code, content_type=PROBLEM_TYPE)
