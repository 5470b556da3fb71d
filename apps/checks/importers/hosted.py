"""What the exports of hosted monitors share: how a type of theirs becomes a kind, and a row's place and words settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from apps.checks.importers.tables import Row
from apps.checks.importers.wish import basic_login, integer, text_pairs


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


Settings = Callable[[Row, str], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignType:
    """A type of monitor at its source: our kind, and how a row with its address becomes that kind's settings."""

    kind: str
    settings: Settings


def host_type(kind: str) -> ForeignType:
    """Return a type that wants a host alone."""
    return ForeignType(kind=kind, settings=lambda _row, address: {"host": host_of(address)})


def port_type(kind: str, *, port: int | None = None) -> ForeignType:
    """Return a type that wants a host and a port: the row's, the address's, or the usual one of the protocol."""
    return ForeignType(
        kind=kind,
        settings=lambda row, address: {
            "host": host_of(address),
            "port": integer(row.get("port")) or port_of(address) or port,
        },
    )


def headers_of(value: Any) -> dict[str, str]:
    """Return headers given as an object, or as a list of objects with name and value."""
    if isinstance(value, list):
        return {
            str(part["name"]): str(part.get("value", ""))
            for part in value
            if isinstance(part, Mapping) and part.get("name")
        }
    return text_pairs(value)


def escaped(text: str) -> str:
    """Return a text as our scripts and datagrams write it between quotes."""
    for sign, written in (("\\", "\\\\"), ('"', '\\"'), ("\r", "\\r"), ("\n", "\\n"), ("\t", "\\t"), ("\0", "\\0")):
        text = text.replace(sign, written)
    return text


def login(row: Row, user: tuple[str, ...], password: tuple[str, ...]) -> dict[str, Any]:
    return basic_login(row.text(*user), row.text(*password))
