"""Errors as RFC 9457 problem documents: what is wrong, where, and how to mend it."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from apps.core.kinds import ConfigErrors


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an exception into ``{"type", "title", "status", "detail", "errors"}``; unknown ones stay exceptions."""
    if isinstance(error, ConfigErrors):
        error = exceptions.ValidationError({"config": error.errors})
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
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
    response.data = body
    response.content_type = "application/problem+json"
    return response
