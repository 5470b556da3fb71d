"""Uptime Kuma's databases: where its connection strings lead, how secured, and what of them stays behind."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.kuma_file import Row, object_of
from apps.checks.importers.wish import integer, is_true
from apps.core.kinds import Text

HOSTS = re.compile(r"([^/?#]*)(.*)", re.DOTALL)
PLAIN: Mapping[str, Any] = {"security": "none"}
# Comparisons of its conditions that ours are like.
COMPARISONS = {
    "equals": "equals",
    "not_equals": "differs",
    "contains": "contains",
    "num_equals": "equals",
    "num_not_equals": "differs",
    "gte": "at_least",
    "lte": "at_most",
}
# Records whose text is all that Kuma compares; of MX, SRV, CAA and SOA it takes one part.
WHOLE_RECORDS = frozenset({"A", "AAAA", "CNAME", "NS", "PTR", "TXT"})
# What a client does with its connections: nothing that a check has, or lacks.
MONGODB_HABITS = frozenset(
    {"retrywrites", "retryreads", "w", "appname", "directconnection", "readpreference", "maxpoolsize"}
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a monitor becomes: our kind and its settings, what of it stays behind, or why it does not come at all."""

    kind: str
    settings: Mapping[str, Any]
    behind: list[Text] = field(default_factory=list)
    refusal: Text = ""


@dataclass(frozen=True, slots=True)
class _Address:
    """The parts of a connection string. ``options`` are those of its query that nobody has taken yet."""

    scheme: str
    place: Mapping[str, Any]
    path: str
    options: dict[str, str]

    def left(self) -> list[Text]:
        return [
            _("“%(option)s” of its connection string stays behind.") % {"option": name[:60]} for name in self.options
        ]


def _address(text: str) -> _Address:
    try:
        parts = urlsplit(text)
        place = {
            "host": parts.hostname,
            "port": parts.port,
            "username": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
        }
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        return _Address("", {}, "", {})
    return _Address(parts.scheme, place, unquote(parts.path.strip("/")), options)


def tls(*, is_verified: bool) -> dict[str, Any]:
    return {"security": "tls", "verify_tls": is_verified}


# --- Databases ---------------------------------------------------------------------------------------------------


def _postgres(row: Row) -> Made:
    address = _address(str(row.get("database_connection_string") or ""))
    security = _postgres_security(address.options)
    return _queried(row, "postgresql", address, {**address.place, **security})


def _postgres_security(options: dict[str, str]) -> Mapping[str, Any]:
    """Take what Kuma's driver reads: any ``sslmode`` but two is TLS with a verified certificate, and none is no TLS."""
    mode, ssl, is_as_libpq = (options.pop(name, "") for name in ("sslmode", "ssl", "uselibpqcompat"))
    if not mode:
        has_files = any(options.get(name) for name in ("sslrootcert", "sslcert", "sslkey"))
        return tls(is_verified=True) if has_files or ssl in ("true", "1") else PLAIN
    if mode == "disable":
        return PLAIN
    lax = ("no-verify", "prefer", "require") if is_as_libpq == "true" else ("no-verify",)
    return tls(is_verified=mode not in lax)


def _mysql(row: Row) -> Made:
    address = _address(str(row.get("database_connection_string") or ""))
    place = {**address.place, "password": row.get("radius_password") or address.place.get("password")}
    given = address.options.get("ssl", "")
    ssl = object_of(given)
    if isinstance(ssl, Mapping) and not set(ssl) - {"rejectUnauthorized"}:
        address.options.pop("ssl")
    is_secured = bool(given) and ssl is not False
    security = tls(is_verified=not isinstance(ssl, Mapping) or ssl.get("rejectUnauthorized") is not False)
    return _queried(row, "mysql", address, {**place, **(security if is_secured else PLAIN)})


