"""Uptime Kuma: its JSON backup, or its SQLite database."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found, read_each, refuse_beyond
from apps.checks.importers.hosted import host_of, port_of
from apps.checks.importers.kuma_brokers import BROKERS
from apps.checks.importers.kuma_columns import is_maimed, left_of, left_of_all
from apps.checks.importers.kuma_file import KumaFile, Patience, Row, object_of, read_kuma
from apps.checks.importers.kuma_json import rule_of, steps_blindly
from apps.checks.importers.kuma_services import SERVICES, Made, expected_record
from apps.checks.importers.kuma_windows import plan_windows
from apps.checks.importers.wish import (
    Gathering,
    Wish,
    basic_login,
    bearer_login,
    integer,
    is_true,
    oauth_login,
    plain_id,
    seconds,
)
from apps.core.kinds import Text

THROUGH_LISTS = _(
    "Its query finds nothing here where it goes through a list without naming a place in it, such as [0]."
)
Groups = Mapping[int | str, Any]


class UptimeKuma:
    """Monitors, their groups' names, tags and maintenance; notifications and status pages stay behind."""

    kind: ClassVar[str] = "uptime_kuma"
    label: ClassVar[Text] = _("Uptime Kuma")
    help: ClassVar[Text] = _("A JSON backup (Settings, Backup), or the file kuma.db from its data folder.")
    icon: ClassVar[str] = "heartbeat"

    def sample(self) -> bytes:
        monitor = {"id": 1, "name": "Shop", "type": "http", "url": "https://shop.example/", "interval": 60}
        return json.dumps({"version": "1.23.16", "monitorList": [monitor]}).encode()

    def read(self, *files: bytes) -> Found:
        gathering = Gathering("kuma")
        count = 0
        for place, file in read_each(files, partial(read_kuma, patience=Patience())):
            count += len(file.rows)
            refuse_beyond(count)
            _gather_file(file, place, gathering)
        gathering.lose(
            "", "", _("Notifications, status pages and history stay behind; set up channels and pages here.")
        )
        return gathering.found()


def _gather_file(file: KumaFile, place: str, gathering: Gathering) -> None:
    groups = {key: row.get("name") for row in file.rows if _is_group(row) and (key := plain_id(row.get("id")))}
    keys: list[tuple[Any, str]] = []
    for number, row in enumerate(file.rows):
        where = f"{place}monitorList[{number}]"
        if _is_group(row):
            gathering.lose(where, str(row.get("name")), _("Groups become tags of their members."))
            continue
        if key := _gather(row, where, groups, gathering):
            keys.append((row.get("id"), key))
    plan_windows(file, place, keys, gathering)
    for note in (*left_of_all(file.rows), *file.notes):
        gathering.lose(place.removesuffix(": "), "", note)


def _is_group(row: Row) -> bool:
    return row.get("type") == "group"


def _gather(row: Row, where: str, groups: Groups, gathering: Gathering) -> str:
    name, type_name = str(row.get("name") or row.get("id")), str(row.get("type"))
    translate = TYPES.get(type_name)
    if translate is None:
        gathering.lose(where, name, _("Nothing here is like its type “%(type)s”.") % {"type": type_name}, is_whole=True)
        return ""
    if is_true(row.get("upside_down")):
        gathering.lose(
            where, name, _("It is upside down: up means failed. No check here turns its verdict round."), is_whole=True
        )
        return ""
    made = translate(row)
    if made.refusal:
        gathering.lose(where, name, made.refusal, is_whole=True)
        return ""
    for text in (*made.behind, *left_of(row)):
        gathering.lose(where, name, text)
    return gathering.add(
        Wish(
            where=where,
            name=name,
            source_id=str(plain_id(row.get("id")) or ""),
            kind=made.kind,
            settings=made.settings,
            interval_seconds=seconds(row.get("interval")),
            timeout_seconds=seconds(row.get("timeout")) or None,
            retries=integer(row.get("maxretries")),
            retry_interval_seconds=seconds(row.get("retry_interval")) or None,
            tags=tuple(_tags(row, groups)),
            is_paused="active" in row and not is_true(row["active"]),
            is_maimed=is_maimed(row),
            needs=frozenset({"json_rules", "keyword"}),
        )
    )


def _tags(row: Row, groups: Groups) -> Iterator[str]:
    tags, parent = row.get("tags"), plain_id(row.get("parent"))
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, Mapping):
            yield f"{tag.get('name')}:{tag['value']}" if tag.get("value") else str(tag.get("name") or "")
    if parent is not None and parent in groups:
        yield str(groups[parent])


def _http(row: Row) -> Made:
    body = row.get("body") or ""
    settings = {
        "url": row.get("url"),
        "method": str(row.get("method") or "GET").upper(),
        "headers": _headers(row),
        "body": body if isinstance(body, str) else json.dumps(body),
        "expected_status": ", ".join(_statuses(row)),
        "follow_redirects": integer(row.get("maxredirects")) != 0,
        "max_redirects": min(integer(row.get("maxredirects")) or 10, 20),
        "verify_tls": not is_true(row.get("ignore_tls")),
        "keyword_absent": False,
        **_certificate(row),
        **_login(row),
    }
    return Made("http", settings)


