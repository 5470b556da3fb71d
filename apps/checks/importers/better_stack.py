"""Better Stack: monitors and heartbeats as CSV, or as its API answers them."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.hosted import as_url, headers_of, host_of, login, place, port_of
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.wish import Gathering, Wish, integer, is_true, seconds
from apps.core.kinds import Text

KINDS = {
    **dict.fromkeys(("status", "expectedstatuscode", "keyword", "keywordabsence"), "http"),
    "ping": "icmp",
    "tcp": "tcp",
    "udp": "udp",
    "smtp": "smtp",
    "pop": "pop3",
    "imap": "imap",
    "dns": "dns",
    "heartbeat": "heartbeat",
}
IN_MILLISECONDS = ("ping", "tcp", "udp", "smtp", "pop", "imap", "dns")  # the API's unit of timeouts depends on the type


class BetterStack:
    """Monitors and heartbeats; escalation policies, on-call and regions stay behind."""

    kind: ClassVar[str] = "better_stack"
    label: ClassVar[Text] = _("Better Stack")
    help: ClassVar[Text] = _("Monitors or heartbeats as CSV, or the JSON of its API.")
    icon: ClassVar[str] = "trending-up"

    def sample(self) -> bytes:
        attributes = {"url": "https://shop.example/", "pronounceable_name": "Shop", "monitor_type": "status"}
        return json.dumps({"data": [{"id": "1", "type": "monitor", "attributes": attributes}]}).encode()

    def read(self, raw: bytes) -> Found:
        gathering = Gathering("betterstack")
        for row in read_rows(raw, lists=("data", "monitors")):
            _gather(row, gathering)
        gathering.lose("", "", _("Escalation policies, on-call and status pages stay behind."))
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    address = row.text("url", "host", "website")
    name = row.text("pronounceablename", "name") or address
    type_name = normal(row.text("monitortype", "type") or "status")
    kind = KINDS.get(type_name)
    if kind is None:
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
            kind=kind,
            settings=_settings(row, kind, type_name, address),
            interval_seconds=seconds(row.get("checkfrequency", "frequency", "interval")),
            timeout_seconds=timeout / 1_000 if timeout and type_name in IN_MILLISECONDS else timeout,
            is_paused=is_true(row.get("paused")) or row.text("status") == "paused",
        )
    )


def _settings(row: Row, kind: str, type_name: str, address: str) -> Mapping[str, Any]:
    if kind == "heartbeat":
        return {"period_seconds": integer(row.get("period")) or 3_600, "grace_seconds": integer(row.get("grace")) or 0}
    if kind == "dns":
        return {
            "name": row.text("requestbody") or address,
            "record_type": "A",
            "server": host_of(address),
            "port": port_of(address),
        }
    if kind != "http":
        return place(row, address, kind)
    return {
        "url": as_url(address),
        "method": row.text("httpmethod").upper() or "GET",
        "headers": headers_of(row.get("requestheaders")),
        **login(row, ("authusername",), ("authpassword",)),
        "body": row.text("requestbody"),
        "expected_status": _statuses(row.get("expectedstatuscodes")),
        "keyword": row.text("requiredkeyword"),
        "keyword_absent": type_name == "keywordabsence",
        "follow_redirects": row.get("followredirects") is None or is_true(row.get("followredirects")),
        "verify_tls": row.get("verifyssl") is None or is_true(row.get("verifyssl")),
        "certificate_days": integer(row.get("sslexpiration")),
    }


def _statuses(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(status) for status in value)
    return str(value or "").strip("[]")
