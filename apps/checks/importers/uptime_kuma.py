"""Uptime Kuma: its JSON backup, or its SQLite database."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import Found, SourceError
from apps.checks.importers.wish import Gathering, Wish, basic_login, integer, is_true, oauth_login, seconds
from apps.core.documents import DocumentError, read_document
from apps.core.kinds import Text

SQLITE_MAGIC = b"SQLite format 3\x00"
MAX_MONITORS = 5_000
MAX_STEPS = 400  # of a million virtual machine instructions each
READS = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ})
TABLES = frozenset({"monitor", "tag", "monitor_tag"})
Row = Mapping[str, Any]


class UptimeKuma:
    """Monitors, their groups' names and tags; notifications and status pages stay behind."""

    kind: ClassVar[str] = "uptime_kuma"
    label: ClassVar[Text] = _("Uptime Kuma")
    help: ClassVar[Text] = _("A JSON backup (Settings, Backup), or the file kuma.db from its data folder.")
    icon: ClassVar[str] = "heartbeat"

    def sample(self) -> bytes:
        monitor = {"id": 1, "name": "Shop", "type": "http", "url": "https://shop.example/", "interval": 60}
        return json.dumps({"version": "1.23.16", "monitorList": [monitor]}).encode()

    def read(self, raw: bytes) -> Found:
        rows = _from_database(raw) if raw.startswith(SQLITE_MAGIC) else _from_backup(raw)
        groups = {row.get("id"): row.get("name") for row in rows if row.get("type") == "group"}
        gathering = Gathering("kuma")
        for place, row in enumerate(rows):
            where = f"monitorList[{place}]"
            if row.get("type") == "group":
                gathering.lose(where, str(row.get("name")), _("Groups become tags of their members."))
                continue
            _gather(row, where, groups, gathering)
        gathering.lose(
            "", "", _("Notifications, status pages and history stay behind; set up channels and pages here.")
        )
        return gathering.found()


# --- Reading -----------------------------------------------------------------------------------------------------


