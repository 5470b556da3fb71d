"""StatusCake: uptime and heartbeat tests as CSV, or as its API answers them."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.hosted import (
    NEW_ADDRESS,
    Fields,
    ForeignType,
    as_url,
    headers_of,
    host_type,
    login,
    mail_type,
    port_type,
    type_of,
    unread,
)
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.wish import Gathering, Wish, integer, is_true, seconds
from apps.core.kinds import Text

STATUSES = range(100, 600)
HEADERS = ("customheader", "customheaders")
ADDRESSES = ("dnsips", "dnsip", "dnsipscsv")


class StatusCake:
    """Uptime and heartbeat tests; contact groups, page speed and server tests stay behind."""

    kind: ClassVar[str] = "statuscake"
    label: ClassVar[Text] = _("StatusCake")
    help: ClassVar[Text] = _("The uptime tests as CSV, or the JSON of /v1/uptime.")
    icon: ClassVar[str] = "sun"

    def sample(self) -> bytes:
        return b"Test ID,Test Name,Website URL,Test Type,Check Rate\n1,Shop,https://shop.example/,HTTP,300\n"

    def read(self, *files: bytes) -> Found:
        gathering = Gathering("statuscake", has_unique_ids=True)
        rows = read_rows(files, lists=("data",))
        for row in rows:
            _gather(row, gathering)
        FIELDS.lose_of_all(rows, gathering)
        gathering.lose("", "", _("Contact groups, page speed and server tests stay behind."))
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    address = row.text("websiteurl", "url", "websitehost", "host", "website")
    name = row.text("name", "testname", "websitename") or address
    type_name = normal(row.text("testtype", "type") or ("push" if row.get("period") else "http"))
    foreign = type_of(row, name, type_name, TYPES, gathering)
    if foreign is None:
        return
    confirmation = integer(row.get("confirmation", "confirmations"))
    tags = row.get("tags")
    is_taken = gathering.add(
        Wish(
            where=row.where,
            name=name,
            source_id=row.text("id", "testid"),
            kind=foreign.kind,
            settings=foreign.settings(row, address),
            interval_seconds=seconds(row.get("checkrate", "rate", "interval")),
            timeout_seconds=seconds(row.get("timeout")),
            retries=confirmation,
            tags=tuple(map(str, tags)) if isinstance(tags, list) else tuple(row.text("tags", "testtags").split(",")),
            is_paused=is_true(row.get("paused")) or normal(row.text("status")) == "paused",
            is_maimed=bool(_unread(row, foreign)),
        )
    )
    if is_taken:
        FIELDS.lose(row, name, gathering, _left_of(row, foreign))


def _left_of(row: Row, foreign: ForeignType) -> Iterator[Text]:
    """Yield what only a look at the values tells."""
    if foreign is BEAT:
        yield NEW_ADDRESS
    yield from _unread(row, foreign)
    if foreign is RESOLVER and len(_listed(row, *ADDRESSES)) > 1:
        yield _("The addresses that it expects stay behind.")


def _unread(row: Row, foreign: ForeignType) -> list[Text]:
    return unread(row, headers_of, *HEADERS) if foreign.kind == "http" else []


def _heartbeat(row: Row, _address: str) -> Mapping[str, Any]:
    """There it is down once the time is over."""
    return {"period_seconds": integer(row.get("period", "checkrate")) or 3_600, "grace_seconds": 0}


def _dns(row: Row, address: str) -> Mapping[str, Any]:
    wanted = _listed(row, *ADDRESSES)
    expected = {"matching": "includes", "expected": wanted[0]} if len(wanted) == 1 else {}
    record_type = "AAAA" if ":" in "".join(wanted) else "A"
    return {"name": address, "record_type": record_type, "server": row.text("dnsserver", "dnsservers"), **expected}


def _listed(row: Row, *names: str) -> list[str]:
    value = row.get(*names)
    parts = value if isinstance(value, list) else str(value or "").split(",")
    return [text for part in parts if (text := str(part).strip())]


def _statuses(row: Row) -> str:
    """Return the statuses that are none of those that alarm; nothing where it is not told which do."""
    alarming = {code for text in _listed(row, "statuscodes", "statuscodescsv") if (code := integer(text))}
    return statuses_beside(frozenset(alarming.intersection(STATUSES))) if alarming else ""


@lru_cache(maxsize=256)  # for nearly all tests of an export alarm at the same ones
def statuses_beside(alarming: frozenset[int]) -> str:
    accepted = set(STATUSES) - alarming
    starts = sorted(code for code in accepted if code - 1 not in accepted)
    ends = sorted(code for code in accepted if code + 1 not in accepted)
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in zip(starts, ends, strict=True))


def _headers(row: Row) -> dict[str, str]:
    agent = row.text("useragent")
    return {
        **({"User-Agent": agent} if agent else {}),
        **headers_of(row.get(*HEADERS)),
    }


def _http(row: Row, address: str) -> Mapping[str, Any]:
    return {
        "url": as_url(address),
        "method": "POST" if row.text("postraw", "postbody") else "GET",
        "headers": _headers(row),
        "expected_status": _statuses(row),
        "keeps_cookies": is_true(row.get("usejar")) or None,
        **login(row, ("basicusername", "basicuser"), ("basicpassword", "basicpass")),
        "body": row.text("postraw", "postbody"),
        "keyword": row.text("findstring", "stringmatch"),
        "keyword_absent": is_true(row.get("donotfind")),
        "follow_redirects": row.get("followredirects") is None or is_true(row.get("followredirects")),
    }


def _head(row: Row, address: str) -> Mapping[str, Any]:
    return {**_http(row, address), "method": "HEAD"}


WEB = ForeignType(kind="http", settings=_http)
RESOLVER = ForeignType(kind="dns", settings=_dns)
BEAT = ForeignType(kind="heartbeat", settings=_heartbeat)
TYPES: Mapping[str, ForeignType] = {
    **dict.fromkeys(("http", "https", "website"), WEB),
    "head": ForeignType(kind="http", settings=_head),
    "ping": host_type("icmp"),
    "tcp": port_type("tcp"),
    "smtp": mail_type("smtp", port=25),
    "ssh": port_type("ssh"),
    "dns": RESOLVER,
    **dict.fromkeys(("push", "heartbeat"), BEAT),
}
TAKEN = """
    id testid name testname websitename websiteurl url websitehost host website testtype type period confirmation
    confirmations tags testtags checkrate rate interval timeout paused status port dnsserver dnsservers dnsips dnsip
    dnsipscsv postraw postbody customheader customheaders basicusername basicuser basicpassword basicpass findstring
    stringmatch donotfind followredirects statuscodes statuscodescsv usejar useragent
    contactgroups contactgroupscsv contactid uptime lasttested lasttestedat nextlocation processing processingon
    processingstate
"""
FIELDS = Fields(
    known=frozenset(TAKEN.split()),
    behind={
        "finalendpoint": _("The address where its redirects must end stays behind."),
        "includeheader": _("Its text is looked for in the body alone, not in the headers."),
    },
    behind_all={
        "triggerrate": _("How long a test waits before it alarms stays behind; alert rules here have their own delay."),
        "enablesslalert": _("Reminders of a certificate's end stay behind; set “Certificate's days left” here."),
        "servers": _("Regions stay behind; choose regions here."),
        "regions": _("Regions stay behind; choose regions here."),
    },
)
