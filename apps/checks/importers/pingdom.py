"""Pingdom: checks as CSV, or as its API answers them."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.hosted import (
    ONE_FAMILY,
    Fields,
    ForeignType,
    as_url,
    escaped,
    headers_of,
    host_of,
    host_type,
    port_of,
    type_of,
)
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.wish import Gathering, Wish, basic_login, integer, is_said, is_true, unknown_settings
from apps.core.kinds import Text


class Pingdom:
    """Uptime checks; transaction and page speed checks stay behind."""

    kind: ClassVar[str] = "pingdom"
    label: ClassVar[Text] = _("Pingdom")
    help: ClassVar[Text] = _(
        "The JSON of /api/3.1/checks/… for each check; or the list of checks as CSV or JSON, which tells less."
    )
    icon: ClassVar[str] = "target"

    def sample(self) -> bytes:
        check = {"id": 1, "name": "Shop", "hostname": "shop.example", "type": "http", "resolution": 1}
        return json.dumps({"checks": [check]}).encode()

    def read(self, *files: bytes) -> Found:
        gathering = Gathering("pingdom", has_unique_ids=True)
        # Lists last: of a check that is in one too, its own answer is taken.
        rows = sorted(read_rows(files, lists=("checks",), single="check"), key=_is_of_list)
        for row in rows:
            _gather(row, gathering)
        FIELDS.lose_of_all(rows, gathering)
        gathering.lose("", "", _("Users, teams, integrations and probe filters stay behind."))
        return gathering.found()


def _own_answer(row: Row) -> Mapping[str, Any]:
    """Return what a check's own answer holds as its type: its settings by that name. A list has a text there."""
    details = row.get("type", "checktype")
    return details if isinstance(details, Mapping) else {}


def _is_of_list(row: Row) -> bool:
    return not _own_answer(row)


