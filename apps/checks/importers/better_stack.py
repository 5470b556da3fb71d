"""Better Stack: monitors and heartbeats as CSV, or as its API answers them."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.hosted import ForeignType, as_url, headers_of, host_of, host_type, login, port_of, port_type
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.wish import Gathering, Wish, integer, is_true, seconds
from apps.core.kinds import Text


class BetterStack:
    """Monitors and heartbeats; escalation policies, on-call and regions stay behind."""

    kind: ClassVar[str] = "better_stack"
    label: ClassVar[Text] = _("Better Stack")
    help: ClassVar[Text] = _("Monitors or heartbeats as CSV, or the JSON of its API.")
    icon: ClassVar[str] = "trending-up"

    def sample(self) -> bytes:
        attributes = {"url": "https://shop.example/", "pronounceable_name": "Shop", "monitor_type": "status"}
        return json.dumps({"data": [{"id": "1", "type": "monitor", "attributes": attributes}]}).encode()

    def read(self, *files: bytes) -> Found:
        gathering = Gathering("betterstack", has_unique_ids=True)
        for row in read_rows(files, lists=("data", "monitors")):
            _gather(row, gathering)
        gathering.lose("", "", _("Escalation policies, on-call and status pages stay behind."))
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    address = row.text("url", "host", "website")
    name = row.text("pronounceablename", "name") or address
    type_name = normal(row.text("monitortype", "type") or "status")
    foreign = TYPES.get(type_name)
    if foreign is None:
        gathering.lose(
            row.where, name, _("Nothing here is like its type “%(type)s”.") % {"type": type_name}, is_whole=True
        )
        return
    if row.get("regions"):
        gathering.lose(row.where, name, _("Its regions stay behind; choose regions here."))
    timeout = seconds(row.get("requesttimeout", "timeout"))
    gathering.add(
        Wish(
            where=row.where,
            name=name,
            source_id=row.text("id"),
            kind=foreign.kind,
            settings=foreign.settings(row, address),
            interval_seconds=seconds(row.get("checkfrequency", "frequency", "interval")),
            timeout_seconds=timeout / 1_000 if timeout and type_name in IN_MILLISECONDS else timeout,
            is_paused=is_true(row.get("paused")) or row.text("status") == "paused",
        )
    )


def _heartbeat(row: Row, _address: str) -> Mapping[str, Any]:
    return {"period_seconds": integer(row.get("period")) or 3_600, "grace_seconds": integer(row.get("grace")) or 0}


def _dns(row: Row, address: str) -> Mapping[str, Any]:
    return {
        "name": row.text("requestbody") or address,
        "record_type": "A",
        "server": host_of(address),
        "port": port_of(address),
    }


def _http(row: Row, address: str) -> Mapping[str, Any]:
    return {
        "url": as_url(address),
        "method": row.text("httpmethod").upper() or "GET",
        "headers": headers_of(row.get("requestheaders")),
        **login(row, ("authusername",), ("authpassword",)),
        "body": row.text("requestbody"),
        "expected_status": _statuses(row.get("expectedstatuscodes")),
        "keyword": row.text("requiredkeyword"),
        "follow_redirects": row.get("followredirects") is None or is_true(row.get("followredirects")),
        "verify_tls": row.get("verifyssl") is None or is_true(row.get("verifyssl")),
        "certificate_days": integer(row.get("sslexpiration")),
    }


def _http_without(row: Row, address: str) -> Mapping[str, Any]:
    return {**_http(row, address), "keyword_absent": True}


def _statuses(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(status) for status in value)
    return str(value or "").strip("[]")


WEB = ForeignType(kind="http", settings=_http)
TYPES: Mapping[str, ForeignType] = {
    **dict.fromkeys(("status", "expectedstatuscode", "keyword"), WEB),
    "keywordabsence": ForeignType(kind="http", settings=_http_without),
    "ping": host_type("icmp"),
    "tcp": port_type("tcp"),
    "udp": port_type("udp"),
    "smtp": port_type("smtp", port=25),
    "pop": port_type("pop3", port=110),
    "imap": port_type("imap", port=143),
    "dns": ForeignType(kind="dns", settings=_dns),
    "heartbeat": ForeignType(kind="heartbeat", settings=_heartbeat),
}
# The API's unit of timeouts depends on the type.
IN_MILLISECONDS = ("ping", "tcp", "udp", "smtp", "pop", "imap", "dns")
