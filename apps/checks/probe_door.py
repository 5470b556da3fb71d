"""``/probe``: one probe now, answered as blackbox_exporter would, so that a Prometheus switches by host name.

The caller brings an API key as bearer token or as password of basic authentication, the two ways Prometheus knows. The
probe runs on the web process's event loop; only looking up key and check uses a thread.
"""

import base64
import binascii
import math
from collections import Counter
from typing import cast
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apps.checks.domain.asking import CHECK_MODULE, DEFAULT_MODULE, CannotProbe, job_of_check, job_of_target
from apps.checks.domain.asking_pace import spend_probe
from apps.checks.engine.job import ProbeJob
from apps.checks.engine.once import probe_alone
from apps.checks.enums import Verdict
from apps.checks.formats import CONTENT_TYPE, metrics_of
from apps.checks.permissions import EDIT_CHECKS, VIEW_CHECKS
from apps.checks.types.explaining import explain
from apps.core import rate
from apps.core.doors import View, marked
from apps.core.refusals import TooSoon
from apps.core.tenancy import tenant_scope
from apps.tenants.domain.api_keys import find_api_key
from apps.tenants.domain.rights import permissions_of
from apps.tenants.models import ApiKey

IN_FLIGHT_PER_TENANT = 20  # of one web process; a slow target holds its place for its own timeout only
LONGEST_SECONDS = 60.0
SPARE_SECONDS = 0.5  # what the answer needs to reach Prometheus before it gives up

_in_flight: Counter[UUID] = Counter()


class _Refused(Exception):
    """The answer is a status and a sentence."""

    def __init__(self, status: int, text: object, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, text)
        self.response = HttpResponse(
            f"{text}\n", status=status, content_type="text/plain; charset=utf-8", headers=headers or {}
        )


async def _probe(request: HttpRequest) -> HttpResponse:
    """Run one probe of ``?target=`` by ``?module=`` and return its figures as metrics."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
    try:
        tenant_id, job = await sync_to_async(_admitted)(request)
    except _Refused as refused:
        return refused.response
    if _in_flight[tenant_id] >= IN_FLIGHT_PER_TENANT:
        return _Refused(
            429, _("Too many probes at once; spread them over the interval."), {"Retry-After": "1"}
        ).response
    _in_flight[tenant_id] += 1
    try:
        outcome = await probe_alone(job)
    finally:
        _in_flight[tenant_id] -= 1
    if outcome.verdict == Verdict.UNKNOWN:  # our fault says nothing of the target: let the scrape fail, not the probe
        return _Refused(503, explain(outcome.error_code, outcome.error_values)).response
    return HttpResponse(metrics_of(job.kind, outcome), content_type=CONTENT_TYPE)


probe: View = marked(cast("View", _probe), "key")


def _admitted(request: HttpRequest) -> tuple[UUID, ProbeJob]:
    """Return whose probe this is and the probe, or raise `_Refused`."""
    _spend(f"address:{request.META.get('REMOTE_ADDR', '')}", _of_address())
    key = find_api_key(_key_text(request.headers.get("Authorization", "")))
    if key is None:
        raise _Refused(
            401, _("Give an API key as bearer token or as password."), {"WWW-Authenticate": 'Basic realm="obsera"'}
        )
    with tenant_scope(key.tenant_id), transaction.atomic():
        return key.tenant_id, _job(request, key)


def _of_address() -> rate.Limit:
    per_minute: int = settings.API_RATE_PER_ADDRESS
    return rate.Limit(per_minute=per_minute, burst=max(per_minute // 2, 1))


def _spend(key: str, limit: rate.Limit) -> None:
    verdict = rate.spend(f"probe:{key}", limit)
    if not verdict.is_allowed:
        raise _Refused(429, _("Too many requests."), verdict.headers())


def _key_text(header: str) -> str:
    scheme, _space, text = header.partition(" ")
    if scheme.lower() == "bearer":
        return text.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(text.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _job(request: HttpRequest, key: ApiKey) -> ProbeJob:
    target, module = request.GET.get("target", ""), request.GET.get("module") or DEFAULT_MODULE
    needed = VIEW_CHECKS if module == CHECK_MODULE else EDIT_CHECKS
    if needed.name not in permissions_of(key.role):
        raise _Refused(403, _("This needs the right “%(right)s”.") % {"right": needed.label})
    if not target:
        raise _Refused(400, _("Name a target: /probe?target=…&module=…"))
    try:
        spend_probe(f"{module} {target}")
    except TooSoon as refusal:
        raise _Refused(429, refusal, {"Retry-After": str(refusal.retry_after_seconds)}) from refusal
    limits = {"allow_private": key.tenant.allows_private_targets, "at_most_seconds": _patience(request)}
    try:
        if module == CHECK_MODULE:
            return job_of_check(target, **limits)
        return job_of_target(target, module, **limits)
    except CannotProbe as error:
        raise _Refused(400, error) from error


def _patience(request: HttpRequest) -> float:
    """Return how long Prometheus waits, less what the answer needs to get there."""
    try:
        given = float(request.headers.get("X-Prometheus-Scrape-Timeout-Seconds", ""))
    except ValueError:
        return LONGEST_SECONDS
    return min(max(given - SPARE_SECONDS, 0.1), LONGEST_SECONDS) if math.isfinite(given) else LONGEST_SECONDS
