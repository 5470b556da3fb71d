"""YAML and JSON documents read without letting them hurt: bounded in size, depth and expansion, no key twice.

YAML is read by its 1.2 core schema (``on`` and ``22:30`` are texts), from the parser's events: nothing is built before its
depth and the cost of its aliases are known, and no tag makes anything but plain values.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core.api.parsers import MAX_DEPTH, json_depth

MAX_BYTES = 2_621_440
MAX_COST = 400_000  # values after all aliases are written out; long texts count for several
CHARACTERS_PER_COST = 100
TAG = "tag:yaml.org,2002:"
PLAIN_TAGS = frozenset(TAG + name for name in ("int", "float", "bool", "null"))
CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
PREFIXED = re.compile(r"0o[0-7]{1,60}|0x[0-9a-fA-F]{1,60}")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")


class DocumentError(ValueError):
    """The document cannot be read; ``path`` says where, empty for the whole of it."""

    def __init__(self, message: str | Promise, path: str = "") -> None:
        super().__init__(message)
        self.path = path

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(slots=True)
class Cost:
    """What has been spent on one document, or on several that one request brings."""

    spent: int = 0


def at_key(path: str, key: str) -> str:
    """Return the path of an entry of a mapping."""
    return f"{path}.{key}" if path else key


def read_document(raw: bytes, *, max_bytes: int = MAX_BYTES, cost: Cost | None = None) -> Any:
    """Return the value of a YAML or JSON document; raise `DocumentError` naming the place and what mends it.

    Documents in YAML that are given the same ``cost`` may have `MAX_COST` together.
    """
    if len(raw) > max_bytes:
        raise DocumentError(_("The document is larger than %(limit)s kB; divide it.") % {"limit": max_bytes // 1_024})
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(_("The document is not UTF-8 text; save it as UTF-8.")) from error
    cost = cost or Cost()
    value = _from_json(text, cost) if text.lstrip()[:1] in ("{", "[") else _from_yaml(text, cost)
    _refuse_unstorable(value, "")
    return value


def write_yaml(value: Any) -> str:
    """Return a value as YAML that `read_document` reads back as the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000)


class _Dumper(yaml.SafeDumper):
    """Quotes whatever this module, not YAML 1.1, would read as something else than a text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(TAG + "str", text, style=_style(text))


def _style(text: str) -> str | None:
    lines = text.split("\n")
    if not all(line.isprintable() for line in lines):
        return '"'  # escaped: some of what cannot be printed, such as U+0085, would be read as the end of a line
    if len(lines) > 1:
        return "|"
    return "'" if not isinstance(_plain(text), str) else None


_Dumper.add_representer(str, _represent_text)


def _from_json(text: str, cost: Cost) -> Any:
    if text.count("[") + text.count("{") > MAX_DEPTH and json_depth(text) > MAX_DEPTH:
        raise _too_deep("")
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError:
        return _from_yaml(text, cost)  # YAML's own braces
    except DocumentError:
        raise
    except ValueError as error:
        raise DocumentError(_("This is not valid JSON: %(reason)s.") % {"reason": error}) from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise _twice(key, key)
        made[key] = value
    return made


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number


def _from_yaml(text: str, cost: Cost) -> Any:
    try:
        return _Builder(yaml.parse(text, Loader=yaml.CSafeLoader), cost).document()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise DocumentError(
            _("Line %(line)s is not valid YAML: %(reason)s.") % {"line": line, "reason": error.problem}
        ) from error
    except yaml.YAMLError as error:
        raise DocumentError(_("This is not valid YAML: %(reason)s.") % {"reason": error}) from error


class _Builder:
    """Makes plain values of a parser's events."""

    def __init__(self, events: Iterator[Any], cost: Cost) -> None:
        self._events = events
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._cost = cost

    def document(self) -> Any:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        value = self._value(next(self._events), "", 0)
        next(self._events)
        if not isinstance(next(self._events), yaml.StreamEndEvent):
            raise DocumentError(_("There are several documents; put each in a file of its own."))
        return value

    def _value(self, event: Any, path: str, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if depth > MAX_DEPTH:
            raise _too_deep(path)
        before = self._cost.spent
        if isinstance(event, yaml.ScalarEvent):
            self._spend(1 + len(event.value) // CHARACTERS_PER_COST, path)
            value: Any = _scalar(event, path)
        else:
            self._spend(1, path)
            if event.tag not in (None, "!", TAG + "map", TAG + "seq"):
                raise _bad_tag(event.tag, path)
            value = (self._mapping if isinstance(event, yaml.MappingStartEvent) else self._sequence)(path, depth + 1)
        if event.anchor:
            self._anchors[event.anchor] = value, self._cost.spent - before
        return value

    def _alias(self, event: yaml.AliasEvent, path: str) -> Any:
        if event.anchor not in self._anchors:
            raise DocumentError(
                _("“*%(name)s” refers to nothing before it; write its anchor first.") % {"name": event.anchor}, path
            )
        value, cost = self._anchors[event.anchor]
        self._spend(cost, path)
        return value

    def _spend(self, cost: int, path: str) -> None:
        self._cost.spent += cost
        if self._cost.spent > MAX_COST:
            raise DocumentError(_("The document becomes too large with its aliases written out; divide it."), path)

    def _sequence(self, path: str, depth: int) -> list[Any]:
        made: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            made.append(self._value(event, f"{path}[{len(made)}]", depth))
        return made

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: list[Any] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise DocumentError(_("A key must be a plain text."), path)
            key, is_merge = event.value, event.value == "<<" and event.implicit[0]
            if key in made:
                raise _twice(key, at_key(path, key))
            value = self._value(next(self._events), at_key(path, key), depth)
            if is_merge:
                merged.extend(value if isinstance(value, list) else [value])
            else:
                made[key] = value
        if not all(isinstance(part, dict) for part in merged):
            raise DocumentError(_("“<<” takes mappings only."), path)
        for part in merged:
            made = {**part, **made}
        return made


def _scalar(event: Any, path: str) -> Any:
    text: str = event.value
    if event.tag in PLAIN_TAGS:
        return _plain(text)
    if event.tag not in (None, "!", TAG + "str"):
        raise _bad_tag(event.tag, path)
    return _plain(text) if event.implicit[0] and event.tag is None else text


def _plain(text: str) -> Any:
    """Return what an unquoted scalar means by YAML 1.2's core schema."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if PREFIXED.fullmatch(text):
        return int(text, 0)
    if FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


def _refuse_unstorable(value: Any, path: str) -> None:
    """PostgreSQL cannot keep null characters or lone surrogates."""
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
            raise DocumentError(_("Texts may hold neither null characters nor lone surrogates."), path)
    elif isinstance(value, dict):
        for key, part in value.items():
            _refuse_unstorable(key, path)
            _refuse_unstorable(part, at_key(path, key))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            _refuse_unstorable(part, f"{path}[{place}]")


def _twice(key: str, path: str) -> DocumentError:
    return DocumentError(_("The key “%(key)s” stands here twice; keep one.") % {"key": key[:60]}, path)


def _too_deep(path: str) -> DocumentError:
    return DocumentError(_("The document is nested more than 64 levels deep."), path)


def _bad_tag(tag: str, path: str) -> DocumentError:
    return DocumentError(_("The tag “%(tag)s” is not allowed here; leave it out.") % {"tag": tag[:60]}, path)
