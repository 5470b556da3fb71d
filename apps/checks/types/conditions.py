"""Conditions in Gatus' language, such as ``[BODY].status == UP``: read, judged, and shown with the values that were seen.

The language is Gatus' own (https://gatus.io/docs, "Conditions"), its quirks included, so that conditions can move here as
they are: operators stand between single spaces; ``==`` and ``!=`` compare whole numbers as numbers and all else as text;
``<`` and its kin take durations as milliseconds, cut fractions off and count what is no number as 0; a place of the body
that is not there is the text of the place itself, marked ``(INVALID)``, which equals nothing. One quirk is not kept: to
Gatus, what tells no time is 0 milliseconds old, and as fresh as can be; here ``age()`` of it fails its condition.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.types.effort import Effort, TooMuchWork, go_on
from apps.checks.types.gatus_times import age_ms, is_layout
from apps.checks.types.gatus_values import duration_text, milliseconds, number_in_order, whole_number
from apps.checks.types.patterns import PatternTooSlow, as_glob, matches_glob

MAX_LENGTH = 500
MAX_SHOWN = 160
MAX_PATTERN_VALUE = 25  # a body beside a pattern is cut to this, as the pattern says what matters
INVALID = "(INVALID)"
AGE = "age("
BODY = "[BODY]"
PLACEHOLDER = re.compile(r"\[([A-Z_]+)\]", re.IGNORECASE)
# From the last [BODY] before it, so that of very many none is looked at twice.
WILDCARD = re.compile(r"(\[BODY\](?:(?!\[BODY\])\S)*?)\[\*\]", re.IGNORECASE)
ENTRIES_SECONDS = 0.2  # of processor time, for one condition on the entries of lists
KEY = re.compile(r"[^.\[\]]+|\[\d+\]")
FUNCTIONS = ("len(", "has(", AGE)
AGE_CALL = re.compile(r"age\((?i:\[BODY\][^,]*|\[HEADER\]\.[^,]+)(?:,(?P<layout>.*))?\)")
AGE_SOMEWHERE = re.compile(r"^age\(|\bage\(\s*\[")
HEADER = "[HEADER]."
EXPIRATIONS = ("[CERTIFICATE_EXPIRATION]", "[DOMAIN_EXPIRATION]")

ORDERS: Mapping[str, Callable[[int, int], bool]] = {
    "<=": lambda left, right: left <= right,
    ">=": lambda left, right: left >= right,
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
}
OPERATORS = ("==", "!=", *ORDERS)  # the first of these that occurs divides the condition


Change = Callable[[str], str]
Fill = Callable[[str, Change], str]  # puts variables into a part of a condition, each of them changed first


@dataclass(frozen=True, slots=True)
class Judged:
    """One condition or assertion and whether it holds; ``text`` shows what was seen where it does not."""

    text: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What a probe saw. ``values`` are the placeholders' texts by upper-case name without brackets.

    ``document`` reads the body as JSON; it raises `LookupError` where the body is none. Headers' names are lower case; of
    a repeated one this is the first, as in Gatus.
    """

    values: Mapping[str, str]
    body: str = ""
    document: Callable[[], Any] = dict
    headers: Mapping[str, str] = field(default_factory=dict)


class _Side(NamedTuple):
    """One side of a comparison. What is ``written`` alone decides what is a call and what a place; ``text`` has the
    variables put in, which may hold anything, and ``value`` is what it stands for."""

    written: str
    text: str
    value: str


def check_conditions(conditions: Iterable[str], known: frozenset[str]) -> None:
    """Raise `ValidationError` naming the first condition that cannot be read, or asks for what is not ``known``."""
    for condition in conditions:
        _check(condition, known)


def _check(condition: str, known: frozenset[str]) -> None:
    shown = {"condition": condition[:80]}
    if len(condition) > MAX_LENGTH:
        raise ValidationError(
            _("“%(condition)s…” is too long: %(max)s characters are the most."),
            code="too_long",
            params={**shown, "max": MAX_LENGTH},
        )
    divided = _divided(condition)
    if divided is None:
        raise ValidationError(
            _("“%(condition)s” has no comparison: write == != < <= > or >= with a space on either side."),
            code="no_operator",
            params=shown,
        )
    operator = divided[1]
    for name in {name.upper() for name in PLACEHOLDER.findall(_outside_functions(condition))} - known:
        if name == "DOMAIN_EXPIRATION":
            raise ValidationError(_("Use a check of the kind “domain” to watch when a domain ends."), code="domain")
        raise ValidationError(
            _("“[%(name)s]” cannot be asked here; these can: %(known)s."),
            code="unknown_placeholder",
            params={"name": name, "known": ", ".join(f"[{name}]" for name in sorted(known))},
        )
    if operator in ORDERS and ("pat(" in condition or "any(" in condition):
        raise ValidationError(
            _("“%(condition)s”: pat() and any() can be compared with == and != only."), code="function", params=shown
        )
    for side in (divided[0], divided[2]):
        _check_age(side, shown)


