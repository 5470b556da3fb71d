"""StatusCake: uptime and heartbeat tests as CSV, or as its API answers them."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found
from apps.checks.importers.hosted import as_url, headers_of, login, place
from apps.checks.importers.tables import Row, normal, read_rows
from apps.checks.importers.wish import Gathering, Wish, integer, is_true, seconds
from apps.core.kinds import Text

KINDS = {
    **dict.fromkeys(("http", "https", "head", "website"), "http"),
    "ping": "icmp",
    "tcp": "tcp",
    "smtp": "smtp",
    "ssh": "ssh",
    "dns": "dns",
    **dict.fromkeys(("push", "heartbeat"), "heartbeat"),
}


class StatusCake:
    """Uptime and heartbeat tests; contact groups, page speed and server tests stay behind."""

    kind: ClassVar[str] = "statuscake"
    label: ClassVar[Text] = _("StatusCake")
    help: ClassVar[Text] = _("The uptime tests as CSV, or the JSON of /v1/uptime.")
    icon: ClassVar[str] = "sun"

    def sample(self) -> bytes:
        return b"Test ID,Test Name,Website URL,Test Type,Check Rate\n1,Shop,https://shop.example/,HTTP,300\n"

    def read(self, raw: bytes) -> Found:
        gathering = Gathering("statuscake")
        for row in read_rows(raw, lists=("data",)):
            _gather(row, gathering)
        gathering.lose("", "", _("Contact groups, page speed and server tests stay behind."))
        return gathering.found()


def _gather(row: Row, gathering: Gathering) -> None:
    address = row.text("websiteurl", "url", "websitehost", "host", "website")
    name = row.text("name", "testname", "websitename") or address
    type_name = normal(row.text("testtype", "type") or ("push" if row.get("period") else "http"))
    kind = KINDS.get(type_name)
    if kind is None:
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
            kind=kind,
            settings=_settings(row, kind, type_name, address),
            interval_seconds=seconds(row.get("checkrate", "rate", "interval")),
            timeout_seconds=seconds(row.get("timeout")),
            retries=confirmation,
            tags=tuple(map(str, tags)) if isinstance(tags, list) else tuple(row.text("tags", "testtags").split(",")),
            is_paused=is_true(row.get("paused")) or normal(row.text("status")) == "paused",
        )
    )


def _settings(row: Row, kind: str, type_name: str, address: str) -> Mapping[str, Any]:
    if kind == "heartbeat":
        return {"period_seconds": integer(row.get("period", "checkrate")) or 3_600}
    if kind == "dns":
        return {"name": address, "record_type": "A", "server": row.text("dnsserver", "dnsservers")}
    if kind != "http":
        return place(row, address, kind)
    is_absent = is_true(row.get("donotfind"))
    method = "HEAD" if type_name == "head" else "POST" if row.text("postraw", "postbody") else "GET"
    return {
        "url": as_url(address),
        "method": method,
        "headers": headers_of(_object(row.get("customheader", "customheaders"))),
        **login(row, ("basicusername", "basicuser"), ("basicpassword", "basicpass")),
        "body": row.text("postraw", "postbody"),
        "keyword": row.text("findstring", "stringmatch"),
        "keyword_absent": is_absent,
        "follow_redirects": row.get("followredirects") is None or is_true(row.get("followredirects")),
    }


def _object(value: Any) -> Any:
    """Return headers that are written as JSON in a cell."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value
