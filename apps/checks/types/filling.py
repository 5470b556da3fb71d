"""Values of earlier steps, and secrets, put into the texts of a step: what may come of it is bounded.

A value comes from a stranger's answer, and a text may name it thousands of times: a few kilobytes of each would make
hundreds of megabytes, and more work than anything interrupts.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext_lazy as _

from apps.checks.types.conditions import Fill
from apps.checks.types.http_fields import content_type_of

VARIABLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
BEGINNING = re.compile(rf"(?:{VARIABLE.pattern})*")
REQUEST_ROOM = 100_000  # characters of values in one request
CONDITION_ROOM = 33_000  # in one condition: two of the longest, a secret being longer than what a step extracts

Variables = Mapping[str, str]


class FilledTooLong(ValueError):
    """The values come to more than a text may take; ``str()`` is for people."""

    def __init__(self, room: int) -> None:
        super().__init__(room)
        self.room = room

    def __str__(self) -> str:
        return str(_("The values come to more than %(max)s characters.")) % {"max": self.room}


class Filling:
    """Fills the texts of one request, or one condition. All of it raises `FilledTooLong`."""

    def __init__(self, variables: Variables, room: int = REQUEST_ROOM) -> None:
        self._variables = variables
        self._room = self._left = room

    def text(self, text: str) -> str:
        """Return a text with its variables put in; one that is not known stays as it stands."""
        return self._filled(text, str)

    def url(self, url: str) -> str:
        """Put variables into an address: escaped, so that a value stays in its place, unless the address begins with it."""
        found = BEGINNING.match(url)
        begun = found.end() if found else 0
        return self.text(url[:begun]) + self._filled(url[begun:], lambda value: quote(value, safe=""))

    def body(self, body: Any) -> tuple[bytes | None, str]:
        """Return the body's bytes and type. In a JSON body values go into its texts, so that they cannot break it."""
        if body in ("", None):
            return None, ""
        if isinstance(body, str):
            text = self.text(body)
            return text.encode("utf-8", "replace"), content_type_of(text)
        return json.dumps(self._parts(body), ensure_ascii=False).encode("utf-8", "replace"), "application/json"

    def condition(self, condition: str) -> Fill:
        """Return what fills the parts of a condition, once there is room for all of it: a condition on the entries of a
        list is filled for each of them."""
        self.text(condition)
        return self._put_in

    def _parts(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self._parts(part) for name, part in value.items()}
        return [self._parts(part) for part in value] if isinstance(value, list) else value

    def _filled(self, text: str, change: Callable[[str], str]) -> str:
        return self._put_in(text, lambda value: self._taken(change(value)))

    def _put_in(self, text: str, change: Callable[[str], str]) -> str:
        return VARIABLE.sub(lambda found: change(self._variables.get(found[1], found[0])), text)

    def _taken(self, value: str) -> str:
        self._left -= len(value)
        if self._left < 0:
            raise FilledTooLong(self._room)
        return value
