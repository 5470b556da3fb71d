"""Pingdom: checks as CSV, or as its API answers them."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.hosted import ForeignType, as_url, headers_of, host_of, host_type, port_of
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.wish import Gathering, Wish, basic_login, integer, is_true
from apps.core.kinds import Text


class Pingdom:
    """Uptime checks; transaction and page speed checks stay behind."""

    kind: ClassVar[str] = "pingdom"
    label: ClassVar[Text] = _("Pingdom")
    help: ClassVar[Text] = _("The checks as CSV, or the JSON of /api/3.1/checks.")
    icon: ClassVar[str] = "target"

    def sample(self) -> bytes:
        check = {"id": 1, "name": "Shop", "hostname": "shop.example", "type": "http", "resolution": 1}
        return json.dumps({"checks": [check]}).encode()

    def read(self, raw: bytes) -> Found:
        gathering = Gathering("pingdom")
        for row in read_rows(raw, lists=("checks",)):
            _gather(row, gathering)
        gathering.lose("", "", _("Users, teams, integrations and probe filters stay behind."))
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    details = row.get("type", "checktype") or "http"
    type_name = normal(str(details))
    more: Mapping[str, Any] = {}
    if isinstance(details, Mapping) and details:  # a single check's answer holds its settings under its type
        type_name, inner = next(iter(details.items()))
        more = inner if isinstance(inner, Mapping) else {}
    host = row.text("hostname", "host", "url", "target", "domain")
    name = row.text("name", "checkname") or host
    foreign = TYPES.get(type_name)
    if foreign is None:
        gathering.lose(
            row.where, name, _("Nothing here is like its type “%(type)s”.") % {"type": type_name}, is_whole=True
        )
        return
    minutes = integer(row.get("resolution", "interval", "checkinterval", "checkresolution"))
    tags = row.get("tags")
    gathering.add(
        Wish(
            where=row.where,
            name=name,
            source_id=row.text("id", "checkid"),
            kind=foreign.kind,
            settings=foreign.settings(Row(row.where, {**row.values, DETAILS: more}), host),
            interval_seconds=minutes * 60 if minutes else None,
            timeout_seconds=30,  # what it waits for an answer
            degraded_ms=integer(row.get("responsetimethreshold")),
            tags=tuple(
                str(tag.get("name", "")) if isinstance(tag, Mapping) else str(tag)
                for tag in (tags if isinstance(tags, list) else row.text("tags").split(","))
            ),
            is_paused=row.text("status", "state") == "paused" or is_true(row.get("paused")),
        )
    )


def _details(row: Row) -> Mapping[str, Any]:
    found: Mapping[str, Any] = row.get(DETAILS)
    return found


def _port(row: Row, host: str) -> Mapping[str, Any]:
    return {"host": host_of(host), "port": integer(row.get("port") or _details(row).get("port")) or port_of(host)}


def _mail(kind: str, port: int) -> ForeignType:
    return ForeignType(kind=kind, settings=lambda row, host: {"port": port, **_given(_port(row, host))})


def _given(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in settings.items() if value}


def _dns(row: Row, host: str) -> Mapping[str, Any]:
    return {"name": host, "record_type": "A", "server": _details(row).get("nameserver")}


def _http(row: Row, host: str) -> Mapping[str, Any]:
    more = _details(row)
    scheme = "https" if is_true(more.get("encryption", row.get("encryption", "ssl"))) else "http"
    path = str(more.get("url") or row.text("path", "urlpath") or "/")
    port = integer(more.get("port"))
    place_of = f"{host}:{port}" if port and port != {"http": 80, "https": 443}[scheme] else host
    return {
        "url": as_url(host if "/" in host else f"{place_of}/{path.lstrip('/')}", scheme=scheme),
        "method": "POST" if more.get("postdata") else "GET",
        "body": more.get("postdata"),
        "headers": headers_of(more.get("requestheaders")),
        **basic_login(more.get("username"), more.get("password")),
        "keyword": more.get("shouldcontain") or more.get("shouldnotcontain") or row.text("shouldcontain"),
        "keyword_absent": bool(more.get("shouldnotcontain")),
        "verify_tls": is_true(more.get("verify_certificate", True)),
        "certificate_days": integer(more.get("ssl_down_days_before")),
    }


DETAILS = "details"  # where a row keeps what its answer held under its type
WEB = ForeignType(kind="http", settings=_http)
TYPES: Mapping[str, ForeignType] = {
    **dict.fromkeys(("http", "https", "httpcustom"), WEB),
    "ping": host_type("icmp"),
    "tcp": ForeignType(kind="tcp", settings=_port),
    "udp": ForeignType(kind="udp", settings=_port),
    "dns": ForeignType(kind="dns", settings=_dns),
    "smtp": _mail("smtp", 25),
    "pop3": _mail("pop3", 110),
    "imap": _mail("imap", 143),
}
