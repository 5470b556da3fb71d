"""Words and figures of checks for templates."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from apps.checks.enums import Verdict
from apps.checks.models import Check, Turn
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


@lru_cache(maxsize=1_000)
def _drawn(component: str, name: str, value: str, _language: str) -> str:
    """Return a component that looks alike in every row, drawn once a process: a long list has hundreds of them."""
    given = CHECK_TYPES.get(value) if name == "kind" else value
    return render_to_string(f"components/{component}.html", {name: given, "silent": True})


@register.filter
def icon(name: str) -> SafeString:
    """Return an icon without words."""
    return SafeString(_drawn("icon", "name", name, ""))


@register.filter
def state_badge(state: str) -> SafeString:
    """Return a state as dot and word."""
    return SafeString(_drawn("state_badge", "state", state, get_language() or ""))


@register.filter
def kind_icon(check: Check) -> SafeString:
    """Return the icon of the check's kind, named by its label."""
    return SafeString(_drawn("kind_label", "kind", check.kind, get_language() or ""))


@register.filter
def verdict_state(verdict: int) -> str:
    """Return the state whose colour a verdict wears."""
    return VERDICT_STATES[Verdict(verdict)]


@register.filter
def as_values(text: str) -> list[float | None]:
    """Return the numbers in ``12,,15``."""
    return [float(part) if part.strip() else None for part in text.split(",")]


LINE_WIDE, LINE_TALL, LINE_EDGE = 112, 28, 2


@register.filter
def drawn_line(values: Sequence[float | None]) -> SafeString:
    """Draw a small line: gaps where nothing was measured, dots where so little was that no line comes about."""
    known = [value for value in values if value is not None]
    if not known:
        return SafeString("")
    least = max(0.0, min(known) * 0.6)
    scale = (LINE_TALL - 2 * LINE_EDGE) / ((max(known) - least) or 1)
    step = (LINE_WIDE - 2 * LINE_EDGE) / max(len(values) - 1, 1)
    before = [None, *values[:-1]]
    after = [*values[1:], None]
    words = []
    for place, (earlier, value, later) in enumerate(zip(before, values, after, strict=True)):
        if value is not None:
            pen = "M" if earlier is None else "L"
            dot = "h.01" if earlier is None and later is None else ""
            x, y = LINE_EDGE + place * step, LINE_TALL - LINE_EDGE - (value - least) * scale
            words.append(f"{pen}{x:.1f} {y:.1f}{dot}")
    return SafeString(
        f'<svg viewBox="0 0 {LINE_WIDE} {LINE_TALL}" aria-hidden="true" focusable="false"><path d="{"".join(words)}"/></svg>'
    )


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
