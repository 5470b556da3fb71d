"""JSON Schema (draft 2020-12 and older ones) on what a stranger sent, bounded in steps and regular expressions.

Schemas are programs: references can double at each level, lists of names be compared with each entry, patterns run away.
So every keyword that is judged costs steps in proportion to its own size, patterns run on our bounded search, and what a
schema refers to outside of itself is refused when it is saved: nothing is ever fetched.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from fractions import Fraction
from functools import cache, lru_cache
from math import isfinite
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from jsonschema import exceptions, validators
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import UnknownDialect

from apps.checks.types.effort import Effort, TooMuchWork, go_on
from apps.checks.types.json_queries import refuse_constant
from apps.checks.types.patterns import PatternTooSlow, bounded_search, check_pattern

MAX_STEPS = 40_000
SEARCH_SECONDS = 0.02  # one pattern on one text
SCHEMA_SECONDS = 0.3  # of processor time: a single step may write out a large part of the document
MAX_UNIQUE = 2_000
MAX_DEPTH = 40
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
REFERENCE_COST = 5

Keyword = Callable[[Any, Any, Any, Any], Iterator[Any] | None]


class SchemaTooSlow(Exception):
    """Judging used its budget up; it says nothing of the document."""


_steps_left: ContextVar[int] = ContextVar("steps_left")


def check_schema(text: str) -> None:
    """Raise `ValidationError` where `compile_schema` would; an empty text is no schema."""
    if text.strip():
        compile_schema(text)


@lru_cache(maxsize=256)
def compile_schema(text: str) -> Any:
    """Return a validator, or raise `ValidationError` naming what is wrong."""
    try:
        schema = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValidationError(
            _("The schema is not JSON (%(reason)s)."), code="json", params={"reason": str(error)[:100]}
        ) from error
    if not isinstance(schema, dict):
        raise ValidationError(_('A schema is an object, such as {"type": "object"}.'), code="object")
    _judge_parts(schema, 0)
    made = _bounded(validators.validator_for(schema, default=validators.Draft202012Validator))
    token = _steps_left.set(MAX_STEPS)
    try:
        with Effort(SCHEMA_SECONDS):
            made.check_schema(schema)
    except exceptions.SchemaError as error:
        raise ValidationError(
            _("The schema is wrong at %(place)s: %(reason)s."),
            code="schema",
            params={"place": error.json_path[:80], "reason": error.message[:120]},
        ) from error
    except (SchemaTooSlow, TooMuchWork, RecursionError, UnknownDialect, ValueError, TypeError) as error:
        raise ValidationError(_("The schema is too large to be judged; make it smaller."), code="large") from error
    finally:
        _steps_left.reset(token)
    return made(schema, registry=Registry())


def first_violation(text: str, document: Any) -> str:
    """Return where and how the document breaks the schema (checked before), empty where it keeps it.

    Raises `SchemaTooSlow`.
    """
    token = _steps_left.set(MAX_STEPS)
    try:
        with Effort(SCHEMA_SECONDS):
            error = next(iter(compile_schema(text).iter_errors(document)), None)
    except (RecursionError, Unresolvable, TooMuchWork) as problem:
        raise SchemaTooSlow from problem
    finally:
        _steps_left.reset(token)
    return f"{error.json_path[:80]}: {error.message[:160]}" if error is not None else ""


def _judge_parts(value: Any, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise ValidationError(
            _("The schema is nested too deeply: %(max)s levels are the most."), code="deep", params={"max": MAX_DEPTH}
        )
    if isinstance(value, list):
        for part in value:
            _judge_parts(part, depth + 1)
    if not isinstance(value, dict):
        return
    for name, part in value.items():
        _judge_keyword(name, part)
        _judge_parts(part, depth + 1)
    if "unevaluatedProperties" in value and "patternProperties" in value:
        raise ValidationError(
            _("Use additionalProperties beside patternProperties: unevaluatedProperties is not supported there."),
            code="unsupported",
        )


def _judge_keyword(name: str, value: Any) -> None:
    if name in REFERENCES and isinstance(value, str) and not value.startswith("#"):
        raise ValidationError(
            _("“%(ref)s” lies outside of the schema: write it into $defs and refer to it by #/$defs/…."),
            code="remote",
            params={"ref": value[:80]},
        )
    if name == "pattern" and isinstance(value, str):
        check_pattern(value)
    if name == "patternProperties" and isinstance(value, dict):
        for pattern in value:
            check_pattern(pattern)


@cache
def _bounded(base: Any) -> Any:
    """Return a validator class like ``base`` whose keywords cost steps."""
    known = cast("Mapping[str, Keyword]", base.VALIDATORS)
    own: dict[str, Keyword] = {
        name: replaced
        for name, replaced in (
            ("pattern", _pattern),
            ("patternProperties", _pattern_properties),
            ("additionalProperties", _additional_properties),
            ("uniqueItems", _unique_items),
            ("multipleOf", _multiple_of),
            ("divisibleBy", _multiple_of),  # draft 3's word for it
        )
        if name in known
    }
    costing = {name: _costing(name, own.get(name, keyword)) for name, keyword in known.items()}
    return validators.extend(base, costing)  # type: ignore[no-untyped-call]


def _costing(name: str, keyword: Keyword) -> Keyword:
    cost = REFERENCE_COST if name in REFERENCES else 1

    def judge(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any] | None:
        _spend(cost + (len(value) // 8 if isinstance(value, list | dict) else 0))
        return keyword(validator, value, instance, schema)

    return judge


def _spend(cost: int) -> None:
    left = _steps_left.get() - cost
    _steps_left.set(left)
    if left < 0:
        raise SchemaTooSlow
    go_on()


def _matches(pattern: str, text: str) -> bool:
    _spend(1 + len(text) // 1_000)
    try:
        return bounded_search(pattern, text, seconds=SEARCH_SECONDS) is not None
    except PatternTooSlow as error:
        raise SchemaTooSlow from error


def _pattern(validator: Any, pattern: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield exceptions.ValidationError(f"{instance[:60]!r} does not match {pattern[:60]!r}")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    for pattern, part in patterns.items():
        for name, value in instance.items():
            if _matches(pattern, name):
                yield from validator.descend(value, part, path=name, schema_path=pattern)


def _additional_properties(validator: Any, additional: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in named or any(_matches(pattern, name) for pattern in patterns):
            continue
        if additional is False:
            yield exceptions.ValidationError(f"{name[:60]!r} is not among the named properties")
        else:
            yield from validator.descend(value, additional, path=name)


def _unique_items(validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    if not wanted or not isinstance(instance, list):
        return
    if len(instance) > MAX_UNIQUE:
        raise SchemaTooSlow
    # Written out, so that true and 1 differ and each entry is compared once; 1.0 is the number 1 to JSON Schema.
    texts = {json.dumps(_plain(entry), sort_keys=True) for entry in instance}
    if len(texts) < len(instance):
        yield exceptions.ValidationError("an entry occurs twice")


def _multiple_of(validator: Any, factor: Any, instance: Any, _schema: Any) -> Iterator[Any]:
    if validator.is_type(instance, "number") and not _is_multiple(instance, factor):
        yield exceptions.ValidationError(f"{str(instance)[:60]} is not a multiple of {factor}")


def _is_multiple(number: float, factor: float) -> bool:
    """Tell whether one number is a multiple of another, be they too large for a float (1e999 is read as infinite)."""
    if any(isinstance(side, float) and not isfinite(side) for side in (number, factor)):
        return False
    with suppress(OverflowError):
        if isinstance(factor, int):
            return number % factor == 0
        if isfinite(quotient := number / factor):
            return quotient.is_integer()
    return (Fraction(number) / Fraction(factor)).denominator == 1


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
