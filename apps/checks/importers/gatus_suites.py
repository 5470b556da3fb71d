"""Gatus' suites: endpoints that are asked one after the other become the steps of one check.

What a suite does with them was read in its source: config/suite/suite.go, and preprocessWithContext and ResolvePlaceholder
in config/endpoint/ of TwiN/gatus.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.importers.base import MAX_ENTRIES
from apps.checks.importers.gatus_endpoints import Endpoint, Made, client_of, conditions_of, made_of
from apps.checks.importers.wish import is_true, seconds, text_pairs
from apps.checks.types.filling import VARIABLE
from apps.checks.types.hiding import OPEN_HEADERS, SCHEMES
from apps.checks.types.http_fields import check_conditions_field
from apps.checks.types.multistep import MultistepConfig
from apps.checks.types.rule_lines import MAX_RULES
from apps.checks.types.steps import MAX_NAME, MAX_STEPS
from apps.core.kinds import ConfigErrors, Text, parse_config

USUAL_INTERVAL = 600  # seconds, as the two below
USUAL_TIMEOUT = 300
USUAL_CLIENT_TIMEOUT = 10
ROOM = 64_000  # characters of constants and names in one suite: as many as all of its steps may have
CONTEXT = "[CONTEXT]"
VALUE = re.compile(r"\[CONTEXT\]\.([\w.-]+)", re.ASCII)  # in capitals, as Gatus looks for it
OPERATOR = re.compile(r" (==|!=|<=|>=|<|>) ")
NO_OPERAND = re.compile(
    r"[\[\](]|^\s*$|\s(?:==|!=|<=|>=|<|>)\s"
)  # a constant that a condition would read as more than a text
UNREACHED = re.compile(r"\[CONNECTED\]\s*(?:==\s*false|!=\s*true)|\[STATUS\]\s*==\s*0", re.IGNORECASE)
STORED_BODY = re.compile(r"\[BODY\]((?:\.[^.\[\]]+|\[\d{1,9}\])*)", re.IGNORECASE)
STORED_HEADER = re.compile(r"\[HEADER\]\.(\S+)", re.IGNORECASE)
KEY = re.compile(r"\.([^.\[\]]+)|(\[\d+\])")
PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TRIMMED = r"\S(?:[\s\S]*\S)?"
SCHEME = re.compile(rf"(?:{'|'.join(sorted(SCHEMES))})\s+", re.IGNORECASE)
PUT_IN = re.compile(r"(\{\{\w+\}\})")
LABEL = re.compile(r"[;,\s]*(?:[\w.-]{1,40}=\s*)?")  # beside a variable, such as "session="
# One setting for all steps, and what an endpoint's client calls it.
SHARED: Mapping[str, tuple[str, ...]] = {
    "client.insecure": ("verify_tls",),
    "client.ignore-redirect": ("follow_redirects",),
    "client.proxy-url": ("proxy", "proxy_username", "proxy_password"),
}
OF_A_STEP = frozenset({"url", "method", "headers", "body", "expected_status"})
SAID = OF_A_STEP.union(*SHARED.values())

Placed = Sequence[tuple[str, Endpoint]]  # each with where it stands in the file


class Unsayable(Exception):
    """No check is like this suite; ``args`` are the reason for people."""


@dataclass(slots=True)
class Walk:
    """What a suite becomes. ``losses`` are where, of which endpoint, and what; ``is_maimed`` as a wish has it."""

    settings: dict[str, Any] = field(default_factory=dict)
    timeout_seconds: float = USUAL_TIMEOUT
    is_maimed: bool = False
    losses: list[tuple[str, str, Text]] = field(default_factory=list)


def walk_of(suite: Mapping[str, Any], endpoints: Placed) -> Walk:
    """Return what a suite becomes; raise `Unsayable` where no check can be like it."""
    if not endpoints:
        raise Unsayable(_("It has no endpoints."))
    if len(endpoints) > MAX_STEPS:
        raise Unsayable(_("It has more than %(max)s endpoints.") % {"max": MAX_STEPS})
    walking = _Walking(suite)
    for (where, endpoint), read_later in zip(endpoints, _read_after(endpoints), strict=True):
        walking.take(where, endpoint, read_later)
    walk = walking.end()
    limits = [seconds(client_of(endpoint).get("timeout")) or USUAL_CLIENT_TIMEOUT for _where, endpoint in endpoints]
    walk.timeout_seconds = min(seconds(suite.get("timeout")) or USUAL_TIMEOUT, sum(limits))
    return walk


def _read_after(endpoints: Placed) -> list[set[str]]:
    """Return for each endpoint which values those after it read."""
    read: set[str] = set()
    after = []
    for _where, endpoint in reversed(endpoints):
        after.append(set(read))
        read |= {path for text in _texts(endpoint) for path in VALUE.findall(text)}
    return after[::-1]


def _texts(endpoint: Endpoint) -> Iterator[str]:
    for name in ("name", "url", "body"):
        yield str(endpoint.get(name) or "")
    yield from text_pairs(endpoint.get("headers")).values()
    yield from conditions_of(endpoint)


class _Walking:
    """Takes a suite's endpoints in their order, with what each of them knows of those before it."""

    def __init__(self, suite: Mapping[str, Any]) -> None:
        self._constants = suite.get("context")
        self._group = str(suite.get("group") or "")
        self._room = ROOM
        self._names: set[str] = set()
        self._variables: dict[str, str] = {}  # by what Gatus calls them, of the steps so far
        self._secrets: dict[str, str] = {}  # names by values
        self._steps: list[dict[str, Any]] = []
        self._made: list[Made] = []
        self._place = ("", "")
        self._walk = Walk()

    def take(self, where: str, endpoint: Endpoint, read_later: set[str]) -> None:
        name = str(endpoint.get("name") or where)
        self._place = where, name
        try:
            step = self._step(endpoint) | {"extract": self._extract(endpoint.get("store"), read_later)}
        except Unsayable as error:
            raise Unsayable(f"{name[:MAX_NAME]}: {error}") from error
        self._steps.append({"name": name[:MAX_NAME], **{part: value for part, value in step.items() if value}})
        if is_true(endpoint.get("always-run")):
            self._lose(_("It always runs there; here no step follows one that failed."))
        if "enabled" in endpoint and not is_true(endpoint["enabled"]):
            self._lose(_("“%(option)s” stays behind.") % {"option": "enabled"}, is_decisive=True)
        if client_of(endpoint).get("timeout") is not None:
            self._lose(_("Its own time limit stays behind: here one is for all steps together."))

    def end(self) -> Walk:
        secrets = {name: value for value, name in self._secrets.items()}
        settings: dict[str, Any] = {"steps": self._steps, "secrets": secrets}
        try:
            parse_config(MultistepConfig, settings)
        except ConfigErrors as error:
            raise Unsayable("; ".join(f"{name}: {texts[0]}" for name, texts in error.errors.items())) from error
        self._walk.settings = settings | self._shared()
        return self._walk

    def _lose(self, reason: Text, *, is_decisive: bool = False) -> None:
        if len(self._walk.losses) < MAX_ENTRIES:  # a report has no more lines
            self._walk.losses.append((*self._place, reason))
        self._walk.is_maimed |= is_decisive

    def _shared(self) -> dict[str, Any]:
        """Return what is one for all steps, as far as the endpoints agree on it."""
        shared: dict[str, Any] = {}
        for option, names in SHARED.items():
            wanted = [[made.settings.get(name) for name in names] for made in self._made]
            if all(one == wanted[0] for one in wanted):
                shared |= dict(zip(names, wanted[0], strict=True))
            else:
                text = _("Its endpoints differ in “%(option)s”, which is one for all steps here.")
                self._lose(text % {"option": option}, is_decisive=True)
        return shared

    # --- A step ---

    def _step(self, endpoint: Endpoint) -> dict[str, Any]:
        for text in _texts(endpoint):
            _refuse_variables(text)
        headers = {name: self._filled(value) for name, value in text_pairs(endpoint.get("headers")).items()}
        texts = {name: self._filled(str(endpoint.get(name) or "")) for name in ("url", "body")}
        made = made_of({**endpoint, **texts, "headers": headers, "group": self._group})
        if made is None or made.kind != "http":
            url = str(endpoint.get("url"))[:80]
            raise Unsayable(_("“%(url)s” is not asked over HTTP, as all steps of a check are.") % {"url": url})
        self._made.append(made)
        self._name_others(made)
        settings = made.settings
        return {
            **{name: settings.get(name) for name in ("url", "method", "expected_status")},
            "headers": {name: self._sealed(name, value) for name, value in settings["headers"].items()},
            # As an object, so that values are put into the texts of its JSON and cannot break it.
            "body": json.loads(settings["body"]) if is_true(endpoint.get("graphql")) else settings["body"],
            "conditions": list(self._conditions(conditions_of(endpoint))),
        }

    def _name_others(self, made: Made) -> None:
        """Name what an HTTP check may have of an endpoint and a step has not."""
        others = {
            "client.oauth2" if name.startswith(("auth", "oauth")) else name: name in made.idle
            for name, value in made.settings.items()
            if name not in SAID and value not in (None, "", {}, [], False)
        }
        for name, is_idle in others.items():
            self._lose(_("Nothing here does “%(setting)s”.") % {"setting": name[:60]}, is_decisive=not is_idle)

    def _conditions(self, conditions: list[str]) -> Iterator[str]:
        kept = 0
        for condition in conditions:
            if UNREACHED.fullmatch(condition):
                raise Unsayable(_("It is upside down: up means failed. No check here turns its verdict round."))
            said = self._condition(condition)
            if said and kept < MAX_RULES and _is_condition(said):
                kept += 1
                yield said
            else:
                text = _("The condition “%(text)s” stays behind.") % {"text": condition[:120]}
                self._lose(text, is_decisive=CONTEXT in condition.upper())
        self._walk.is_maimed |= bool(conditions) and not kept

    def _condition(self, condition: str) -> str | None:
        """Return a condition with its values put in, each of which is one side of it; None where a step cannot say it."""
        if CONTEXT not in condition.upper():
            return condition
        sides = OPERATOR.split(condition)
        if len(sides) != 3:
            return None
        for place in (0, 2):
            if found := VALUE.fullmatch(sides[place].strip()):
                value = self._value(found[1])
                if value is None or NO_OPERAND.search(value):
                    return None
                sides[place] = value
        said = f"{sides[0]} {sides[1]} {sides[2]}"
        return None if CONTEXT in said.upper() else said

    def _sealed(self, name: str, value: str) -> str:
        """Return a header's value with a secret in place of what may be one."""
        if name.lower() in OPEN_HEADERS:
            return value
        scheme = SCHEME.match(value)
        begun = scheme.end() if scheme else 0
        parts = PUT_IN.split(value[begun:])
        if len(parts) == 1:
            return value[:begun] + (parts[0] and self._secret(name, parts[0]))
        is_open = [PUT_IN.fullmatch(part) or LABEL.fullmatch(part) for part in parts]
        said = (part if fits else self._secret(name, part) for part, fits in zip(parts, is_open, strict=True))
        return value[:begun] + "".join(said)

    def _secret(self, header: str, value: str) -> str:
        if value not in self._secrets:
            self._secrets[value] = self._named(header.lower())
        return f"{{{{{self._secrets[value]}}}}}"

    # --- Values ---

    def _filled(self, text: str) -> str:
        return VALUE.sub(self._put_in, text)

    def _put_in(self, found: re.Match[str]) -> str:
        value = self._value(found[1])
        if value is None:
            text = _("No endpoint before it stores “%(name)s”, and no constant has that name.")
            self._lose(text % {"name": found[0][:60]}, is_decisive=True)
            self._take_room(len(found[0]))
            return found[0]
        return value

    def _value(self, path: str) -> str | None:
        """Return what a place of the context stands for: an earlier step's variable, or a constant as Gatus writes it."""
        if path in self._variables:
            return f"{{{{{self._variables[path]}}}}}"
        value = self._constants
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        said = _written(value)
        if said is not None:
            _refuse_variables(said)
            self._take_room(len(said))
        return said

    def _extract(self, store: Any, read_later: set[str]) -> dict[str, str]:
        """Return what the steps after this one are handed. What none of them reads stays: were it not there, Gatus would
        not mind, and here the step would fail."""
        extract: dict[str, str] = {}
        for path, place in text_pairs(store).items():
            if path not in read_later:
                continue
            source = _source(place.strip())
            if source is None:
                text = _("“%(place)s” cannot be stored for later steps.") % {"place": place[:60]}
                self._lose(text, is_decisive=True)
                continue
            if path not in self._variables:
                self._variables[path] = self._named(path)
            extract[self._variables[path]] = source
        return extract

    def _named(self, wanted: str) -> str:
        """Return a new name for a variable."""
        plain = re.sub(r"[^A-Za-z0-9_]", "_", wanted)[:40]
        plain = plain if PLAIN_KEY.fullmatch(plain) else f"_{plain}"
        self._take_room(len(plain))
        name, number = plain, 1
        while name in self._names:
            number += 1
            name = f"{plain}_{number}"
        self._names.add(name)
        return name

    def _take_room(self, length: int) -> None:
        self._room -= length
        if self._room < 0:
            raise Unsayable(_("It is too long: %(max)s characters are the most.") % {"max": ROOM})


def _is_condition(condition: str) -> bool:
    try:
        check_conditions_field([condition])
    except ValidationError:
        return False
    return True


def _refuse_variables(text: str) -> None:
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