def _check_age(side: str, shown: dict[str, str]) -> None:
    if not AGE_SOMEWHERE.search(_outside_functions(side)):
        return
    call = AGE_CALL.fullmatch(side)
    if call is None:
        raise ValidationError(
            _(
                "“%(condition)s”: age() stands alone on its side and takes a place of the body or a header: write "
                "age([BODY].time) or age([HEADER].Last-Modified)."
            ),
            code="function",
            params=shown,
        )
    layout = call["layout"]
    if layout is not None and not is_layout(layout.strip()):
        raise ValidationError(
            _(
                "“%(layout)s” does not say where year, month and day stand: write the moment 2006-01-02 15:04:05 as the "
                "server would."
            ),
            code="layout",
            params={"layout": layout.strip()[:80]},
        )


def as_written(part: str, _change: Change) -> str:
    """Fill a condition that has no variables."""
    return part


def judge_condition(condition: str, seen: Seen, fill: Fill = as_written) -> Judged:
    """Judge one condition (checked before). Its variables are put in by ``fill`` once it is divided: what an earlier
    answer said is a text, not an operator, a function or a place."""
    try:
        with Effort(ENTRIES_SECONDS):
            return _judged(condition, seen, fill)
    except (TooMuchWork, PatternTooSlow):
        return Judged(_cut(f"{fill(condition, str)} (took too long)"), False)


def _judged(condition: str, seen: Seen, fill: Fill) -> Judged:
    go_on()
    if wildcard := WILDCARD.search(condition):
        return _judge_each(condition, wildcard, seen, fill)
    left, operator, right = _divided(condition) or (condition, "==", "")
    sides = (_side(left, seen, fill), _side(right, seen, fill))
    if operator in ORDERS:
        numbers = [number_in_order(side.value) for side in sides]
        ok = ORDERS[operator](numbers[0], numbers[1])
        values = [_shown_number(side, number) for side, number in zip(sides, numbers, strict=True)]
        sides = (sides[0]._replace(value=values[0]), sides[1]._replace(value=values[1]))
    else:
        ok = _is_equal(sides, fill) == (operator == "==")
    ok = ok and not any(_is_call(AGE, side.written) and side.value.endswith(INVALID) for side in sides)
    return Judged(_cut(fill(condition, str) if ok else _with_values(sides, operator)), ok)


def _judge_each(condition: str, wildcard: re.Match[str], seen: Seen, fill: Fill) -> Judged:
    """Judge a condition for each entry of a list; the first that fails is shown, and a list without entries fails."""
    try:
        entries = _value_at(fill(wildcard[1][len(BODY) :], str), seen)
    except LookupError:
        entries = None
    if not isinstance(entries, list) or not entries:
        return Judged(_cut(f"{fill(condition, str)} (no elements matched)"), False)
    before, after = condition[: wildcard.end(1)], condition[wildcard.end() :]
    each = (_judged(f"{before}[{place}]{after}", seen, fill) for place in range(len(entries)))
    failed = next((judged for judged in each if not judged.ok), None)
    return failed or Judged(_cut(fill(condition, str)), True)


def _divided(condition: str) -> tuple[str, str, str] | None:
    for operator in OPERATORS:
        left, found, right = condition.partition(f" {operator} ")
        if found:
            return left.strip(), operator, right.partition(f" {operator} ")[0].strip()
    return None


def _outside_functions(condition: str) -> str:
    """Return the condition without what stands in pat(): a glob's brackets name no placeholder."""
    return re.sub(r"pat\([^)]*\)", "", condition)


def _side(written: str, seen: Seen, fill: Fill) -> _Side:
    text = fill(written, str).strip()
    return _Side(written, text, _resolved(written, text, seen, fill))


