"""What the chart of a check shows."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.utils.translation import gettext as _

from apps.checks.domain.queries import Bin, latency_by_region, latency_series
from apps.checks.domain.rollups import HOUR, hour_of, rolled_series
from apps.checks.models import Check
from apps.core import clock

# The periods on offer and how wide a point of each is.
PERIODS = {
    "15m": (timedelta(minutes=15), timedelta(seconds=10)),
    "1h": (timedelta(hours=1), timedelta(seconds=30)),
    "6h": (timedelta(hours=6), timedelta(minutes=2)),
    "24h": (timedelta(days=1), timedelta(minutes=10)),
    "7d": (timedelta(days=7), timedelta(hours=1)),
    "30d": (timedelta(days=30), timedelta(hours=4)),
}
DEFAULT_PERIOD = "6h"


def default_period(check: Check) -> str:
    """Return the period in which there is something to see: the shortest that a young check has not outgrown."""
    age = clock.now() - check.created_at
    return next((name for name in ("15m", "1h") if age < PERIODS[name][0]), DEFAULT_PERIOD)


def latency_chart(check: Check, *, period: str) -> dict[str, Any]:
    """Return the chart as JSON: stacked phases in milliseconds, or one line a region where there are several; a gap where
    nothing was measured, failures as bands.

    Points are no narrower than the check's interval, so that each holds a result.
    """
    span, width = PERIODS.get(period, PERIODS[DEFAULT_PERIOD])
    step = max(width, timedelta(seconds=check.interval_seconds))
    until, series = clock.now(), latency_series
    if width >= HOUR:  # long periods come from whole hours, rolled up
        step, until, series = HOUR * ceil(step / HOUR), hour_of(until) + HOUR, rolled_series
    since = until - span
    bins = {entry.at: entry for entry in series(check.id, since=since, until=until, step=step)}
    times = [since + step * place for place in range(int(span / step))]
    lines = latency_by_region(check.id, since=since, until=until, step=step) if len(check.regions) > 1 else {}
    shown = _lines(lines, times) if len(lines) > 1 else _phases([bins.get(at) for at in times])
    return {
        "kind": "line" if len(lines) > 1 else "area",
        "stacked": len(lines) <= 1,
        "unit": "ms",
        "from": _milliseconds(since),
        "to": _milliseconds(until),
        "times": [_milliseconds(at) for at in times],
        "series": shown,
        "bands": [_band(entry, step) for entry in bins.values() if entry.failures],
        "thresholds": _thresholds(check),
    }


def _phases(chosen: list[Bin | None]) -> list[dict[str, Any]]:
    return [
        {"name": name, "values": [_phase(entry, place) for entry in chosen]}
        for place, name in enumerate(_phase_names())
    ]


def _lines(lines: Mapping[str, Mapping[datetime, float | None]], times: list[datetime]) -> list[dict[str, Any]]:
    return [{"name": name, "values": [_rounded(values.get(at)) for at in times]} for name, values in lines.items()]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _phase_names() -> list[str]:
    return [_("DNS"), _("Connect"), _("TLS"), _("First byte"), _("Transfer")]


def _milliseconds(at: Any) -> int:
    return int(at.timestamp() * 1_000)


def _phase(entry: Bin | None, place: int) -> float | None:
    if entry is None or entry.average_ms is None:
        return None
    value = entry.phases[place]
    return round(value, 2) if value is not None else 0.0


def _band(entry: Bin, step: timedelta) -> dict[str, Any]:
    failed = _("%(failed)s of %(all)s failed") % {"failed": entry.failures, "all": entry.results}
    state = "down" if entry.failures == entry.results else "degraded"
    return {"from": _milliseconds(entry.at), "to": _milliseconds(entry.at + step), "state": state, "label": failed}


def _thresholds(check: Check) -> list[dict[str, Any]]:
    if check.degraded_ms is None:
        return []
    label = _("Degraded above %(limit)s ms") % {"limit": check.degraded_ms}
    return [{"value": check.degraded_ms, "label": label, "state": "degraded"}]
