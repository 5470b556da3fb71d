"""A lived-in tenant for pictures and whole-page tests: checks in every state, outages, alerts, deliveries."""

from __future__ import annotations

import http.client
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urlsplit

from apps.core import clock
from tests.e2e.stage import PATIENCE_SECONDS, Stage, await_some, await_true

CHECKS: tuple[tuple[str, str, list[str], dict[str, int]], ...] = (
    ("Website", "/website", ["public", "production"], {}),
    ("Checkout API", "/checkout", ["production", "payments"], {}),
    ("Product search", "/search", ["production"], {"degraded_ms": 150}),
    ("Payments webhook", "/payments", ["payments"], {}),
    ("Staging", "/staging", [], {}),
    ("Warehouse", "/warehouse", ["production"], {}),
)
BREAKS_FIRST, STAYS_BROKEN, SLOW, PAUSED = "Payments webhook", "Checkout API", "Product search", "Staging"
MAINTAINED = "Warehouse"
RUNS = ("6f0e1a52-2a5b-4a0e-9a53-0d3f3c1f7a01", "6f0e1a52-2a5b-4a0e-9a53-0d3f3c1f7a02")
BACKUPS = (
    (f"/start?rid={RUNS[0]}", ""),
    (f"/start?rid={RUNS[1]}", ""),
    (f"/log?rid={RUNS[1]}", "4,120 of 9,871 files"),
    (f"?rid={RUNS[0]}", "done: 212 MB"),
    (f"/3?rid={RUNS[1]}", "tar: /srv/media: No space left on device"),
)


@dataclass
class Scenery:
    """What the pages are about."""

    checks: dict[str, str]
    resolved: str
    ongoing: str
    alert: str
    delivery: str
    channel: str
    agent: str
    heartbeat: str
    window: str
    page: str
    page_slug: str


def furnish(stage: Stage) -> Scenery:
    """Live through one resolved and one ongoing outage in the first tenant."""
    channel = stage.call("POST", "channels/", _channel("Ops on Slack", "slack", {"url": stage.slack_url()}))
    stage.call("POST", "channels/", _channel("On-call letters", "email", {"address": "on-call@acme.example"}))
    stage.target.slow.add("/search")
    checks = {name: stage.make_check(name, path, tags=tags, **more) for name, path, tags, more in CHECKS}
    page = _publish(stage, checks)
    for name in ("Website", BREAKS_FIRST, STAYS_BROKEN):
        stage.await_state(checks[name], "up")
    stage.target.broken.add("/payments")
    stage.await_state(checks[BREAKS_FIRST], "down")
    await_news(stage, 2)  # an outage that ends before its news went out is never told: on a busy machine that is soon
    stage.target.broken.discard("/payments")
    stage.await_state(checks[BREAKS_FIRST], "up")
    await_news(stage, 4)
    stage.call("POST", f"checks/{checks[PAUSED]}/pause/")
    stage.target.broken.add("/checkout")
    stage.await_state(checks[STAYS_BROKEN], "down")
    stage.await_state(checks[SLOW], "degraded")
    agent = stage.call("POST", "agents/", {"name": "Office Berlin"})
    window = stage.call("POST", "maintenance-windows/", _disks(checks[MAINTAINED]))
    ids = {"channel": channel["id"], "agent": agent["id"], "heartbeat": _backup(stage)}
    ids |= {"page": page["id"], "page_slug": page["slug"]}
    return Scenery(checks=checks, window=window["id"], **ids, **_consequences(stage))


def _channel(name: str, kind: str, config: dict[str, str]) -> dict[str, object]:
    return {"name": name, "kind": kind, "config": config, "is_default": True}


def _backup(stage: Stage) -> str:
    """Make a heartbeat whose job has run twice at once, and failed after that; its id."""
    config = {"schedule": "cron", "cron": "30 2 * * *", "time_zone": "Europe/Berlin"}
    made = stage.call("POST", "checks/", {"name": "Nightly backup", "kind": "heartbeat", "config": config})
    address = urlsplit(stage.call("GET", f"checks/{made['id']}/heartbeat/")["ping_url"]).path
    for path, said in BACKUPS:
        with closing(http.client.HTTPConnection("localhost", stage.product.port, timeout=PATIENCE_SECONDS)) as job:
            job.request("POST", f"{address}{path}", said)
            assert job.getresponse().status == 200, path
    return str(made["id"])


def _disks(check_id: str) -> dict[str, object]:
    now = clock.now().isoformat()
    when = {"repeat": "once", "starts_at": now, "duration_minutes": 90, "time_zone": "Europe/Berlin"}
    return {"name": "New disks in the warehouse", "check_ids": [check_id], **when}


def _publish(stage: Stage, checks: dict[str, str]) -> dict[str, str]:
    page = stage.call("GET", "status-pages/")["results"][0]
    shown = [
        {"check": checks["Website"], "name": "Website", "group": "Shop"},
        {"check": checks["Product search"], "name": "Search", "group": "Shop", "description": "Finding products."},
        {"check": checks["Checkout API"], "name": "Checkout", "group": "Payments"},
        {"check": checks["Payments webhook"], "name": "Payouts", "group": "Payments"},
    ]
    wanted = {"title": "Acme status", "is_published": True, "components": shown}
    made: dict[str, str] = stage.call("PATCH", f"status-pages/{page['id']}/", wanted)
    return made


def await_news(stage: Stage, count: int) -> None:
    """Wait until so many messages were sent, each to one of the two channels."""
    sent = "deliveries/?state=sent"
    await_true(lambda: len(stage.call("GET", sent)["results"]) >= count, "the news is not out")


def _consequences(stage: Stage) -> dict[str, str]:
    """Wait until the news of the ongoing outage is out."""

    def newest(path: str, **wanted: str) -> list[str]:
        found = stage.call("GET", path)["results"]
        return [each["id"] for each in found if all(str(each[key]) == value for key, value in wanted.items())]

    resolved = await_some(lambda: newest("outages/", state="resolved"), "no outage was resolved")
    ongoing = await_some(lambda: newest("outages/", severity="down", state="open"), "no outage is open")
    alert = await_some(lambda: newest("alerts/", outage_id=ongoing), "the outage has no alert")
    await_news(stage, 6)
    return {
        "resolved": resolved,
        "ongoing": ongoing,
        "alert": alert,
        "delivery": newest("deliveries/", state="sent")[0],
    }
