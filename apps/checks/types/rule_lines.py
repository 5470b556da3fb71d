"""Assertions as people write them, a line each: ``Content-Type: ~ json`` for a header, ``$.items count >= 3`` for JSON."""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from time import thread_time
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.types.json_queries import check_path, names_one_place, refuse_constant
from apps.checks.types.patterns import PatternTooSlow, bounded_search, check_pattern
from apps.checks.types.plain_values import NUMBER, plain_number, plain_text
from apps.core.http.headers import TOKEN

MAX_RULES = 30
JUDGING_SECONDS = 0.2  # of processor time
WITHOUT_VALUE = ("exists", "absent")
TEXT_OPERATORS = ("==", "!=", "~", "!~", "contains", *WITHOUT_VALUE)
ORDERS = ("<=", ">=", "<", ">")
JSON_OPERATORS = ("==", "!=", *ORDERS, "~", "!~", "contains", "count", "text", "number", *WITHOUT_VALUE)
# What follows an operator that is no comparison itself, and how a line with it looks.
COMPARED = {
    "count": (re.compile(r"(==|!=|<=|>=|<|>)\s*(\d{1,7})", re.ASCII), "count >= 3"),
    "text": (re.compile(r"(==|!=|contains)\s+(\S.*)", re.DOTALL), "text == 2.0"),
    "number": (re.compile(rf"(==|!=|<=|>=|<|>)\s*({NUMBER.pattern})", re.ASCII), "number >= 0.5"),
}


@dataclass(frozen=True, slots=True)
class RuleLine:
    """What is looked at (a header's name or a path), how, and against what."""

    subject: str
    operator: str
    value: str
    text: str


@lru_cache(maxsize=4_096)
def parse_header_rule(line: str) -> RuleLine:
    """Return the rule of ``Name: operator value``, or raise `ValidationError`."""
    name, colon, rest = line.partition(":")
    if not colon or not TOKEN.fullmatch(name.strip()):
        raise ValidationError(
            _("“%(line)s”: write a header's name, a colon, and what it must be, such as “Content-Type: ~ json”."),
            code="malformed",
            params={"line": line[:80]},
        )
    return _rule(name.strip().lower(), rest, TEXT_OPERATORS, line)


@lru_cache(maxsize=4_096)
def parse_json_rule(line: str) -> RuleLine:
    """Return the rule of ``$.path operator value``, or raise `ValidationError`."""
    path, rest = _divided(line)
    check_path(path)
    rule = _rule(path, rest, JSON_OPERATORS, line)
    if rule.operator in COMPARED and _comparison(rule) is None:
        raise ValidationError(
            _("“%(line)s”: after “%(operator)s” comes a comparison, such as “%(example)s”."),
            code=rule.operator,
            params={"line": line[:80], "operator": rule.operator, "example": COMPARED[rule.operator][1]},
        )
    return rule


def _comparison(rule: RuleLine) -> tuple[str, str] | None:
    """Return what follows one of these operators: a comparison, and with what; None where it is none."""
    found = COMPARED[rule.operator][0].fullmatch(rule.value)
    if found is None or (rule.operator == "number" and plain_number(found[2]) is None):
        return None
    return found[1], found[2]


def _divided(line: str) -> tuple[str, str]:
    """Divide a line at the first space outside of brackets and quotes: filters have operators of their own."""
    depth, quote = 0, ""
    for place, sign in enumerate(line):
        if quote:
            quote = "" if sign == quote and line[place - 1] != "\\" else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "[(":
            depth += 1
        elif sign in "])":
            depth -= 1
        elif sign == " " and depth <= 0:
            return line[:place], line[place:]
    return line, ""


