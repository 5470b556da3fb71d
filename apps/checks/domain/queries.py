"""Named reads of checks."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Case, Count, Func, IntegerField, Q, QuerySet, TextField, Value, When

from apps.checks.domain.patience import History, Watch, confidence
from apps.checks.domain.regions import known_places
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Flip, Result, Turn
from apps.core import clock

# What is wrong comes first.
URGENCY = (
    State.DOWN,
    State.DEGRADED,
    State.UNKNOWN,
    State.NEW,
    State.UP,
    State.MAINTENANCE,
    State.PAUSED,
)


def find_checks(*, text: str = "", state: str = "", tag: str = "") -> QuerySet[Check]:
    """Return the tenant's checks with their states, the worst first; ``text`` is found in names and targets. Their
    settings are not read with them."""
    checks = Check.objects.select_related("checkstate").prefetch_related("turns")
    found: QuerySet[Check] = checks.defer("config", "secrets")
    if text:
        found = found.filter(Q(name__icontains=text) | Q(target__icontains=text))
    if state:
        found = found.filter(checkstate__state=state)
    if tag:
        found = found.filter(tags__contains=[tag])
    ranks = [When(checkstate__state=value, then=Value(rank)) for rank, value in enumerate(URGENCY)]
    return found.annotate(urgency=Case(*ranks, default=Value(9), output_field=IntegerField())).order_by(
        "urgency", "name", "id"
    )


def count_by_state() -> dict[str, int]:
    """Return how many checks are in each state, zeros included."""
    counts = dict(CheckState.objects.values_list("state").annotate(Count("pk")))
    return {state: counts.get(state, 0) for state in State.values}


def all_tags() -> list[str]:
    """Return the tenant's tags, sorted."""
    tags = Check.objects.annotate(tag=Func("tags", function="unnest", output_field=TextField()))
    return sorted(tags.order_by().values_list("tag", flat=True).distinct())


def latest_results(check_id: UUID, limit: int = 20) -> list[Result]:
    return list(
        Result.objects.filter(check_id=check_id, due_at__gte=clock.now() - timedelta(days=7)).order_by("-due_at")[
            :limit
        ]
    )


def turns_by_region(check: Check) -> list[Turn]:
    """Return how the check stands in each of its regions, in the regions' order."""
    return list(Turn.objects.filter(watched=check).select_related("region__agent").order_by("region_id"))


def outage_confidence(check: Check) -> float | None:
    """Return how sure we are (0–1) that a check which is down is no false alarm, by the failures in a row that each region saw
    which says so (while none does: each that sees any); None where no region counts any."""
    turns = list(check.turns.all())
    failing = [turn for turn in turns if turn.failures]
    if not failing:
        return None
    agreeing = [turn for turn in failing if turn.opinion == Verdict.FAILURE] or failing
    return confidence(
        History.of(turns),
        Watch.of(check),
        failures=min(turn.failures for turn in agreeing),
        retries=check.retries,
        agreeing=len(agreeing),
    )


def latest_flips(check: Check, limit: int = 20) -> list[Flip]:
    return list(Flip.objects.filter(watched=check).order_by("-sequence")[:limit])


PHASES = ("dns_ms", "connect_ms", "tls_ms", "first_byte_ms", "transfer_ms")

SERIES = f"""
SELECT date_bin(%(step)s::interval, due_at, %(since)s) AS bin, count(*), count(*) FILTER (WHERE verdict = {Verdict.FAILURE}),
       {", ".join(f"avg({phase})" for phase in PHASES)}, avg(total_ms), max(total_ms)
FROM checks_result
WHERE check_id = %(check_id)s AND due_at >= %(since)s AND due_at < %(until)s
GROUP BY bin ORDER BY bin
"""  # noqa: S608 - constants of this module alone


@dataclass(frozen=True, slots=True)
class Bin:
    """The results of one stretch of time; averages in milliseconds, None where nothing was measured."""

    at: datetime
    results: int
    failures: int
    phases: tuple[float | None, ...]
    average_ms: float | None
    worst_ms: float | None


def latency_series(check_id: UUID, *, since: datetime, until: datetime, step: timedelta) -> list[Bin]:
    """Return the check's results by bins of ``step``; empty bins are left out."""
    with connection.cursor() as cursor:
        cursor.execute(SERIES, {"check_id": check_id, "since": since, "until": until, "step": str(step)})
        return [_bin(row) for row in cursor.fetchall()]


