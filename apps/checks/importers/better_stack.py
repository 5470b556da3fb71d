"""Better Stack: monitors and heartbeats as CSV, or as its API answers them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.better_stack_windows import is_maintained, schedule_of
from apps.checks.importers.hosted import (
    DOMAIN_END,
    NEW_ADDRESS,
    ONE_FAMILY,
    Fields,
    ForeignType,
    as_url,
    escaped,
    headers_of,
    host_of,
    host_type,
    login,
    mail_type,
    port_of,
    port_type,
    told,
    type_of,
    unread,
)
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.windows import Unsaid, Window, named_by_time
from apps.checks.importers.wish import Gathering, Wish, integer, is_said, is_true, seconds
from apps.core.kinds import Text


class BetterStack:
    """Monitors and heartbeats with their maintenance; escalation policies, on-call and regions stay behind."""

    kind: ClassVar[str] = "better_stack"
    label: ClassVar[Text] = _("Better Stack")
    help: ClassVar[Text] = _("Monitors or heartbeats as CSV, or the JSON of its API.")
    icon: ClassVar[str] = "trending-up"

    def sample(self) -> bytes:
        attributes = {"url": "https://shop.example/", "pronounceable_name": "Shop", "monitor_type": "status"}
        return json.dumps({"data": [{"id": "1", "type": "monitor", "attributes": attributes}]}).encode()

    def read(self, *files: bytes) -> Found:
        gathering = Gathering("betterstack", has_unique_ids=True)
        rows = read_rows(files, lists=("data", "monitors"))
        for row in rows:
            _gather(row, gathering)
        FIELDS.lose_of_all(rows, gathering)
        gathering.lose("", "", _("Escalation policies, on-call and status pages stay behind."))
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    address = row.text("url", "host", "website")
    name = row.text("pronounceablename", "name") or address
    type_name = normal(row.text("monitortype", "type") or "status")
    foreign = type_of(row, name, type_name, TYPES, gathering)
    if foreign is None:
        return
    timeout, patience = seconds(row.get("requesttimeout", "timeout")), seconds(row.get("confirmationperiod"))
    key = gathering.add(
        Wish(
            where=row.where,
            name=name,
            source_id=row.text("id"),
            kind=foreign.kind,
            settings=foreign.settings(row, address),
            interval_seconds=seconds(row.get("checkfrequency", "frequency", "interval")),
            timeout_seconds=timeout / 1_000 if timeout and type_name in IN_MILLISECONDS else timeout,
            retries=1 if patience else None,  # a second look at the end of the wait that it is given there
            retry_interval_seconds=patience or None,
            is_paused=is_true(row.get("paused")) or row.text("status") == "paused",
            is_maimed=is_said(row.values.get("proxyhost")) or bool(_unread(row, foreign)),
            needs=frozenset({"keyword", "expected_status"}),
        )
    )
    if key:
        FIELDS.lose(row, name, gathering, _left_of(row, foreign))
        _plan(row, name, key, gathering)


def _plan(row: Row, name: str, key: str, gathering: Gathering) -> None:
    """Plan a check's maintenance, or say why it stays behind."""
    if not is_maintained(row):
        return
    try:
        schedule = schedule_of(row)
    except Unsaid as unsaid:
        gathering.leave(row.where, name, unsaid)
        return
    window = Window(where=row.where, owner=name, name=named_by_time(schedule), schedule=schedule, checks=[key])
    gathering.plan(window)


def _left_of(row: Row, foreign: ForeignType) -> Iterator[Text]:
    """Yield what only a look at the values tells."""
    if foreign is BEAT:
        yield NEW_ADDRESS
    yield from _unread(row, foreign)
    if "," in row.text("port"):
        yield _("Of its ports only the first is asked.")


def _unread(row: Row, foreign: ForeignType) -> list[Text]:
    return unread(row, headers_of, "requestheaders") if foreign.kind == "http" else []


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
        "keeps_cookies": is_true(row.get("remembercookies")) or None,
        "follow_redirects": row.get("followredirects") is None or is_true(row.get("followredirects")),
        "verify_tls": row.get("verifyssl") is None or is_true(row.get("verifyssl")),
        "certificate_days": integer(row.get("sslexpiration")),
    }


def _udp(row: Row, address: str) -> Mapping[str, Any]:
    return {
        "host": host_of(address),
        "port": integer(row.get("port")) or port_of(address),
        "payload": escaped(str(row.get("requestbody") or "")),
        "expected": escaped(str(row.get("requiredkeyword") or "")),
    }


def _http_without(row: Row, address: str) -> Mapping[str, Any]:
    return {**_http(row, address), "keyword_absent": True}


def _statuses(value: Any) -> str:
    value = told(value)
    if isinstance(value, list):
        return ", ".join(str(status) for status in value)
    return str(value or "").strip("[]")


WEB = ForeignType(kind="http", settings=_http)
BEAT = ForeignType(kind="heartbeat", settings=_heartbeat)
TYPES: Mapping[str, ForeignType] = {
    **dict.fromkeys(("status", "expectedstatuscode", "keyword"), WEB),
    "keywordabsence": ForeignType(kind="http", settings=_http_without),
    "ping": host_type("icmp"),
    "tcp": port_type("tcp"),
    "udp": ForeignType(kind="udp", settings=_udp),
    "smtp": mail_type("smtp", port=25),
    "pop": mail_type("pop3", port=110),
    "imap": mail_type("imap", port=143),
    "dns": ForeignType(kind="dns", settings=_dns),
    "heartbeat": BEAT,
}
# The API's unit of timeouts depends on the type.
IN_MILLISECONDS = ("ping", "tcp", "udp", "smtp", "pop", "imap", "dns")
TAKEN = """
    id url host website pronounceablename name monitortype type status paused port period grace checkfrequency frequency
    interval requesttimeout timeout confirmationperiod requestbody requestheaders httpmethod authusername authpassword
    expectedstatuscodes requiredkeyword followredirects remembercookies verifyssl sslexpiration maintenancefrom
    maintenanceto maintenancetimezone maintenancedays playwrightscript scenarioname
    attributes relationships links createdat updatedat lastcheckedat pausedat teamname sortindex call sms email push
    criticalalert teamwait policyid expirationpolicyid proxyport
"""
GROUPS = _("Groups stay behind; use tags here.")
FIELDS = Fields(
    known=frozenset(TAKEN.split()),
    behind={
        "regions": _("Its regions stay behind; choose regions here."),
        "ipversion": ONE_FAMILY,
        "proxyhost": _("Its proxy stays behind."),
    },
    behind_all={
        "recoveryperiod": _("How long a monitor must be up before its incident ends stays behind."),
        "domainexpiration": DOMAIN_END,
        "monitorgroupid": GROUPS,
        "heartbeatgroupid": GROUPS,
    },
)
