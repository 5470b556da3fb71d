"""UptimeRobot: its CSV export, or the answer of its API's getMonitors."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.hosted import as_url, headers_of, login, place
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.wish import Gathering, Wish, integer, seconds
from apps.core.kinds import Text

KINDS = {
    **dict.fromkeys(("1", "http", "https", "https1", "website"), "http"),
    **dict.fromkeys(("2", "keyword"), "http"),
    **dict.fromkeys(("3", "ping"), "icmp"),
    **dict.fromkeys(("4", "port", "tcp"), "tcp"),
    **dict.fromkeys(("5", "heartbeat", "cron", "cronjob"), "heartbeat"),
    **dict.fromkeys(("6", "dns"), "dns"),
}
PORT_KINDS = {
    "4": ("smtp", 25),
    "5": ("pop3", 110),
    "6": ("imap", 143),
    "1": ("tcp", 80),
    "2": ("tcp", 443),
    "3": ("tcp", 21),
}
METHODS = {"1": "HEAD", "2": "GET", "3": "POST", "4": "PUT", "5": "PATCH", "6": "DELETE", "7": "OPTIONS"}
FOUND_MEANS_DOWN = ("1", "exists", "alertexists")


class UptimeRobot:
    """Monitors of every type; alert contacts, status pages and maintenance windows stay behind."""

    kind: ClassVar[str] = "uptimerobot"
    label: ClassVar[Text] = _("UptimeRobot")
    help: ClassVar[Text] = _("The CSV export of the monitors, or the JSON of the API's getMonitors.")
    icon: ClassVar[str] = "activity"

    def sample(self) -> bytes:
        monitor = {"id": 1, "friendly_name": "Shop", "url": "https://shop.example/", "type": 1, "interval": 300}
        return json.dumps({"stat": "ok", "monitors": [monitor]}).encode()

    def read(self, raw: bytes) -> Found:
        gathering = Gathering("uptimerobot")
        for row in read_rows(raw, lists=("monitors", "data")):
            _gather(row, gathering)
        gathering.lose("", "", _("Alert contacts, status pages and maintenance windows stay behind."))
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    address = row.text("url", "urlip", "urlorip", "ip", "host")
    name = row.text("friendlyname", "name", "monitorname") or address
    type_name = normal(row.text("type", "monitortype") or "http")
    kind = KINDS.get(type_name)
    if kind is None:
        gathering.lose(
            row.where, name, _("Nothing here is like its type “%(type)s”.") % {"type": type_name}, is_whole=True
        )
        return
    if kind == "tcp" and row.text("subtype") in PORT_KINDS:
        kind, port = PORT_KINDS[row.text("subtype")]
        row = Row(row.where, {"port": port, **{name: value for name, value in row.values.items() if value}})
    if row.text("httpauthtype") == "2":
        gathering.lose(row.where, name, _("Digest authentication stays behind."))
    interval = seconds(row.get("interval", "monitoringinterval", "intervalseconds"))
    gathering.add(
        Wish(
            where=row.where,
            name=name,
            source_id=row.text("id", "monitorid"),
            kind=kind,
            settings=_settings(row, kind, address, interval),
            interval_seconds=None if kind == "heartbeat" else interval,
            timeout_seconds=seconds(row.get("timeout")) or None,
            tags=tuple(_tags(row)),
            is_paused=normal(row.text("status", "state")) in ("0", "paused"),
        )
    )


def _settings(row: Row, kind: str, address: str, interval: float | None) -> Mapping[str, Any]:
    if kind == "heartbeat":
        return {
            "period_seconds": int(interval or 3_600),
            "grace_seconds": integer(row.get("graceperiod", "grace")) or 300,
        }
    if kind == "dns":
        return {"name": address, "record_type": "A"}
    if kind != "http":
        return place(row, address, kind)
    return {
        "url": as_url(address, scheme="http"),
        "method": METHODS.get(row.text("httpmethod"), row.text("httpmethod").upper() or "GET"),
        "headers": headers_of(row.get("customhttpheaders", "headers")),
        **(login(row, ("httpusername",), ("httppassword",)) if row.text("httpauthtype") != "2" else {}),
        "body": _body(row.get("postvalue", "body")),
        "expected_status": _statuses(row.get("customhttpstatuses", "successhttpresponsecodes")),
        "keyword": row.text("keywordvalue", "keyword"),
        "keyword_absent": normal(row.text("keywordtype")) in FOUND_MEANS_DOWN,
    }


def _body(value: Any) -> str:
    return json.dumps(value) if isinstance(value, Mapping | list) else str(value or "")


def _statuses(value: Any) -> str:
    """Return the statuses that count as up: a list, or an object of status to 1 for up."""
    if isinstance(value, Mapping):
        return ", ".join(str(status) for status, is_up in value.items() if str(is_up) == "1")
    return ", ".join(str(status) for status in value) if isinstance(value, list) else ""


def _tags(row: Row) -> list[str]:
    value = row.get("tags")
    if isinstance(value, list):
        return [str(tag.get("name", "")) if isinstance(tag, Mapping) else str(tag) for tag in value]
    return row.text("tags").replace(";", ",").split(",")
