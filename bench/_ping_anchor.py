"""The anchor of bench/heartbeat_pings.py: a ping as one would write it with Django alone, on the product's own tables.

A view under uvicorn, no middleware: it locks the heartbeat, applies the same rules, saves it and creates the ping, one
transaction each. `PORT` says where, `TENANT` whose heartbeats, the product's environment on which database.
"""

import asyncio
import os
import uuid
from concurrent.futures import ThreadPoolExecutor

import django
import uvicorn
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
django.setup()
settings.ROOT_URLCONF = __name__
settings.MIDDLEWARE = []
settings.ALLOWED_HOSTS = ["*"]

from django.core.asgi import get_asgi_application  # noqa: E402 - settings first
from django.db import transaction  # noqa: E402
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound  # noqa: E402
from django.urls import path  # noqa: E402

from apps.checks.domain.heartbeat_rules import Report, deadline, hear  # noqa: E402
from apps.checks.domain.heartbeats import beat_of  # noqa: E402
from apps.checks.domain.settings import config_of  # noqa: E402
from apps.checks.models import Heartbeat, Ping  # noqa: E402
from apps.checks.types.heartbeat import Signal  # noqa: E402
from apps.core import clock  # noqa: E402
from apps.core.tenancy import tenant_scope  # noqa: E402


def store(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Store one ping of the one tenant there is."""
    with tenant_scope(TENANT), transaction.atomic():
        rows = Heartbeat.objects.select_for_update(of=("self",)).select_related("watched__checkstate")
        found = rows.filter(token=str(token)).first()
        if found is None:
            return HttpResponseNotFound("not found")
        config = config_of(found.watched)
        report = Report(signal=Signal.SUCCESS, at=clock.now())
        heard = hear(beat_of(found, found.watched.checkstate.state), report, config)
        found.pings += 1
        found.last_ping_at, found.last_duration = heard.beat.last_ping_at, heard.duration
        found.deadline_at = deadline(heard.beat, config)
        found.save()
        Ping.objects.create(
            watched_id=found.pk,
            tenant_id=found.tenant_id,
            number=found.pings,
            at=report.at,
            signal=heard.signal,
            method=request.method,
            source_ip=request.META["REMOTE_ADDR"],
            agent=request.headers.get("User-Agent", ""),
        )
    return HttpResponse("OK", content_type="text/plain")


async def ping(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Hand a ping to one of a few threads, each with a connection of its own, as a WSGI server would."""
    return await asyncio.get_running_loop().run_in_executor(THREADS, store, request, token)


THREADS = ThreadPoolExecutor(4)
TENANT = uuid.UUID(os.environ["TENANT"])
urlpatterns = [path("ping/<uuid:token>", ping)]

if __name__ == "__main__":
    uvicorn.run(
        get_asgi_application(), port=int(os.environ["PORT"]), lifespan="off", access_log=False, log_level="warning"
    )
