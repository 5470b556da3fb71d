"""Values of Gatus' suites: constants and what endpoints store, as the steps of a check name them; and what of it is secret.

How Gatus puts them in was read in its source: preprocessWithContext and ResolvePlaceholder in config/endpoint/ of TwiN/gatus.
"""

import re
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from functools import reduce
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.numbering import Numbering
from apps.checks.importers.wish import text_pairs
from apps.checks.types.filling import VARIABLE
from apps.checks.types.hiding import OPEN_HEADERS, SCHEMES
from apps.core.kinds import Text

ROOM = 64_000  # characters of constants and names in one suite: as many as all of its steps may have
MAX_SECRETS = 100  # in one suite
CONTEXT = "[CONTEXT]"
VALUE = re.compile(r"\[CONTEXT\]\.([\w.-]+)", re.ASCII)  # in capitals, as Gatus looks for it
OPERATOR = re.compile(r" (==|!=|<=|>=|<|>) ")
MORE_THAN_TEXT = re.compile(r"[\[\](]|^\s*$|\s(?:==|!=|<=|>=|<|>)\s")  # to a condition
STORED_BODY = re.compile(r"\[BODY\]((?:\.[^.\[\]]+|\[\d{1,9}\])*)", re.IGNORECASE)
STORED_HEADER = re.compile(r"\[HEADER\]\.(\S+)", re.IGNORECASE)
KEY = re.compile(r"\.([^.\[\]]+)|(\[\d+\])")
PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TRIMMED = r"\S(?:[\s\S]*\S)?"
SCHEME = re.compile(rf"(?:{'|'.join(sorted(SCHEMES))})\s+", re.IGNORECASE)
PUT_IN = re.compile(r"(\{\{\w+\}\})")
# What may stand beside a variable: a cookie's name, or a word that is known to be none of the secret.
COOKIE_LABEL = re.compile(r"[;,\s]*(?:[\w.-]{1,40}=\s*)?")
WORDS = (
    r"(?:access|api|auth|refresh|session)[_-]?(?:id|key|token)|auth|id|key|session|sid|signature|token|user|username"
)
LABEL = re.compile(rf"[;,\s]*(?:(?:{WORDS})=\s*)?", re.IGNORECASE)


class Unsayable(Exception):
    """No check is like this suite; ``args`` are the reason for people."""


@dataclass(frozen=True, slots=True)
class Variable:
    """What an endpoint stores; without a name, no step can name it."""

    name: str = ""


class Layer:
    """What endpoints store, over the constants in the same place: one hides what it replaces, and all that is part of it."""

    def __init__(self, below: Any) -> None:
        self._below = below
        self._stored: dict[str, Any] = {}

    def part(self, name: str) -> Any:
        return self._stored[name] if name in self._stored else part_of(self._below, name)

    def layer(self, name: str) -> "Layer":
        """Return the layer over a part."""
        if not isinstance(found := self.part(name), Layer):
            self._stored[name] = found = Layer(found)
        return found

    def store(self, name: str, variable: Variable) -> None:
        self._stored[name] = variable


def part_of(value: Any, name: str) -> Any:
    if isinstance(value, Layer):
        return value.part(name)
    return value.get(name) if isinstance(value, Mapping) else None


