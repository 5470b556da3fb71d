"""Steps of a multi-step check: read from JSON, and what they hand on."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.types.answers import Answer
from apps.checks.types.effort import TooMuchWork
from apps.checks.types.filling import VARIABLE
from apps.checks.types.hiding import UNSTORABLE
from apps.checks.types.http_fields import (
    check_conditions_field,
    check_headers_field,
    check_method,
    check_url_field,
)
from apps.checks.types.http_visit import METHODS_WITHOUT_BODY
from apps.checks.types.json_queries import BadJson, QueryTooSlow, check_path, find_values
from apps.checks.types.patterns import PatternTooSlow, bounded_search, check_pattern
from apps.checks.types.rule_lines import as_text
from apps.checks.types.status_set import check_status_set
from apps.core.http.headers import TOKEN

MAX_STEPS = 20
MAX_NAME = 40
MAX_VALUE = 8_000
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,49}")
FIELDS = ("name", "method", "url", "headers", "body", "expected_status", "conditions", "extract")
TEXTS = ("name", "method", "url", "expected_status")


class NothingExtracted(Exception):
    """A variable's value is not in the answer; ``args`` are its name and where it was looked for."""


@dataclass(frozen=True, slots=True)
class Step:
    """One request, what its answer must be, and which variables are taken from it (name and ``source: place``)."""

    name: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: Any
    expected_status: str
    conditions: tuple[str, ...]
    extract: Mapping[str, str]

    def used_variables(self) -> set[str]:
        """Return the variables that must be known before this step."""
        texts = [self.url, *self.headers.values(), *self.conditions, json.dumps(self.body)]
        return {name for text in texts for name in VARIABLE.findall(text)}


def check_steps(given: list[dict[str, Any]]) -> None:
    """Raise `ValidationError` naming the step and what is wrong with it."""
    if not given:
        raise ValidationError(_('Give at least one step, such as [{"url": "https://example.com/"}].'), code="none")
    if len(given) > MAX_STEPS:
        raise ValidationError(
            _("These are too many: %(max)s steps are the most."), code="many", params={"max": MAX_STEPS}
        )
    for number, step in enumerate(given, 1):
        try:
            _check_step(step)
        except ValidationError as error:
            raise ValidationError(
                _("Step %(number)s: %(reason)s"),
                code=error.code,
                params={"number": number, "reason": error.messages[0]},
            ) from error


def parse_steps(given: list[dict[str, Any]]) -> tuple[Step, ...]:
    """Return the steps (checked before)."""
    return tuple(
        Step(
            name=step.get("name") or str(number),
            method=step.get("method", "GET"),
            url=step["url"],
            headers=step.get("headers", {}),
            body=step.get("body", ""),
            expected_status=step.get("expected_status", "200-299"),
            conditions=tuple(VARIABLE.sub(r"{{\1}}", line) for line in step.get("conditions", ())),  # one word each
            extract=step.get("extract", {}),
        )
        for number, step in enumerate(given, 1)
    )


def _check_step(step: dict[str, Any]) -> None:
    for name in step:
        if name not in FIELDS:
            raise _wrong(
                _("“%(name)s” is no part of a step; these are: %(known)s."), name=name[:40], known=", ".join(FIELDS)
            )
    for name in TEXTS:
        if not isinstance(step.get(name, ""), str):
            raise _wrong(_("“%(name)s” must be a text in quotes."), name=name)
    if len(step.get("name", "")) > MAX_NAME:
        raise _wrong(_("The name is too long: %(max)s characters are the most."), max=MAX_NAME)
    _check_url(step.get("url", ""))
    method = step.get("method", "GET")
    check_method(method)
    if step.get("body") and method in METHODS_WITHOUT_BODY:
        raise _wrong(_("GET and HEAD send no body; choose another method or empty the body."))
    check_status_set(step.get("expected_status", "200-299"))
    headers = _pairs(step, "headers")
    check_headers_field({name: VARIABLE.sub("1", value) for name, value in headers.items()})
    conditions = step.get("conditions", [])
    if not isinstance(conditions, list) or not all(isinstance(line, str) for line in conditions):
        raise _wrong(_("“%(name)s” must be a list of texts."), name="conditions")
    check_conditions_field(conditions)
    for name, source in _pairs(step, "extract").items():
        _check_extract(name, source)


def _check_url(url: str) -> None:
    if not url:
        raise _wrong(_("Give its URL."))
    if not url.startswith("{{"):
        check_url_field(VARIABLE.sub("1", url))
    elif not VARIABLE.match(url):
        raise _wrong(_("Write a variable as {{name}}."))


def _pairs(step: dict[str, Any], name: str) -> dict[str, str]:
    value = step.get(name, {})
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise _wrong(_('“%(name)s” must be an object of texts, such as {"Name": "value"}.'), name=name)
    return value


def _check_extract(name: str, source: str) -> None:
    if not NAME.fullmatch(name):
        raise _wrong(_("“%(name)s” is no name for a variable: use letters, digits and underscores."), name=name[:40])
    kind, colon, place = source.partition(":")
    place = place.strip()
    if not colon or kind not in SOURCES or not place:
        raise _wrong(
            _("“%(name)s” must say where its value is: “json: $.path”, “regex: pattern” or “header: Name”."), name=name
        )
    SOURCES[kind].check(place)


def _check_header(name: str) -> None:
    if not TOKEN.fullmatch(name):
        raise _wrong(_("“%(name)s” is not a header name: use letters, digits and hyphens."), name=name[:40])


def _wrong(message: Any, **params: str | int) -> ValidationError:
    return ValidationError(message, code="step", params=params)


def extracted(step: Step, answer: Answer) -> Iterator[tuple[str, str]]:
    """Yield the variables that a step takes from its answer; raise `NothingExtracted` for one that is not there."""
    for name, source in step.extract.items():
        kind, _colon, place = source.partition(":")
        try:
            value = SOURCES[kind].read(place.strip(), answer)
        except (BadJson, QueryTooSlow, PatternTooSlow, TooMuchWork, RecursionError) as error:
            raise NothingExtracted(name, source) from error
        if value is None or len(value) > MAX_VALUE or UNSTORABLE.search(value):  # nothing that could be sent
            raise NothingExtracted(name, source)
        yield name, value


class Source(NamedTuple):
    """Where a variable's value comes from: ``check`` raises `ValidationError`, ``read`` returns None for no value."""

    check: Callable[[str], None]
    read: Callable[[str, Answer], str | None]


def _json_value(path: str, answer: Answer) -> str | None:
    values = find_values(path, answer.document)
    return as_text(values[0]) if values else None


def _matched_value(pattern: str, answer: Answer) -> str | None:
    found = bounded_search(pattern, answer.text)
    if found is None:
        return None
    value = found[1] if found.re.groups else found[0]
    return str(value) if value is not None else None


def _header_value(name: str, answer: Answer) -> str | None:
    return answer.headers.get(name.lower())


SOURCES: Mapping[str, Source] = {
    "json": Source(check_path, _json_value),
    "regex": Source(check_pattern, _matched_value),
    "header": Source(_check_header, _header_value),
}
