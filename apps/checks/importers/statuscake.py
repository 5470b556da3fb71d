"""StatusCake: uptime and heartbeat tests as CSV, or as its API answers them."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.hosted import ForeignType, as_url, headers_of, host_type, login, port_type
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.wish import Gathering, Wish, integer, is_true, seconds
from apps.core.kinds import Text


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
        for row in read_rows(files, lists=("data",)):
            _gather(row, gathering)
        gathering.lose("", "", _("Contact groups, page speed and server tests stay behind."))
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    address = row.text("websiteurl", "url", "websitehost", "host", "website")
    name = row.text("name", "testname", "websitename") or address
    type_name = normal(row.text("testtype", "type") or ("push" if row.get("period") else "http"))
    foreign = TYPES.get(type_name)
    if foreign is None:
        gathering.lose(
            row.where, name, _("Nothing here is like its type “%(type)s”.") % {"type": type_name}, is_whole=True
        )
        return
    confirmation = integer(row.get("confirmation", "confirmations"))
    tags = row.get("tags")
    gathering.add(
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
        )
    )


def _heartbeat(row: Row, _address: str) -> Mapping[str, Any]:
    return {"period_seconds": integer(row.get("period", "checkrate")) or 3_600}


def _dns(row: Row, address: str) -> Mapping[str, Any]:
    return {"name": address, "record_type": "A", "server": row.text("dnsserver", "dnsservers")}


def _http(row: Row, address: str) -> Mapping[str, Any]:
    return {
        "url": as_url(address),
        "method": "POST" if row.text("postraw", "postbody") else "GET",
        "headers": headers_of(_object(row.get("customheader", "customheaders"))),
        **login(row, ("basicusername", "basicuser"), ("basicpassword", "basicpass")),
        "body": row.text("postraw", "postbody"),
        "keyword": row.text("findstring", "stringmatch"),
        "keyword_absent": is_true(row.get("donotfind")),
        "follow_redirects": row.get("followredirects") is None or is_true(row.get("followredirects")),
    }


def _head(row: Row, address: str) -> Mapping[str, Any]:
    return {**_http(row, address), "method": "HEAD"}


def _object(value: Any) -> Any:
    """Return headers that are written as JSON in a cell."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value


WEB = ForeignType(kind="http", settings=_http)
BEAT = ForeignType(kind="heartbeat", settings=_heartbeat)
TYPES: Mapping[str, ForeignType] = {
    **dict.fromkeys(("http", "https", "website"), WEB),
    "head": ForeignType(kind="http", settings=_head),
    "ping": host_type("icmp"),
    "tcp": port_type("tcp"),
    "smtp": port_type("smtp", port=25),
    "ssh": port_type("ssh"),
    "dns": ForeignType(kind="dns", settings=_dns),
    **dict.fromkeys(("push", "heartbeat"), BEAT),
}