def _resolved(written: str, part: str, seen: Seen, fill: Fill) -> str:
    """Return the text that one side stands for; ``part`` is the side with its variables put in."""
    function = next((name for name in FUNCTIONS if _is_call(name, written)), "")
    inner = written.removeprefix(function).removesuffix(")") if function else written
    if function == AGE:
        return _age(inner, part, seen, fill)
    upper = inner.upper()
    try:
        if upper == BODY and function == "len(":
            return str(_length(seen))
        if upper.startswith((f"{BODY}.", f"{BODY}[")):
            value = _value_at(fill(inner[len(BODY) :], str), seen)
            if function == "has(":
                return "true"  # found, be it an empty text
            return str(_size(value)) if function else _text(value)
        text = seen.body.strip() if upper == BODY else _plain_value(inner, upper, seen, fill)
    except (LookupError, RecursionError):  # not there, or nested beyond what can be written out
        return "false" if function == "has(" else f"{part} {INVALID}"
    if text is None:
        return part
    if function == "has(":
        return "true" if text or upper.startswith(HEADER) else "false"  # a header may come with nothing in it
    return str(_bytes_of(text)) if function else text


def _age(inner: str, part: str, seen: Seen, fill: Fill) -> str:
    """Return how many milliseconds ago the time was that stands at a place."""
    place, _comma, layout = (text.strip() for text in inner.partition(","))
    age = age_ms(_resolved(place, fill(place, str), seen, fill), fill(layout, str))
    return f"{part} {INVALID}" if age is None else str(age)


def _plain_value(inner: str, upper: str, seen: Seen, fill: Fill) -> str | None:
    """Return the text of a placeholder, None where it is none; raise LookupError for a header that did not come."""
    if upper.startswith(HEADER):
        return seen.headers[fill(inner[len(HEADER) :], str).lower()]
    return seen.values.get(upper[1:-1]) if upper[:1] == "[" and upper[-1:] == "]" else None


def _length(seen: Seen) -> int:
    try:
        return _size(seen.document())
    except LookupError:
        return _bytes_of(seen.body.strip())


def _size(value: Any) -> int:
    return len(value) if isinstance(value, list) else _bytes_of(_text(value))


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "replace"))  # JSON can hold half of a character


def _value_at(path: str, seen: Seen) -> Any:
    """Return what stands at a place of the body; raise LookupError where nothing does."""
    value = seen.document()
    for key in KEY.findall(path):
        if key[0] == "[":
            if not isinstance(value, list):
                raise LookupError(key)
            value = value[int(key[1:-1][:9])]
        else:
            if not isinstance(value, dict):
                raise LookupError(key)
            value = value[key]
    if value is None:
        raise LookupError(path)
    return value


def _text(value: Any) -> str:
    """Write a JSON value as Gatus (that is, Go) shows it; whole numbers are kept whole."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    if isinstance(value, list):
        return f"[{' '.join(_text(part) for part in value[:1_000])}]"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _is_equal(sides: tuple[_Side, _Side], fill: Fill) -> bool:
    """Compare what two sides stand for. Only what is written calls a function: to Gatus what was seen may call one too,
    so that a server could fulfil any condition by saying ``pat(*)``. Nor has what is put into a glob a meaning there."""
    left, right = sides
    for pattern, other in ((left, right), (right, left)):
        if _is_call("pat(", pattern.written) and not _is_call("pat(", other.written):
            glob = fill(pattern.written[4:-1], as_glob)
            return matches_glob(glob.replace("/", ""), other.value.replace("/", ""))  # as Gatus does
    for options, other in ((left, right), (right, left)):
        if _is_call("any(", options.written) and not _is_call("any(", other.written):
            return other.value in (option.strip() for option in options.text[4:-1].split(","))
    left_number, right_number = whole_number(left.value), whole_number(right.value)
    if left_number is not None and right_number is not None:
        return left_number == right_number
    return left.value == right.value


def _is_call(function: str, text: str) -> bool:
    return text.startswith(function) and text.endswith(")")


def _shown_number(side: _Side, number: int) -> str:
    """Return how a compared number is shown: ages, times to an end, and durations, in hours, minutes and seconds."""
    if side.value.endswith(INVALID):
        return side.value
    if side.written.upper() in EXPIRATIONS or _is_call(AGE, side.written):
        return duration_text(number)
    return side.text if milliseconds(side.text) is not None else str(number)


def _with_values(sides: tuple[_Side, _Side], operator: str) -> str:
    """Show what was seen beside each side that stands for something."""
    shown = []
    for (_written, part, value), other in zip(sides, reversed(sides), strict=True):
        seen = value
        if _is_call("pat(", other.written) and len(value) > MAX_PATTERN_VALUE:
            seen = f"{value[:MAX_PATTERN_VALUE]}...(truncated)"
        if part == value or value == f"{part} {INVALID}":
            shown.append(value)
        else:
            shown.append(f"{part} ({seen[:MAX_SHOWN]})")
    return f"{shown[0]} {operator} {shown[1]}"


def _cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
