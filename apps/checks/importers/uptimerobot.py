"""UptimeRobot: its CSV export, or the answer of its API's getMonitors."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.hosted import ForeignType, as_url, headers_of, host_type, login, port_type
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.wish import Gathering, Wish, integer, seconds
from apps.core.kinds import Text

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

    def read(self, *files: bytes) -> Found:
        gathering = Gathering("uptimerobot", has_unique_ids=True)
        for row in read_rows(files, lists=("monitors", "data")):
            _gather(row, gathering)
        gathering.lose("", "", _("Alert contacts, status pages and maintenance windows stay behind."))
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    address = row.text("url", "urlip", "urlorip", "ip", "host")
    name = row.text("friendlyname", "name", "monitorname") or address
    type_name = normal(row.text("type", "monitortype") or "http")
    foreign = TYPES.get(type_name)
    if foreign is None:
        gathering.lose(
            row.where, name, _("Nothing here is like its type “%(type)s”.") % {"type": type_name}, is_whole=True
        )
        return
    if row.text("httpauthtype") == "2":
        gathering.lose(row.where, name, _("Digest authentication stays behind."))
    foreign = BY_SUBTYPE.get((foreign, row.text("subtype")), foreign)
    gathering.add(
        Wish(
            where=row.where,
            name=name,
            source_id=row.text("id", "monitorid"),
            kind=foreign.kind,
            settings=foreign.settings(row, address),
            interval_seconds=None if foreign is BEAT else _interval(row),
            timeout_seconds=seconds(row.get("timeout")) or None,
            tags=tuple(_tags(row)),
            is_paused=normal(row.text("status", "state")) in ("0", "paused"),
        )
    )


def _interval(row: Row) -> float | None:
    return seconds(row.get("interval", "monitoringinterval", "intervalseconds"))


def _heartbeat(row: Row, _address: str) -> Mapping[str, Any]:
    return {
        "period_seconds": int(_interval(row) or 3_600),
        "grace_seconds": integer(row.get("graceperiod", "grace")) or 300,
    }


def _dns(_row: Row, address: str) -> Mapping[str, Any]:
    return {"name": address, "record_type": "A"}


def _http(row: Row, address: str) -> Mapping[str, Any]:
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


WEB = ForeignType(kind="http", settings=_http)
PORT = port_type("tcp")
BEAT = ForeignType(kind="heartbeat", settings=_heartbeat)
TYPES: Mapping[str, ForeignType] = {
    **dict.fromkeys(("1", "http", "https", "https1", "website"), WEB),
    **dict.fromkeys(("2", "keyword"), WEB),
    **dict.fromkeys(("3", "ping"), host_type("icmp")),
    **dict.fromkeys(("4", "port", "tcp"), PORT),
    **dict.fromkeys(("5", "heartbeat", "cron", "cronjob"), BEAT),
    **dict.fromkeys(("6", "dns"), ForeignType(kind="dns", settings=_dns)),
}
# A port monitor's subtype is the protocol it expects there.
BY_SUBTYPE: Mapping[tuple[ForeignType, str], ForeignType] = {
    (PORT, "1"): port_type("tcp", port=80),
    (PORT, "2"): port_type("tcp", port=443),
    (PORT, "3"): port_type("tcp", port=21),
    (PORT, "4"): port_type("smtp", port=25),
    (PORT, "5"): port_type("pop3", port=110),
    (PORT, "6"): port_type("imap", port=143),
}
