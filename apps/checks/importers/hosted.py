"""What the exports of hosted monitors share: words for types, and a row's place and words as settings."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from apps.checks.importers.tables import Row
from apps.checks.importers.wish import basic_login, integer, text_pairs

DEFAULT_PORTS = {"smtp": 25, "imap": 143, "pop3": 110}


def host_of(text: str) -> str:
    """Return the host of an address written with or without scheme, port and path."""
    try:
        return urlsplit(text if "//" in text else f"//{text}").hostname or ""
    except ValueError:
        return ""


def port_of(text: str) -> int | None:
    try:
        return urlsplit(text if "//" in text else f"//{text}").port
    except ValueError:
        return None


def as_url(text: str, *, scheme: str = "https") -> str:
    """Return an address as a whole URL."""
    return text if "://" in text or not text else f"{scheme}://{text}"


def place(row: Row, address: str, kind: str) -> dict[str, Any]:
    """Return host and port of a check that is none of the web."""
    if kind == "icmp":
        return {"host": host_of(address)}
    return {"host": host_of(address), "port": integer(row.get("port")) or port_of(address) or DEFAULT_PORTS.get(kind)}


def headers_of(value: Any) -> dict[str, str]:
    """Return headers given as an object, or as a list of objects with name and value."""
    if isinstance(value, list):
        return {
            str(part["name"]): str(part.get("value", ""))
            for part in value
            if isinstance(part, Mapping) and part.get("name")
        }
    return text_pairs(value)


def login(row: Row, user: tuple[str, ...], password: tuple[str, ...]) -> dict[str, Any]:
    return basic_login(row.text(*user), row.text(*password))
