"""Named reads of checks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When

from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Flip, Result
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
    """Return the tenant's checks with their states, the worst first; ``text`` is found in names and targets."""
    found: QuerySet[Check] = Check.objects.select_related("checkstate").prefetch_related("turns")
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
    return sorted({tag for tags in Check.objects.exclude(tags=[]).values_list("tags", flat=True) for tag in tags})


def latest_results(check_id: UUID, limit: int = 20) -> list[Result]:
    return list(
        Result.objects.filter(check_id=check_id, due_at__gte=clock.now() - timedelta(days=7)).order_by("-due_at")[
            :limit
        ]
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


def sparklines(check_ids: list[UUID], *, minutes: int = 60, points: int = 30) -> dict[UUID, list[float | None]]:
    """Return the average latency of each check over the last ``minutes`` in ``points`` bins, None where nothing was measured."""
    step = timedelta(minutes=minutes) / points
    since = clock.now() - timedelta(minutes=minutes)
    lines: dict[UUID, list[float | None]] = {check_id: [None] * points for check_id in check_ids}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT check_id, floor(extract(epoch FROM due_at - %s) / %s)::int AS bin, avg(total_ms) FROM checks_result"
            " WHERE check_id = ANY(%s) AND due_at >= %s GROUP BY check_id, bin",
            [since, step.total_seconds(), check_ids, since],
        )
        for check_id, place, average in cursor.fetchall():
            if 0 <= place < points:
                lines[check_id][place] = average
    return lines