def _rule(subject: str, rest: str, operators: tuple[str, ...], line: str) -> RuleLine:
    operator, _space, value = rest.strip().partition(" ")
    value = value.strip()
    if operator not in operators:
        raise ValidationError(
            _("“%(line)s”: after what is looked at comes one of %(operators)s, with a space on either side."),
            code="operator",
            params={"line": line[:80], "operators": " ".join(operators)},
        )
    if operator not in ("==", "!=") and (operator in WITHOUT_VALUE) == bool(value):
        message = (
            _("“%(line)s”: nothing may follow “%(operator)s”.")
            if operator in WITHOUT_VALUE
            else _("“%(line)s”: a value must follow “%(operator)s”.")
        )
        raise ValidationError(message, code="value", params={"line": line[:80], "operator": operator})
    if operator in ("~", "!~"):
        check_pattern(value)
    return RuleLine(subject, operator, value, line)


def keeps_text(rule: RuleLine, text: str | None) -> bool:
    """Tell whether a header's value (None where it did not come) keeps a rule; raises `PatternTooSlow`."""
    if rule.operator in WITHOUT_VALUE:
        return (text is not None) == (rule.operator == "exists")
    if text is None:
        return rule.operator in ("!=", "!~")
    return _compares_text(rule, text)


def _compares_text(rule: RuleLine, text: str) -> bool:
    if rule.operator in ("~", "!~"):
        return (bounded_search(rule.value, text) is not None) == (rule.operator == "~")
    if rule.operator == "contains":
        return rule.value in text
    return (text == rule.value) == (rule.operator == "==")


def keeps_values(rule: RuleLine, values: list[Any]) -> bool:
    """Tell whether all values that a path found keep a rule: none found keeps nothing but ``absent`` and ``count``.

    Raises `PatternTooSlow` once its time is used up.
    """
    if rule.operator in WITHOUT_VALUE:
        return bool(values) == (rule.operator == "exists")
    if rule.operator == "count":
        comparison = _comparison(rule)
        return comparison is not None and _ordered(count_of(rule, values), comparison[0], int(comparison[1]))
    until = thread_time() + JUDGING_SECONDS
    for value in values:
        if not _keeps_value(rule, value):
            return False
        if thread_time() > until:
            raise PatternTooSlow
    return bool(values)


def count_of(rule: RuleLine, values: list[Any]) -> int:
    """Return how many values a path found; of one that names a single place, how many entries its list has."""
    if values and names_one_place(rule.subject) and isinstance(values[0], list | dict):
        return len(values[0])
    return len(values)


def _keeps_value(rule: RuleLine, value: Any) -> bool:
    if rule.operator in ("text", "number"):
        return _keeps_plain(rule, plain_text(value))
    if rule.operator in ("~", "!~"):
        return _compares_text(rule, as_text(value))
    if rule.operator == "contains":
        if isinstance(value, str):
            return rule.value in value
        wanted = _literal(rule.value)
        return isinstance(value, list | dict) and any(_is_same(part, wanted) for part in value)
    return _ordered(value, rule.operator, _literal(rule.value))


def _keeps_plain(rule: RuleLine, text: str | None) -> bool:
    """Compare a value as the text or the number that it is; what is neither keeps nothing, != included."""
    comparison = _comparison(rule)
    if text is None or comparison is None:
        return False
    operator, wanted = comparison
    if rule.operator == "number":
        number = plain_number(text)
        return number is not None and _ordered(number, operator, plain_number(wanted))
    wanted = _unquoted(wanted)
    return wanted in text if operator == "contains" else (text == wanted) == (operator == "==")


def _unquoted(text: str) -> str:
    """Return the text that a JSON text in quotes stands for, so that one may be empty or end with spaces."""
    literal = _literal(text)
    return literal if isinstance(literal, str) else text


def _ordered(left: Any, operator: str, right: Any) -> bool:
    if operator in ("==", "!="):
        return _is_same(left, right) == (operator == "==")
    numbers = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (left, right))
    if not numbers and not (isinstance(left, str) and isinstance(right, str)):
        return False
    return bool(
        {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]  # an order of JSON's
    )


def _is_same(left: Any, right: Any) -> bool:
    """To Python true is 1; to whoever wrote the rule it is not."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


@lru_cache(maxsize=4_096)
def _literal(text: str) -> Any:
    """Read a value as JSON, or take it as the text it is."""
    try:
        value = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return text
    return value


def as_text(value: Any) -> str:
    """Return a JSON value as it is shown."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
