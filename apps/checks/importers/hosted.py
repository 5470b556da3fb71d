"""What the exports of hosted monitors share: how a type of theirs becomes a kind, and a row's place and words settings."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.tables import Row
from apps.checks.importers.wish import Gathering, basic_login, integer, is_said, text_pairs, unknown_settings
from apps.core.kinds import Text

LONGEST_CELL = 131_072  # of a table; what is longer is no setting
TLS_PORTS = frozenset({465, 993, 995})


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


def mail_type(kind: str, *, port: int) -> ForeignType:
    """Return a type of mail server, which is spoken to in clear but on the ports that are for TLS alone."""

    def settings(row: Row, address: str) -> Mapping[str, Any]:
        number = integer(row.text("port").partition(",")[0]) or port_of(address) or port
        security = "tls" if number in TLS_PORTS else "none"
        return {"host": host_of(address), "port": number, "security": security}

    return ForeignType(kind=kind, settings=settings)


def type_of(
    row: Row, name: str, type_name: str, types: Mapping[str, ForeignType], gathering: Gathering
) -> ForeignType | None:
    """Return what a row's type is here; where nothing is like it, the row is lost."""
    found = types.get(type_name)
    if found is None:
        words = {"type": type_name}
        gathering.lose(row.where, name, _("Nothing here is like its type “%(type)s”.") % words, is_whole=True)
    return found


# --- What stays behind --------------------------------------------------------------------------------------------

NEW_ADDRESS = _("Its address is new here: change it where its job reports.")
ONE_FAMILY = _("It keeps to one family of addresses; checks here take whichever the name has.")
DOMAIN_END = _("Ends of domains are watched by checks of their own here: make one of the kind “domain” for each.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The fields of a source's rows: those that are looked at or say nothing of a check, and what is said of others.

    ``behind`` is said of each row that has one; ``behind_all`` once, since nearly every row has it. What is in none of
    them is named once, so that nothing goes without a word.
    """

    known: frozenset[str]
    behind: Mapping[str, Text] = field(default_factory=dict)
    behind_all: Mapping[str, Text] = field(default_factory=dict)

    def lose(self, row: Row, name: str, gathering: Gathering, left: Iterable[Text] = ()) -> None:
        """Report what a row has that stays behind, and what only a look at its values told: ``left``."""
        behind = (text for said, text in self.behind.items() if is_said(row.values.get(said)))
        for text in chain(behind, left):
            gathering.lose(row.where, name, text)

    def lose_of_all(self, rows: Iterable[Row], gathering: Gathering) -> None:
        said = {name: row.written.get(name, name) for row in rows for name in row.values if is_said(row.values[name])}
        for text in dict.fromkeys(text for name, text in self.behind_all.items() if name in said):
            gathering.lose("", "", text)
        known = self.known | self.behind.keys() | self.behind_all.keys()
        if unknown := [written for name, written in said.items() if name not in known]:
            gathering.lose("", "", unknown_settings(unknown))


# --- Words of rows ------------------------------------------------------------------------------------------------


def told(value: Any) -> Any:
    """Return what a cell of a table holds: an object or a list where it is written as JSON, the text as it is otherwise."""
    if not isinstance(value, str) or len(value) > LONGEST_CELL or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def unread(row: Row, read: Callable[[Any], object], *names: str) -> list[Text]:
    """Return what is to be reported where a row says something under these names of which nothing can be read."""
    value = row.get(*names)
    if not is_said(told(value)) or read(value):
        return []
    name = next(name for name in names if row.values.get(name) not in (None, ""))
    return [_("“%(option)s” stays behind.") % {"option": row.written.get(name, name)[:60]}]


def headers_of(value: Any) -> dict[str, str]:
    """Return headers given as an object, or as a list of objects with name and value; also as the JSON of either."""
    value = told(value)
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