def _bin(row: tuple[Any, ...]) -> Bin:
    at, results, failures, *rest = row
    return Bin(at, results, failures, tuple(rest[: len(PHASES)]), *rest[len(PHASES) :])


REGION_SERIES = """
SELECT region_id, date_bin(%(step)s::interval, due_at, %(since)s) AS bin, avg(total_ms) FROM checks_result
WHERE check_id = %(check_id)s AND due_at >= %(since)s AND due_at < %(until)s
GROUP BY region_id, bin ORDER BY region_id
"""


def latency_by_region(
    check_id: UUID, *, since: datetime, until: datetime, step: timedelta
) -> dict[str, dict[datetime, float | None]]:
    """Return the average latency of each region's results by bins of ``step``, by the region's name."""
    with connection.cursor() as cursor:
        cursor.execute(REGION_SERIES, {"check_id": check_id, "since": since, "until": until, "step": str(step)})
        rows = cursor.fetchall()
    regions = {place.id: str(place) for place in known_places({row[0] for row in rows}).values()}
    lines: dict[str, dict[datetime, float | None]] = {name: {} for name in regions.values()}
    for region_id, at, average in rows:
        if region_id in regions:  # an agent's goes with the agent
            lines[regions[region_id]][at] = average
    return lines


@dataclass(frozen=True, slots=True)
class Availability:
    """Counts of results in a stretch of time."""

    measured: int
    good: int
    average_ms: float | None

    @property
    def ratio(self) -> float | None:
        return self.good / self.measured if self.measured else None


AVAILABILITY = f"""
SELECT count(*), count(*) FILTER (WHERE verdict <> {Verdict.FAILURE}), avg(total_ms) FROM checks_result
WHERE check_id = %s AND due_at >= %s AND verdict <> {Verdict.UNKNOWN}
"""  # noqa: S608 - constants alone


def availability(check_id: UUID, *, since: datetime) -> Availability:
    """Count the check's results since then; what was not measured is left out."""
    with connection.cursor() as cursor:
        cursor.execute(
            AVAILABILITY,
            [check_id, since],
        )
        return Availability(*cursor.fetchone())


# A line spans the check's age, but so many results at least, and an hour (or as many results) at most.
LINE_POINTS, LINE_LEAST, LINE_MOST = 30, 6, 12
LINE_SPAN = timedelta(hours=1)
LINES = """
SELECT wanted.check_id, floor(extract(epoch FROM result.due_at - wanted.since_at) / wanted.step)::int AS place,
       avg(result.total_ms)
FROM unnest(%s::uuid[], %s::timestamptz[], %s::float8[]) AS wanted (check_id, since_at, step)
JOIN checks_result AS result ON result.check_id = wanted.check_id AND result.due_at >= wanted.since_at
WHERE result.due_at >= %s
GROUP BY wanted.check_id, place
"""


def line_span(check: Check, *, now: datetime) -> tuple[datetime, timedelta]:
    """Return since when a check's small line runs and how wide a point of it is: no narrower than the interval, so that
    each holds a result."""
    interval = timedelta(seconds=check.interval_seconds)
    span = min(max(now - check.created_at, LINE_LEAST * interval), max(LINE_SPAN, LINE_MOST * interval))
    return now - span, max(span / LINE_POINTS, interval)


def sparklines(checks: Iterable[Check]) -> dict[UUID, list[float | None]]:
    """Return each check's average latencies lately, oldest first, None where nothing was measured."""
    now = clock.now()
    spans = {check.id: line_span(check, now=now) for check in checks}
    lines: dict[UUID, list[float | None]] = {
        check_id: [None] * ceil((now - since) / step) for check_id, (since, step) in spans.items()
    }
    if not spans:
        return lines
    starts, steps = zip(*spans.values(), strict=True)
    widths = [step.total_seconds() for step in steps]
    with connection.cursor() as cursor:
        cursor.execute(LINES, [list(spans), list(starts), widths, min(starts)])
        for check_id, place, average in cursor.fetchall():
            if 0 <= place < len(lines[check_id]):
                lines[check_id][place] = average
    return lines