def _from_backup(raw: bytes) -> list[Row]:
    try:
        document = read_document(raw)
    except DocumentError as error:
        raise SourceError(str(error)) from error
    monitors = document.get("monitorList") if isinstance(document, Mapping) else None
    if isinstance(monitors, Mapping):  # the list as its API sends it, by id
        monitors = list(monitors.values())
    if not isinstance(monitors, list):
        raise SourceError(_("Expected a backup with “monitorList”, or the database file kuma.db."))
    return [
        {_snake(name): value for name, value in row.items()}
        for row in monitors[:MAX_MONITORS]
        if isinstance(row, Mapping)
    ]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _from_database(raw: bytes) -> list[Row]:
    """Read the database in memory. It comes from outside: its triggers, views and functions must have nothing to say."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.row_factory = sqlite3.Row
        connection.deserialize(raw)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4_194_304)
        connection.set_authorizer(_may)
        connection.set_progress_handler(_Patience(), 1_000_000)
        rows = [dict(row) for row in connection.execute("SELECT * FROM monitor ORDER BY id LIMIT 5000")]
        tags = _database_tags(connection)
    except (sqlite3.Error, OverflowError) as error:
        raise SourceError(_("This database cannot be read (%(reason)s).") % {"reason": error}) from error
    finally:
        connection.close()
    return [{**row, "tags": tags.get(row.get("id"), [])} for row in rows]


def _may(action: int, table: str | None, _column: str | None, _database: str | None, _source: str | None) -> int:
    allowed = action in READS and (action == sqlite3.SQLITE_SELECT or table in TABLES)
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


class _Patience:
    """Ends a query that a crafted database makes endless."""

    def __init__(self) -> None:
        self._left = MAX_STEPS

    def __call__(self) -> int:
        self._left -= 1
        return self._left < 0


def _database_tags(connection: sqlite3.Connection) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    names = {row["id"]: row["name"] for row in connection.execute("SELECT id, name FROM tag LIMIT 5000")}
    for row in connection.execute("SELECT monitor_id, tag_id, value FROM monitor_tag LIMIT 50000"):
        found.setdefault(row["monitor_id"], []).append({"name": names.get(row["tag_id"], ""), "value": row["value"]})
    return found


# --- Translating -------------------------------------------------------------------------------------------------


def _gather(row: Row, where: str, groups: Mapping[Any, Any], gathering: Gathering) -> None:
    name, type_name = str(row.get("name") or row.get("id")), str(row.get("type"))
    translate = TYPES.get(type_name)
    if translate is None:
        gathering.lose(where, name, _("Nothing here is like its type “%(type)s”.") % {"type": type_name}, is_whole=True)
        return
    if is_true(row.get("upside_down")):
        gathering.lose(
            where, name, _("It is upside down: up means failed. No check here turns its verdict round."), is_whole=True
        )
        return
    kind, settings = translate(row)
    for field, text in BEHIND.items():
        if row.get(field):
            gathering.lose(where, name, text)
    gathering.add(
        Wish(
            where=where,
            name=name,
            source_id=str(row.get("id") or ""),
            kind=kind,
            settings=settings,
            interval_seconds=seconds(row.get("interval")),
            timeout_seconds=seconds(row.get("timeout")) or None,
            retries=integer(row.get("maxretries")),
            retry_interval_seconds=seconds(row.get("retry_interval")) or None,
            tags=tuple(_tags(row, groups)),
            is_paused="active" in row and not is_true(row["active"]),
        )
    )


BEHIND: Mapping[str, Text] = {
    "grpc_method": _("Its call stays behind: the server is asked for its health instead."),
    "proxy_id": _("Its proxy stays behind."),
    "docker_container": _("Its Docker container stays behind."),
    "resend_interval": _("Repeated messages are a matter of alert rules here."),
}


def _tags(row: Row, groups: Mapping[Any, Any]) -> Iterator[str]:
    for tag in row.get("tags") or ():
        if isinstance(tag, Mapping):
            yield f"{tag.get('name')}:{tag['value']}" if tag.get("value") else str(tag.get("name") or "")
    if row.get("parent") in groups:
        yield str(groups[row["parent"]])


def _http(row: Row) -> tuple[str, dict[str, Any]]:
    body = row.get("body") or ""
    return "http", {
        "url": row.get("url"),
        "method": str(row.get("method") or "GET").upper(),
        "headers": _headers(row.get("headers")),
        "body": body if isinstance(body, str) else json.dumps(body),
        "expected_status": ", ".join(_statuses(row)),
        "follow_redirects": integer(row.get("maxredirects")) != 0,
        "max_redirects": min(integer(row.get("maxredirects")) or 10, 20),
        "verify_tls": not is_true(row.get("ignore_tls")),
        "keyword_absent": False,
        **_certificate(row),
        **_login(row),
    }


def _keyword(row: Row) -> tuple[str, dict[str, Any]]:
    kind, settings = _http(row)
    wanted = {"keyword": row.get("keyword"), "keyword_absent": is_true(row.get("invert_keyword"))}
    return kind, {**settings, **wanted}


def _headers(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, Mapping) else {}


def _login(row: Row) -> dict[str, Any]:
    return LOGINS.get(str(row.get("auth_method")), _basic)(row)


def _basic(row: Row) -> dict[str, Any]:
    return basic_login(row.get("basic_auth_user"), row.get("basic_auth_pass"))


def _oauth(row: Row) -> dict[str, Any]:
    return oauth_login(
        row.get("oauth_token_url"), row.get("oauth_client_id"), row.get("oauth_client_secret"), row.get("oauth_scopes")
    )


LOGINS: Mapping[str, Callable[[Row], dict[str, Any]]] = {
    "oauth2-cc": _oauth,
    "mtls": lambda row: {"client_certificate": row.get("tls_cert"), "client_key": row.get("tls_key")},
    "ntlm": lambda _row: {"ntlm": True},
}


def _certificate(row: Row) -> dict[str, Any]:
    """Kuma tells of certificates 21, 14 and 7 days before their end."""
    is_told = is_true(row.get("expiry_notification")) and str(row.get("url")).startswith("https:")
    return {"certificate_days": 14} if is_told else {}


def _statuses(row: Row) -> list[str]:
    given = row.get("accepted_statuscodes") or row.get("accepted_statuscodes_json") or []
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            given = []
    return [str(code) for code in given] if isinstance(given, list) else []


def _json_query(row: Row) -> tuple[str, dict[str, Any]]:
    kind, settings = _http(row)
    path, operator = str(row.get("json_path") or "$"), row.get("json_path_operator") or "=="
    rule = f"{path if path.startswith('$') else '$.' + path} {operator} {row.get('expected_value')}"
    return kind, {**settings, "json_rules": [rule]}


def _port(row: Row) -> tuple[str, dict[str, Any]]:
    return "tcp", _host(row)


def _host(row: Row) -> dict[str, Any]:
    return {"host": row.get("hostname"), "port": integer(row.get("port"))}


def _ping(row: Row) -> tuple[str, dict[str, Any]]:
    return "icmp", {"host": row.get("hostname")}


def _dns(row: Row) -> tuple[str, dict[str, Any]]:
    server = str(row.get("dns_resolve_server") or "").partition(",")[0].strip()
    return "dns", {
        "name": row.get("hostname"),
        "record_type": row.get("dns_resolve_type") or "A",
        "server": server,
        "port": integer(row.get("port")),
    }


def _push(row: Row) -> tuple[str, dict[str, Any]]:
    period, retries = seconds(row.get("interval")) or 60, integer(row.get("maxretries")) or 0
    grace = retries * (seconds(row.get("retry_interval")) or period)
    timing = {"period_seconds": int(period), "grace_seconds": max(60, int(grace))}
    return "heartbeat", {**timing, "address": row.get("push_token")}


def _database(kind: str, *also: str) -> Callable[[Row], tuple[str, dict[str, Any]]]:
    """Return the translation of a connection's URL into ``kind``, with those parts of it that the kind takes."""

    def translate(row: Row) -> tuple[str, dict[str, Any]]:
        found = {**_service(str(row.get("database_connection_string") or "")), "query": row.get("database_query")}
        return kind, {name: found.get(name) for name in ("host", "port", "username", "password", *also)}

    return translate


