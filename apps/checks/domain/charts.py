"""What the chart of a check shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from apps.checks.domain.queries import Bin, latency_by_region, latency_series
from apps.checks.domain.rollups import HOUR, KEEP_HOURS, hour_of, rolled_series
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
# A chosen time is shown in so many points at most, and is never so short that nothing can be seen.
ZOOM_POINTS, LEAST_POINTS, NARROWEST = 180, 6, timedelta(minutes=1)
ROLLED_FROM = timedelta(minutes=30)
MILLISECOND_DIGITS = 14


def default_period(check: Check) -> str:
    """Return the period in which there is something to see: the shortest that a young check has not outgrown."""
    age = clock.now() - check.created_at
    return next((name for name in ("15m", "1h") if age < PERIODS[name][0]), DEFAULT_PERIOD)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The time a chart shows, in points of ``step``."""

    since: datetime
    until: datetime
    step: timedelta

    @property
    def is_rolled(self) -> bool:
        """Whether its points come from whole hours, rolled up: an hourly check's short periods begin at any minute."""
        return not self.step % HOUR and self.since == hour_of(self.since)

    @property
    def times(self) -> list[datetime]:
        return [self.since + self.step * place for place in range(ceil((self.until - self.since) / self.step))]


def stretch_of_period(check: Check, period: str) -> Stretch:
    """Return the last minutes, hours or days, in points that hold a result each."""
    span, width = PERIODS.get(period, PERIODS[DEFAULT_PERIOD])
    step, until = max(width, timedelta(seconds=check.interval_seconds)), clock.now()
    if width >= HOUR:
        step, until = HOUR * ceil(step / HOUR), hour_of(until) + HOUR
    return Stretch(until - span, until, step)


def stretch_between(check: Check, start: str, end: str) -> Stretch | None:
    """Return the time between two numbers of milliseconds, widened to what can be seen; None for what is no such time."""
    if not (start.isdecimal() and end.isdecimal() and max(len(start), len(end)) <= MILLISECOND_DIGITS):
        return None
    now = clock.now()
    since, until = (datetime.fromtimestamp(int(text) / 1_000, tz=UTC) for text in (start, end))
    until = min(until, now)
    since = max(since, now - KEEP_HOURS)
    if since >= until:
        return None
    interval = timedelta(seconds=check.interval_seconds)
    missing = max(NARROWEST, LEAST_POINTS * interval) - (until - since)
    since -= max(missing, timedelta(0))
    step = max(interval, timedelta(seconds=ceil((until - since).total_seconds() / ZOOM_POINTS)))
    # Results themselves do not last as long as what they came to.
    if step >= ROLLED_FROM or since < now - timedelta(days=settings.RESULT_RETENTION_DAYS):
        step, since, until = HOUR * ceil(step / HOUR), hour_of(since), hour_of(until) + HOUR
    return Stretch(since, until, step)


def latency_chart(check: Check, *, period: str = "", chosen: Stretch | None = None) -> dict[str, Any]:
    """Return the chart of a chosen time, or of a period, as JSON: stacked phases in milliseconds, or one line a region where
    there are several; a gap where nothing was measured, failures as bands."""
    stretch = chosen or stretch_of_period(check, period)
    series = rolled_series if stretch.is_rolled else latency_series
    since, until, step, times = stretch.since, stretch.until, stretch.step, stretch.times
    bins = {entry.at: entry for entry in series(check.id, since=since, until=until, step=step)}
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
