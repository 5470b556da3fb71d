"""The language of a browser journey: one step a line, words in quotes where they contain spaces."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core.http.urls import BadUrl, check_url

MAX_STEPS = 50
MAX_WORD = 2_000
MAX_WAIT_SECONDS = 10.0
SECRET = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
EXPECTATIONS = ("text", "element", "url", "title")


@dataclass(frozen=True, slots=True)
class Step:
    """One step. ``verb`` is goto, click, fill, press, wait, or "expect text" and its like; ``line`` is as it was written."""

    verb: str
    words: tuple[str, ...]
    line: str

    def filled(self, secrets: Mapping[str, str]) -> tuple[str, ...]:
        """Return the words with their secrets in place."""
        return tuple(SECRET.sub(lambda found: secrets.get(found[1], ""), word) for word in self.words)


# How many words each verb takes, and how it is written.
VERBS: Mapping[str, tuple[int, str]] = {
    "goto": (1, "goto https://example.com/"),
    "click": (1, 'click "button.primary"'),
    "fill": (2, 'fill "#name" "Ada Lovelace"'),
    "press": (2, 'press "#search" Enter'),
    "wait": (1, "wait 2"),
    **{f"expect {what}": (1, f'expect {what} "…"') for what in EXPECTATIONS},
}


def parse_steps(lines: Sequence[str]) -> tuple[Step, ...]:
    """Return the steps in ``lines``, or raise `ValidationError` naming the line; lines that begin with # are remarks."""
    steps = [
        _step(number, line)
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not steps or steps[0].verb != "goto":
        raise ValidationError(_("Begin with a step such as “goto https://example.com/”."), code="no_goto")
    if len(steps) > MAX_STEPS:
        raise ValidationError(_("At most %(max)s steps."), code="many", params={"max": MAX_STEPS})
    return tuple(steps)


def secrets_in(steps: Sequence[Step]) -> set[str]:
    """Return the names of all secrets that the steps use."""
    return {name for step in steps for word in step.words for name in SECRET.findall(word)}


def _step(number: int, line: str) -> Step:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise _wrong(number, _("a quotation mark has no partner")) from error
    verb = " ".join(words[:2]) if words[0] == "expect" else words[0]
    if verb not in VERBS:
        raise _wrong(number, _("the steps are %(verbs)s") % {"verbs": ", ".join(VERBS)})
    rest = tuple(words[len(verb.split()) :])
    count, example = VERBS[verb]
    if len(rest) != count or any(len(word) > MAX_WORD for word in rest):
        raise _wrong(number, _("write it like this: %(example)s") % {"example": example})
    if verb == "wait":
        _check_wait(number, rest[0])
    if verb == "goto" and not SECRET.search(rest[0]):
        _check_goto(number, rest[0])
    return Step(verb, rest, line.strip())


def _check_wait(number: int, seconds: str) -> None:
    if not re.fullmatch(r"\d{1,2}(?:\.\d{1,3})?", seconds) or float(seconds) > MAX_WAIT_SECONDS:
        raise _wrong(number, _("wait takes seconds, ten at most"))


def _check_goto(number: int, url: str) -> None:
    try:
        check_url(url)
    except BadUrl as error:
        raise _wrong(number, error.message) from error


def _wrong(number: int, reason: str | Promise) -> ValidationError:
    return ValidationError(
        _("Line %(number)s: %(reason)s"), code="bad_step", params={"number": number, "reason": reason}
    )
