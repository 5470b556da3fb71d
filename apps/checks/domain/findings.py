"""What a result saw besides its verdict, put into words: the kind's facts, the conditions, the steps.

`Outcome.details` is a flat mapping of the kind's ``facts``; two entries have a shape of their own in every kind:
``conditions`` is a list of ``{"text", "ok"}``, ``steps`` a list of ``{"name", "ok", "ms", "status", "failed"}`` of which
all but the first two may be missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from apps.checks.types.base import CheckType
from apps.core.kinds import Text

CONDITIONS, STEPS = "conditions", "steps"


@dataclass(frozen=True, slots=True)
class ShownFact:
    """A fact by its name; one line a value, or a moment."""

    label: Text
    values: Sequence[str] = ()
    unit: Text = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What is shown of a result's details."""

    facts: Sequence[ShownFact]
    conditions: Sequence[Mapping[str, Any]]
    steps: Sequence[Mapping[str, Any]]

    def __bool__(self) -> bool:
        return bool(self.facts or self.conditions or self.steps)


def findings_of(kind: CheckType, details: Mapping[str, Any] | None) -> Findings:
    """Return a result's details in the order in which the kind lists its facts; what it does not list stays unsaid."""
    given = details or {}
    facts = [
        _shown_fact(fact.label, fact.unit, given[name])
        for name, fact in kind.facts.items()
        if fact.is_shown and name not in (CONDITIONS, STEPS) and given.get(name) not in (None, "", [])
    ]
    return Findings(facts, _entries(given, CONDITIONS), _entries(given, STEPS))


def _entries(given: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = given.get(name)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _shown_fact(label: Text, unit: Text, value: Any) -> ShownFact:
    if isinstance(value, str) and (at := _moment(value)):
        return ShownFact(label, at=at)
    values = value if isinstance(value, list) else [value]
    return ShownFact(label, [_words(each) for each in values], unit)


def _moment(text: str) -> datetime | None:
    """Return an instant written as ISO 8601 with its zone; None for any other text."""
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    return at if at and at.tzinfo else None


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_words(each)}" for name, each in value.items())
    return str(value)
