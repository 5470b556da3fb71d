"""What the operator and the operator's machines see."""

import hmac

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.console.domain.health import readiness
from apps.console.domain.metrics import exposition
from apps.tenants.doors import public_view, staff_view

LOOPBACK = frozenset({"127.0.0.1", "::1"})


@require_GET
@public_view
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that this process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_GET
@public_view
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether requests can be served: 200, or 503 with what is missing."""
    parts = readiness()
    is_ready = parts["database"] == parts["migrations"] == "ok"
    return JsonResponse({"ready": is_ready, **parts}, status=200 if is_ready else 503)


def _may_read_metrics(request: HttpRequest) -> bool:
    """Allow the operator's token, or, where none is set, this machine alone."""
    if settings.OPERATOR_METRICS_TOKEN:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {settings.OPERATOR_METRICS_TOKEN}".encode())
    return request.META.get("REMOTE_ADDR") in LOOPBACK and "X-Forwarded-For" not in request.headers


@require_GET
@public_view
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """The product's own figures in Prometheus' text format."""
    if not _may_read_metrics(request):
        return HttpResponse(
            "Set OPERATOR_METRICS_TOKEN and send it as a bearer token.\n", status=403, content_type="text/plain"
        )
    return HttpResponse(exposition(), content_type="text/plain; version=0.0.4; charset=utf-8")


@require_GET
@staff_view
def components(request: HttpRequest) -> HttpResponse:
    """Every component of the screens, in all its variants."""
    return render(request, "console/components.html")