def _queried(row: Row, kind: str, address: _Address, settings: Mapping[str, Any]) -> Made:
    query = row.get("database_query")
    judged, behind = _judged_value(row)
    if judged and not query:
        query = "SELECT 1"  # what Kuma asks then
    wanted = {**settings, "database": address.path, "query": query, **judged}
    return Made(kind, wanted, [*address.left(), *behind])


def _judged_value(row: Row) -> tuple[dict[str, Any], list[Text]]:
    """Return how the query's value is judged, where Kuma's conditions are one that a check can have."""
    only = _only_condition(row)
    if only and (comparison := COMPARISONS.get(only[0])):
        return {"comparison": comparison, "expected": only[1]}, []
    return {}, _conditions_left(row)


def _mongodb(row: Row) -> Made:
    text, others = _first_host(str(row.get("database_connection_string") or ""))
    address = _address(text)
    options = {name.lower(): value for name, value in address.options.items() if name.lower() not in MONGODB_HABITS}
    is_secured = "true" in (options.pop("tls", ""), options.pop("ssl", ""))
    is_lax = "true" in (options.pop("tlsinsecure", ""), options.pop("tlsallowinvalidcertificates", ""))
    settings = {
        **address.place,
        **(tls(is_verified=not is_lax) if is_secured else PLAIN),
        "auth_database": options.pop("authsource", "") or address.path,
        "replica_set": options.pop("replicaset", ""),
    }
    behind = _Address("", {}, "", options).left()
    if others:
        behind.append(_("Of its hosts only the first is asked."))
    if any(row.get(name) for name in ("database_query", "json_path", "expected_value")):
        behind.append(
            _("Its command and what it expects of the answer stay behind: the server is asked for its state.")
        )
    return Made("mongodb", settings, behind, SRV if address.scheme == "mongodb+srv" else "")


SRV = _("Its address “mongodb+srv” names no host but a DNS record of hosts. Make a check for each of them.")


def _first_host(text: str) -> tuple[str, str]:
    """Return the connection string with the first of its hosts alone, and the others."""
    scheme, mark, rest = text.partition("://")
    found = HOSTS.match(rest)
    if not found:
        return text, ""
    login, at, hosts = found[1].rpartition("@")
    first, _comma, others = hosts.partition(",")
    return f"{scheme}{mark}{login}{at}{first}{found[2]}", others


def _redis(row: Row) -> Made:
    address = _address(str(row.get("database_connection_string") or ""))
    security = tls(is_verified=not is_true(row.get("ignore_tls"))) if address.scheme == "rediss" else PLAIN
    database = integer(address.path)
    settings = {**address.place, **security, "database": address.path if database is None else database}
    return Made("redis", settings, address.left())


# --- Conditions of Kuma 2 ------------------------------------------------------------------------------------------


def conditions_of(row: Row) -> list[Any]:
    found = object_of(row.get("conditions"))
    return found if isinstance(found, list) else []


def _only_condition(row: Row) -> tuple[str, str] | None:
    """Return operator and value where there is one condition and no group of them."""
    found = conditions_of(row)
    only = found[0] if len(found) == 1 else None
    if not isinstance(only, Mapping) or only.get("type") != "expression":
        return None
    value = only.get("value")
    return str(only.get("operator")), value if isinstance(value, str) else json.dumps(value)


def _conditions_left(row: Row) -> list[Text]:
    return [_("Its conditions stay behind.")] if conditions_of(row) else []


def expected_record(row: Row, record_type: str) -> tuple[dict[str, Any], list[Text]]:
    """Return which record a DNS check must find, where Kuma's conditions say no more than that."""
    only = _only_condition(row)
    if only and only[0] == "equals" and record_type in WHOLE_RECORDS:
        return {"matching": "includes", "expected": only[1]}, []
    return {}, _conditions_left(row)


SERVICES: Mapping[str, Callable[[Row], Made]] = {
    "postgres": _postgres,
    "mysql": _mysql,
    "mongodb": _mongodb,
    "redis": _redis,
}