class Context:
    """What is known in a suite, from endpoint to endpoint. ``lose`` is told what stays behind that a check cannot do without.
    ``secret_paths`` are those whose constants are secrets wherever they stand."""

    def __init__(self, constants: Any, secret_paths: Set[str], lose: Callable[[Text], None]) -> None:
        self._values = Layer(constants)
        self._secret_paths = secret_paths
        self._lose = lose
        self._room = ROOM
        self._names: set[str] = set()
        self._numbering = Numbering("_")
        self._variables: dict[str, Variable] = {}  # by what Gatus calls them
        self._secrets: dict[str, str] = {}  # names by values

    @property
    def secrets(self) -> dict[str, str]:
        return {name: value for value, name in self._secrets.items()}

    def filled(self, text: str) -> str:
        """Return a text with its values put in."""
        return VALUE.sub(self._put_in, text)

    def address(self, url: str) -> str:
        """Return an address with its values put in; of a secret, a step escapes what Gatus puts in as it is."""
        said, secrets = self.filled(url), self.secrets
        for name in dict.fromkeys(VARIABLE.findall(said)):
            value = secrets.get(name, "")
            if quote(value, safe="") != value:
                self._lose(_("“%(name)s” is a secret, which is escaped in an address here.") % {"name": name})
        return said

    def condition(self, condition: str) -> str | None:
        """Return a condition with its values put in, each of which is one side of it; None where a step cannot say it."""
        if CONTEXT not in condition.upper():
            return condition
        sides = OPERATOR.split(condition)
        if len(sides) != 3:
            return None
        for place in (0, 2):
            if found := VALUE.fullmatch(sides[place].strip()):
                value = self._value(found[1])
                if not value or MORE_THAN_TEXT.search(_written(self._at(found[1])) or value):
                    return None
                sides[place] = value
        said = f"{sides[0]} {sides[1]} {sides[2]}"
        return None if CONTEXT in said.upper() else said

    def sealed(self, header: str, value: str) -> str:
        """Return a header's value with a secret in place of what may be one."""
        if header.lower() in OPEN_HEADERS:
            return value
        scheme = SCHEME.match(value)
        begun = scheme.end() if scheme else 0
        parts = PUT_IN.split(value[begun:])
        if len(parts) == 1:
            return value[:begun] + (parts[0] and self._secret(header, parts[0]))
        label = COOKIE_LABEL if header.lower() == "cookie" else LABEL
        is_open = [PUT_IN.fullmatch(part) or label.fullmatch(part) for part in parts]
        said = (part if fits else self._secret(header, part) for part, fits in zip(parts, is_open, strict=True))
        return value[:begun] + "".join(said)

    def store(self, given: Any, read_later: set[str]) -> dict[str, str]:
        """Return what the steps after this one are handed. What none of them reads stays: were it not there, Gatus would
        not mind, and here the step would fail."""
        extract: dict[str, str] = {}
        for path, place in text_pairs(given).items():
            source = _source(place.strip()) if path in read_later else ""
            if source is None:
                self._lose(_("“%(place)s” cannot be stored for later steps.") % {"place": place[:60]})
            if source and path not in self._variables:
                self._variables[path] = Variable(self._named(path))
            variable = self._variables[path] if source else Variable()
            self._store(path, variable)
            if source:
                extract[variable.name] = source
        return extract

    def _store(self, path: str, variable: Variable) -> None:
        *parts, last = path.split(".")
        place = self._values
        for part in parts:
            place = place.layer(part)
        place.store(last, variable)

    def _at(self, path: str) -> Any:
        return reduce(part_of, path.split("."), self._values)

    def _put_in(self, found: re.Match[str]) -> str:
        value = self._value(found[1])
        if value is None:
            if self._at(found[1]) != Variable():  # which was named where it could not be stored
                text = _("No endpoint before it stores “%(name)s”, and no constant has that name.")
                self._lose(text % {"name": found[0][:60]})
            self._take_room(len(found[0]))
            return found[0]
        return value

    def _value(self, path: str) -> str | None:
        """Return what a place stands for, a variable or a constant; None for nothing that can be said."""
        value = self._at(path)
        if isinstance(value, Variable):
            said = f"{{{{{value.name}}}}}" if value.name else None
        else:
            said = _written(value)
            refuse_variables(said or "")
        self._take_room(len(said or ""))  # of a secret as well, which is looked through each time
        is_secret = path in self._secret_paths and not isinstance(value, Variable)
        return self._secret(path, said) if said and is_secret else said

    def _secret(self, wanted: str, value: str) -> str:
        if value not in self._secrets:
            if len(self._secrets) == MAX_SECRETS:
                raise Unsayable(_("It has more than %(max)s secrets.") % {"max": MAX_SECRETS})
            self._secrets[value] = self._named(wanted.lower())
        return f"{{{{{self._secrets[value]}}}}}"

    def _named(self, wanted: str) -> str:
        """Return a new name for a variable."""
        plain = re.sub(r"[^A-Za-z0-9_]", "_", wanted)[:40]
        plain = plain if PLAIN_KEY.fullmatch(plain) else f"_{plain}"
        self._take_room(len(plain))
        name = self._numbering.free(plain, self._names)
        self._names.add(name)
        return name

    def _take_room(self, length: int) -> None:
        self._room -= length
        if self._room < 0:
            raise Unsayable(_("It is too long: %(max)s characters are the most.") % {"max": ROOM})


def refuse_variables(text: str) -> None:
    if found := VARIABLE.search(text):
        raise Unsayable(_("“%(text)s” would be a variable here.") % {"text": found[0][:60]})


def _written(value: Any) -> str | None:
    """Write a constant as Gatus puts it in; None for what is no plain value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e21 else str(value)
    is_plain = isinstance(value, str) or (isinstance(value, int) and abs(value) < 2**64)
    return str(value) if is_plain else None


def _source(place: str) -> str | None:
    """Return where a variable's value is in an answer; None for what no step can look at."""
    if header := STORED_HEADER.fullmatch(place):
        return f"header: {header[1]}"
    body = STORED_BODY.fullmatch(place)
    if body is None:
        return None
    if not body[1]:
        return f"regex: {TRIMMED}"
    return "json: $" + "".join(index or _member(key) for key, index in KEY.findall(body[1]))


def _member(key: str) -> str:
    if PLAIN_KEY.fullmatch(key):
        return f".{key}"
    quoted = key.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{quoted}']"