def _gather(row: Row, gathering: Gathering) -> None:
    type_name = normal(str(row.get("type", "checktype") or "http"))
    more: Mapping[str, Any] = {}
    if answer := _own_answer(row):
        type_name, inner = next(iter(answer.items()))
        more = inner if isinstance(inner, Mapping) else {}
    host = row.text("hostname", "host", "url", "target", "domain")
    name = row.text("name", "checkname") or host
    foreign = type_of(row, name, type_name, TYPES, gathering)
    if foreign is None:
        return
    minutes = integer(row.get("resolution", "interval", "checkinterval", "checkresolution"))
    tags = row.get("tags")
    is_taken = gathering.add(
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
    if is_taken:
        FIELDS.lose(row, name, gathering)
        if unknown := {str(part) for part, value in more.items() if part not in DETAILS_KNOWN and is_said(value)}:
            gathering.lose(row.where, name, unknown_settings(unknown))
    if is_taken and not more and type_name in VAGUE and row.get("encryption") is None:
        gathering.lose(row.where, name, VAGUE[type_name])


def _details(row: Row) -> Mapping[str, Any]:
    found: Mapping[str, Any] = row.get(DETAILS)
    return found


def _port(row: Row, host: str) -> dict[str, Any]:
    return {"host": host_of(host), "port": integer(row.get("port") or _details(row).get("port")) or port_of(host)}


def _tcp(row: Row, host: str) -> Mapping[str, Any]:
    """Return a port, and the conversation there: a text that is sent, and one that must come back."""
    more = _details(row)
    steps = (("send", more.get("stringtosend")), ("expect", more.get("stringtoexpect")))
    return {**_port(row, host), "script": "\n".join(f'{word} "{escaped(str(text))}"' for word, text in steps if text)}


def _udp(row: Row, host: str) -> Mapping[str, Any]:
    more = _details(row)
    sent, expected = (escaped(str(more.get(name) or "")) for name in ("stringtosend", "stringtoexpect"))
    return {**_port(row, host), "payload": sent, "expected": expected}


def _mail(kind: str, port: int) -> ForeignType:
    def settings(row: Row, host: str) -> Mapping[str, Any]:
        more = _details(row)
        security = {"security": "tls" if is_true(more.get("encryption")) else "none"}
        login = {"username": more.get("username"), "password": more.get("password")}
        # No such kind expects a text: it is reported.
        return {
            "port": port,
            **_given(_port(row, host)),
            **security,
            **login,
            "stringtoexpect": more.get("stringtoexpect"),
        }

    return ForeignType(kind=kind, settings=settings)


def _given(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in settings.items() if value}


def _dns(row: Row, host: str) -> Mapping[str, Any]:
    more = _details(row)
    address = str(more.get("expectedip") or "")
    expected = {"matching": "includes", "expected": address} if address else {}
    return {
        "name": host,
        "record_type": "AAAA" if ":" in address else "A",
        "server": more.get("nameserver"),
        **expected,
    }


def _http(row: Row, host: str) -> Mapping[str, Any]:
    more = _details(row)
    scheme = "https" if is_true(more.get("encryption", row.get("encryption", "ssl"))) else "http"
    verifies = more.get("verify_certificate", row.get("verifycertificate"))
    days = integer(more.get("ssl_down_days_before", row.get("ssldowndaysbefore")))
    wanted, unwanted = more.get("shouldcontain") or row.text("shouldcontain"), more.get("shouldnotcontain")
    path = str(more.get("url") or row.text("path", "urlpath") or "/")
    port = integer(more.get("port"))
    place_of = f"{host}:{port}" if port and port != {"http": 80, "https": 443}[scheme] else host
    return {
        "url": as_url(host if "/" in host else f"{place_of}/{path.lstrip('/')}", scheme=scheme),
        "method": "POST" if more.get("postdata") else "GET",
        "body": more.get("postdata"),
        "headers": headers_of(more.get("requestheaders")),
        **basic_login(more.get("username"), more.get("password")),
        "keyword": wanted or unwanted,
        "keyword_absent": bool(unwanted and not wanted),
        "absent": [unwanted] if wanted and unwanted else [],
        "verify_tls": verifies is None or is_true(verifies),
        "certificate_days": days if scheme == "https" else None,
    }


DETAILS = "details"  # where a row keeps what its answer held under its type
WEB = ForeignType(kind="http", settings=_http)
TYPES: Mapping[str, ForeignType] = {
    **dict.fromkeys(("http", "https", "httpcustom"), WEB),
    "ping": host_type("icmp"),
    "tcp": ForeignType(kind="tcp", settings=_tcp),
    "udp": ForeignType(kind="udp", settings=_udp),
    "dns": ForeignType(kind="dns", settings=_dns),
    "smtp": _mail("smtp", 25),
    "pop3": _mail("pop3", 110),
    "imap": _mail("imap", 143),
}
# What a list of checks leaves out; each check's own answer has it.
SPARSE_WEB = _(
    "A list of checks tells neither path nor encryption nor login. Where it has more than http://host/, bring the answer of "
    "/api/3.1/checks/ and its id instead."
)
SPARSE = _(
    "A list of checks does not tell all of its settings. Where it has any, bring the answer of /api/3.1/checks/ and its id instead."
)
VAGUE: Mapping[str, Text] = {
    **dict.fromkeys(("http", "httpcustom"), SPARSE_WEB),
    **dict.fromkeys(("tcp", "udp", "dns", "smtp", "pop3", "imap"), SPARSE),
}
DETAILS_KNOWN = frozenset(
    {"url", "encryption", "port", "username", "password", "shouldcontain", "shouldnotcontain", "postdata"}
    | {"requestheaders", "verify_certificate", "ssl_down_days_before", "stringtosend", "stringtoexpect"}
    | {"expectedip", "nameserver"}
)
TAKEN = """
    id checkid name checkname hostname host url target domain type checktype resolution interval checkinterval
    checkresolution tags responsetimethreshold status state paused port encryption ssl path urlpath shouldcontain
    verifycertificate ssldowndaysbefore
    created lasterrortime lasttesttime lastresponsetime lastdownstart lastdownend severitylevel probefilters
    notifywhenbackup integrationids userids teams teamids contactids usenewnotifications uselegacynotifications
"""
NOTIFYING = _("When and how often somebody is notified stays behind; make alert rules here.")
FIELDS = Fields(
    known=frozenset(TAKEN.split()),
    behind={"ipv6": ONE_FAMILY, "custommessage": _("The message that goes with its alerts stays behind.")},
    behind_all={
        "sendnotificationwhendown": NOTIFYING,
        "notifyagainevery": NOTIFYING,
        "maintenanceids": _("Maintenance stays behind; make windows under Maintenance."),
    },
)