def _service(address: str) -> dict[str, Any]:
    """Return host, port, login and database of a connection's URL."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return {}
    return {
        "host": parts.hostname,
        "port": port,
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": parts.path.strip("/"),
    }


def _mqtt(row: Row) -> tuple[str, dict[str, Any]]:
    host = re.sub(r"^\w+://", "", str(row.get("hostname") or ""))
    return "mqtt", {
        **_host({**row, "hostname": host}),
        "username": row.get("mqtt_username"),
        "password": row.get("mqtt_password"),
        "topic": row.get("mqtt_topic"),
    }


def _grpc(row: Row) -> tuple[str, dict[str, Any]]:
    address = str(row.get("grpc_url") or "")
    place = _service(f"//{address}")
    return "grpc", {
        "host": place.get("host"),
        "port": place.get("port"),
        "service": row.get("grpc_service_name"),
        "uses_tls": is_true(row.get("grpc_enable_tls")),
    }


def _websocket(row: Row) -> tuple[str, dict[str, Any]]:
    return "websocket", {"url": row.get("url")}


def _smtp(row: Row) -> tuple[str, dict[str, Any]]:
    security = {"secure": "tls", "starttls": "starttls"}.get(str(row.get("smtp_security")), "none")
    return "smtp", {**_host(row), "security": security}


TYPES: Mapping[str, Callable[[Row], tuple[str, dict[str, Any]]]] = {
    "http": _http,
    "keyword": _keyword,
    "json-query": _json_query,
    "port": _port,
    "ping": _ping,
    "dns": _dns,
    "push": _push,
    "postgres": _database("postgresql", "database", "query"),
    "mysql": _database("mysql", "database", "query"),
    "mongodb": _database("mongodb"),
    "redis": _database("redis"),
    "mqtt": _mqtt,
    "grpc-keyword": _grpc,
    "websocket-upgrade": _websocket,
    "smtp": _smtp,
}