def _keyword(row: Row) -> Made:
    wanted = {"keyword": row.get("keyword"), "keyword_absent": is_true(row.get("invert_keyword"))}
    return _and(_http(row), wanted)


def _and(made: Made, settings: Mapping[str, Any]) -> Made:
    return replace(made, settings={**made.settings, **settings})


def _headers(row: Row) -> dict[str, str]:
    """Return its headers, with the type of a body that Kuma calls a form or XML; JSON is told by the body itself."""
    value = object_of(row.get("headers"))
    given = {str(name): str(text) for name, text in value.items()} if isinstance(value, Mapping) else {}
    content = BODIES.get(str(row.get("http_body_encoding")))
    if content and row.get("body") and "content-type" not in {name.lower() for name in given}:
        given["Content-Type"] = content
    return given


BODIES = {"form": "application/x-www-form-urlencoded", "xml": "text/xml; charset=utf-8"}


def _login(row: Row) -> dict[str, Any]:
    way = str(row.get("auth_method") or "basic")
    return LOGINS[way](row) if way in LOGINS else {}


def _basic(row: Row) -> dict[str, Any]:
    return basic_login(row.get("basic_auth_user"), row.get("basic_auth_pass"))


def _oauth(row: Row) -> dict[str, Any]:
    given = (row.get(f"oauth_{name}") for name in ("token_url", "client_id", "client_secret", "scopes"))
    return {**oauth_login(*given), "oauth_in_body": row.get("oauth_auth_method") == "client_secret_post" or None}


LOGINS: Mapping[str, Callable[[Row], dict[str, Any]]] = {
    "basic": _basic,
    "oauth2-cc": _oauth,
    "mtls": lambda row: {"client_certificate": row.get("tls_cert"), "client_key": row.get("tls_key")},
    "bearer": lambda row: bearer_login(row.get("bearer_token")),
}


def _certificate(row: Row) -> dict[str, Any]:
    """Kuma tells of certificates 21, 14 and 7 days before their end."""
    is_told = is_true(row.get("expiry_notification")) and str(row.get("url")).startswith("https:")
    return {"certificate_days": 14} if is_told else {}


def _statuses(row: Row) -> list[str]:
    given = object_of(row.get("accepted_statuscodes") or row.get("accepted_statuscodes_json"))
    return [str(code) for code in given] if isinstance(given, list) else []


def _json_query(row: Row) -> Made:
    rule, refusal = rule_of(row)
    behind: list[Text] = [THROUGH_LISTS] if steps_blindly(rule) else []
    return replace(_and(_http(row), {"json_rules": [rule]}), behind=behind, refusal=refusal)


def _port(row: Row) -> Made:
    return Made("tcp", _host(row))


def _host(row: Row) -> dict[str, Any]:
    return {"host": row.get("hostname"), "port": integer(row.get("port"))}


def _ping(row: Row) -> Made:
    settings: dict[str, Any] = {"host": row.get("hostname"), "size": integer(row.get("packet_size"))}
    count, wait = integer(row.get("ping_count")) or 1, seconds(row.get("ping_per_request_timeout"))
    if count > 1:  # one is what nobody chose; of several, one that comes back is enough there
        settings |= {"count": count, "wait_ms": int(wait * 1_000) if wait else None}
        settings |= {"max_loss_percent": 100, "warn_loss_percent": 100}
    return Made("icmp", settings)


def _dns(row: Row) -> Made:
    record_type = str(row.get("dns_resolve_type") or "A")
    expected, behind = expected_record(row, record_type)
    server, _comma, others = str(row.get("dns_resolve_server") or "").partition(",")
    if others.strip(", "):
        behind.append(_("Of its DNS servers only the first is asked."))
    settings = {
        "name": row.get("hostname"),
        "record_type": record_type,
        "server": server.strip(),
        "port": integer(row.get("port")),
        **expected,
    }
    return Made("dns", settings, behind)


def _push(row: Row) -> Made:
    period, retries = seconds(row.get("interval")) or 60, integer(row.get("maxretries")) or 0
    grace = retries * (seconds(row.get("retry_interval")) or period)
    timing = {"period_seconds": int(period), "grace_seconds": max(60, int(grace))}
    return Made("heartbeat", {**timing, "address": row.get("push_token")})


def _grpc(row: Row) -> Made:
    address = str(row.get("grpc_url") or "")
    settings = {
        "host": host_of(address),
        "port": port_of(address),
        "service": row.get("grpc_service_name"),
        "uses_tls": is_true(row.get("grpc_enable_tls")),
    }
    return Made("grpc", settings)


def _websocket(row: Row) -> Made:
    return Made("websocket", {"url": row.get("url"), "subprotocols": row.get("ws_subprotocol")})


def _smtp(row: Row) -> Made:
    security = {"secure": "tls", "starttls": "starttls"}.get(str(row.get("smtp_security")), "none")
    return Made("smtp", {**_host(row), "security": security})


TYPES: Mapping[str, Callable[[Row], Made]] = {
    "http": _http,
    "keyword": _keyword,
    "json-query": _json_query,
    "port": _port,
    "ping": _ping,
    "dns": _dns,
    "push": _push,
    "grpc-keyword": _grpc,
    "websocket-upgrade": _websocket,
    "smtp": _smtp,
    **SERVICES,
    **BROKERS,
}
