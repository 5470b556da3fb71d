"""UptimeRobot: its CSV export, or the answer of its API's getMonitors."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.hosted import (
    DOMAIN_END,
    NEW_ADDRESS,
    ONE_FAMILY,
    Fields,
    ForeignType,
    as_url,
    headers_of,
    host_type,
    login,
    mail_type,
    port_type,
    told,
    type_of,
    unread,
)
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.wish import Gathering, Wish, integer, is_said, is_true, seconds, text_pairs
from apps.core.kinds import Text

METHODS = {"1": "HEAD", "2": "GET", "3": "POST", "4": "PUT", "5": "PATCH", "6": "DELETE", "7": "OPTIONS"}
FOUND_MEANS_DOWN = ("1", "exists", "alertexists")
HEADERS = ("customhttpheaders", "headers")
STATUSES = ("customhttpstatuses", "successhttpresponsecodes")
KEYWORD = ("keywordvalue", "keyword")
CASE_IS_ALIKE = ("1", "caseinsensitive")
WITHOUT_SIGN_IN = ("0", "none")
BASIC = ("1", "basic", "httpbasic")


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
        rows = read_rows(files, lists=("monitors", "data"))
        for row in rows:
            _gather(row, gathering)
        FIELDS.lose_of_all(rows, gathering)
        gathering.lose("", "", _("Alert contacts, status pages and maintenance windows stay behind."))
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    address = row.text("url", "urlip", "urlorip", "ip", "host")
    name = row.text("friendlyname", "name", "monitorname") or address
    type_name = normal(row.text("type", "monitortype") or "http")
    foreign = type_of(row, name, type_name, TYPES, gathering)
    if foreign is None:
        return
    foreign = BY_SUBTYPE.get((foreign, row.text("subtype")), foreign)
    is_taken = gathering.add(
        Wish(
            where=row.where,
            name=name,
            source_id=row.text("id", "monitorid"),
            kind=foreign.kind,
            settings=foreign.settings(row, address),
            interval_seconds=None if foreign is BEAT else _interval(row),
            timeout_seconds=seconds(row.get("timeout")) or None,
            degraded_ms=integer(row.get("responsetimethreshold")),
            tags=tuple(_tags(row)),
            is_paused=normal(row.text("status", "state")) in ("0", "paused"),
            is_maimed=foreign is WEB and (not _is_let_in(row) or bool(_unread(row))),
            needs=frozenset({"expected_status", "keyword", "patterns", "patterns_absent"}),
        )
    )
    if is_taken:
        FIELDS.lose(row, name, gathering, _left_of(row, foreign))


def _left_of(row: Row, foreign: ForeignType) -> Iterator[Text]:
    """Yield what only a look at the values tells."""
    if foreign is BEAT:
        yield NEW_ADDRESS
    if foreign is WEB and _sign_in(row) == "digest":
        yield _("Digest authentication stays behind.")
    elif foreign is WEB and not _is_let_in(row):
        yield _("Its way to sign in, “%(way)s”, stays behind.") % {"way": _sign_in(row)[:60]}
    if foreign is WEB and row.text(*KEYWORD) and row.get("keywordcasetype") is None:
        yield _("The export does not tell whether upper and lower case matter in its keyword; here they do.")
    if foreign is WEB:
        yield from _unread(row)
    yield from unread(row, _more, "config")
    more = _more(row.get("config"))
    if is_said(more.get("dnsrecords")):
        yield _("The records that it expects stay behind.")
    if is_said(more.get("ipversion")):
        yield ONE_FAMILY


def _more(value: Any) -> dict[str, Any]:
    value = told(value)
    return {normal(str(key)): part for key, part in value.items()} if isinstance(value, Mapping) else {}


def _unread(row: Row) -> list[Text]:
    return [*unread(row, headers_of, *HEADERS), *unread(row, _statuses, *STATUSES)]


def _is_let_in(row: Row) -> bool:
    """Tell whether a check signs in as the monitor does, or neither does."""
    return _sign_in(row) in ("", *WITHOUT_SIGN_IN, *BASIC)


def _sign_in(row: Row) -> str:
    way = normal(row.text("httpauthtype", "authtype"))
    return "digest" if way == "2" else way


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
    method = row.text("httpmethod", "httpmethodtype")
    signs_in = _sign_in(row) in ("", *BASIC)
    body, headers = _sent(row)
    return {
        "url": as_url(address, scheme="http"),
        "method": METHODS.get(method, method.upper() or "GET"),
        "headers": {**headers, **headers_of(row.get(*HEADERS))},
        **(login(row, ("httpusername",), ("httppassword",)) if signs_in else {}),
        "body": body,
        "expected_status": _statuses(row.get(*STATUSES)),
        **_keyword(row),
        "follow_redirects": _flag(row.get("followredirections")),
        "verify_tls": _flag(row.get("checksslerrors")),
    }


def _flag(value: Any) -> bool | None:
    """Return a flag, or None where it is not said: then ours keeps its usual value."""
    return None if value in (None, "") else is_true(value)


def _sent(row: Row) -> tuple[str, dict[str, str]]:
    """Return the body and the header that tells what it is: pairs of names and values are sent as a form."""
    value = row.get("postvalue", "postvaluedata", "body")
    pairs = told(value) if normal(row.text("posttype", "postvaluetype")) in ("1", "keyvalue") else None
    if isinstance(pairs, Mapping):
        return urlencode(text_pairs(pairs)), {"Content-Type": "application/x-www-form-urlencoded"}
    return (json.dumps(value) if isinstance(value, Mapping | list) else str(value or "")), {}


def _keyword(row: Row) -> dict[str, Any]:
    """Return the keyword, as a pattern where upper and lower case are alike in it."""
    keyword, is_absent = row.text(*KEYWORD), normal(row.text("keywordtype")) in FOUND_MEANS_DOWN
    if keyword and normal(row.text("keywordcasetype")) in CASE_IS_ALIKE:
        pattern = "(?i)" + "".join(f"\\x{ord(sign):02x}" if sign < " " else re.escape(sign) for sign in keyword)
        return {"patterns_absent" if is_absent else "patterns": [pattern]}
    return {"keyword": keyword, "keyword_absent": is_absent}


def _statuses(value: Any) -> str:
    """Return the statuses that count as up: a list, an object of status to 1 for up, or a text as we write it too."""
    value = told(value)
    if isinstance(value, Mapping):
        return ", ".join(str(status) for status, is_up in value.items() if str(is_up) == "1")
    if isinstance(value, list):
        return ", ".join(str(status) for status in value)
    return str(value) if is_said(value) else ""


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
    (PORT, "4"): mail_type("smtp", port=25),
    (PORT, "5"): mail_type("pop3", port=110),
    (PORT, "6"): mail_type("imap", port=143),
}
TAKEN = """
    id monitorid url urlip urlorip ip host friendlyname name monitorname type monitortype subtype port interval
    monitoringinterval intervalseconds timeout status state tags graceperiod grace responsetimethreshold config
    httpmethod httpmethodtype httpauthtype authtype httpusername httppassword customhttpheaders headers posttype
    postvalue postvaluetype postvaluedata postcontenttype body customhttpstatuses successhttpresponsecodes keyword
    keywordvalue keywordtype keywordcasetype followredirections checksslerrors alertcontacts assignedalertcontacts
    mwindows maintenancewindows psps
    createdatetime userid apikey sslbrand sslexpirydatetime domainexpiredate currentstateduration lastincident
    lastincidentid lastdayuptimes logs responsetimes averageresponsetime alltimeuptimeratio alltimeuptimedurations
    customuptimeratio customuptimeratios customuptimeranges customdowndurations disabledomainexpirenotifications
    isgroupmain ssl
"""
FIELDS = Fields(
    known=frozenset(TAKEN.split()),
    behind={"customfields": _("Its custom fields stay behind.")},
    behind_all={
        "regionaldata": _("Regions stay behind; choose regions here."),
        "groupid": _("Groups stay behind; use tags here."),
        "monitorgroup": _("Groups stay behind; use tags here."),
        "sslexpirationreminder": _("Reminders of a certificate's end stay behind; set “Certificate's days left” here."),
        "domainexpirationreminder": DOMAIN_END,
    },
)
