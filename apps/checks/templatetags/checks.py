"""Words and figures of checks for templates."""

from collections.abc import Iterable
from typing import Any

from django import template

from apps.checks.enums import Verdict
from apps.checks.models import Check, Turn
from apps.checks.types.base import CheckType
from apps.checks.types.explaining import explain
from apps.checks.types.registry import CHECK_TYPES

register = template.Library()

VERDICT_STATES = {
    Verdict.FAILURE: "down",
    Verdict.SUCCESS: "up",
    Verdict.DEGRADED: "degraded",
    Verdict.UNKNOWN: "unknown",
}


@register.filter
def explained(row: Any) -> str:
    """Say in words why a result or flip failed; empty where it did not."""
    return str(explain(row.error_code, row.error_values or {})) if row.error_code else ""


@register.filter
def explained_last(turn: Turn) -> str:
    """Say in words why a region's last result failed."""
    return str(explain(turn.last_error, turn.last_error_values or {}))


@register.filter
def kind_of(check: Check) -> CheckType:
    """Return the check's type, for its label and icon."""
    return CHECK_TYPES.get(check.kind)


@register.filter
def verdict_state(verdict: int) -> str:
    """Return the state whose colour a verdict wears."""
    return VERDICT_STATES[Verdict(verdict)]


@register.filter
def as_line(values: Iterable[float | None]) -> str:
    """Return a sparkline's points: ``12,,15``."""
    return ",".join("" if value is None else f"{value:.1f}" for value in values)


@register.filter
def percent(ratio: float | None) -> str:
    """Return a ratio as a percentage, cut (never rounded up to a hundred) to two places."""
    return "–" if ratio is None else f"{int(ratio * 10_000) / 100:.2f}"


@register.filter
def milliseconds(value: float | None) -> str:
    """Return a time without needless digits: 0.42, 7.3, 120."""
    if value is None:
        return "–"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:.0f}"
