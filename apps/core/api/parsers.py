"""Reading request bodies without letting them hurt."""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

MAX_DEPTH = 64


def json_depth(text: str) -> int:
    """Return the deepest nesting of brackets outside strings, without building anything."""
    depth = deepest = 0
    in_string = is_escaped = False
    for sign in text:
        if in_string:
            in_string = is_escaped or sign != '"'
            is_escaped = sign == "\\" and not is_escaped
        elif sign == '"':
            in_string = True
        elif sign in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif sign in "]}":
            depth -= 1
    return deepest


def parse_json(raw: bytes) -> Any:
    """Return the JSON value; raise ``ParseError`` for broken, too deep or unstorable text."""
    try:
        text = raw.decode("utf-8")
        if text.count("[") + text.count("{") > MAX_DEPTH and json_depth(text) > MAX_DEPTH:
            raise ParseError(_("The JSON is nested more than 64 levels deep."))
        value = json.loads(text, parse_constant=_refuse_constant)
    except (UnicodeDecodeError, ValueError) as error:
        raise ParseError(_("The body is not valid JSON: %(reason)s.") % {"reason": error}) from error
    if "\\u0000" in text or "\\ud" in text.lower():
        _refuse_unstorable(value)
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Unstorable(ParseError):
    """The body has what PostgreSQL cannot keep; the answer names the fields that have it."""

    def __init__(self, fields: list[str]) -> None:
        super().__init__(_("Texts may hold neither null characters nor lone surrogates."))
        self.members = {"errors": {name: [str(self.detail)] for name in fields}} if fields else {}


def _refuse_unstorable(value: Any) -> None:
    """PostgreSQL cannot keep null characters or lone surrogates."""
    fields = value if isinstance(value, dict) else {"": value}
    found = [name for name, part in fields.items() if _is_unstorable({name: part})]
    if found:
        raise Unstorable([name for name in found if name and not _is_unstorable(name)])


def _is_unstorable(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_is_unstorable, (*value.keys(), *value.values())))
    if isinstance(value, list):
        return any(map(_is_unstorable, value))
    return isinstance(value, str) and ("\x00" in value or any("\ud800" <= sign <= "\udfff" for sign in value))


class BoundedJSONParser(BaseParser):
    """JSON of at most ``DATA_UPLOAD_MAX_MEMORY_SIZE`` bytes and 64 levels."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        if len(raw) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise ParseError(_("The body is larger than 2.5 MiB."))
        return parse_json(raw)
