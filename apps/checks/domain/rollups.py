"""Rolling results up by hour and day, and reading what was rolled up.

An hour is rolled up once, shortly after its end, by one statement over all checks; readers take the hours since from the
results themselves. Agents may bring results late, and so does a prober that comes back after a while: hours of private
regions are rolled a second time when agents' buffers have run dry, and `note_late` asks for any other hour again.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Min

from apps.checks.domain.percentiles import BUCKET_SQL, percentile
from apps.checks.domain.queries import PHASES, Availability, Bin
from apps.checks.enums import Verdict
from apps.checks.models import DayRollup, HourRollup, Region, Result, RolledHour
from apps.core import clock
from apps.core.tenancy import system_scope

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Leases run out and retries end before; then an hour is complete but for what agents keep, for 65 minutes at most.
GRACE, AGENTS_GRACE = timedelta(minutes=5), timedelta(minutes=75)
KEEP_HOURS, KEEP_DAYS = timedelta(days=100), timedelta(days=1_100)
MOST_HOURS_A_RUN = 48

COLUMNS = (
    "tenant_id, check_id, region_id, at, failed, good, slow, unmeasured, timed, sum_ms, min_ms, max_ms, phase_sums,"
    " phase_counts, buckets, bucket_counts"
)
VERDICT_COUNTS = ", ".join(
    f"count(*) FILTER (WHERE verdict = {verdict.value})"
    for verdict in (Verdict.FAILURE, Verdict.SUCCESS, Verdict.DEGRADED, Verdict.UNKNOWN)
)
PHASE_SUMS = ", ".join(f"coalesce(sum({phase}), 0)" for phase in PHASES)
PHASE_COUNTS = ", ".join(f"count({phase})" for phase in PHASES)
PLACES = range(1, len(PHASES) + 1)

ROLL_HOUR = f"""
INSERT INTO checks_hourrollup ({COLUMNS})
SELECT counted.*, coalesce(shape.buckets, '{{}}'), coalesce(shape.bucket_counts, '{{}}')
FROM (
    SELECT tenant_id, check_id, region_id, %(at)s::timestamptz AS at, {VERDICT_COUNTS}, count(total_ms),
           coalesce(sum(total_ms::float8), 0), min(total_ms), max(total_ms), ARRAY[{PHASE_SUMS}]::float8[],
           ARRAY[{PHASE_COUNTS}]::int4[]
    FROM checks_result WHERE due_at >= %(at)s AND due_at < %(until)s GROUP BY tenant_id, check_id, region_id
) AS counted
LEFT JOIN (
    SELECT check_id, region_id, array_agg(bucket ORDER BY bucket) AS buckets, array_agg(held ORDER BY bucket) AS bucket_counts
    FROM (
        SELECT check_id, region_id, {BUCKET_SQL.format(column="total_ms")} AS bucket, count(*)::int4 AS held
        FROM checks_result WHERE due_at >= %(at)s AND due_at < %(until)s AND total_ms IS NOT NULL
        GROUP BY check_id, region_id, bucket
    ) AS each GROUP BY check_id, region_id
) AS shape USING (check_id, region_id)
"""  # noqa: S608 - constants of this app alone
ROLL_DAY = f"""
INSERT INTO checks_dayrollup ({COLUMNS})
SELECT counted.*, coalesce(shape.buckets, '{{}}'), coalesce(shape.bucket_counts, '{{}}')
FROM (
    SELECT tenant_id, check_id, region_id, %(at)s::timestamptz AS at, sum(failed), sum(good), sum(slow), sum(unmeasured),
           sum(timed), sum(sum_ms), min(min_ms), max(max_ms),
           ARRAY[{", ".join(f"sum(phase_sums[{place}])" for place in PLACES)}]::float8[],
           ARRAY[{", ".join(f"sum(phase_counts[{place}])" for place in PLACES)}]::int4[]
    FROM checks_hourrollup WHERE at >= %(at)s AND at < %(until)s GROUP BY tenant_id, check_id, region_id
) AS counted
LEFT JOIN (
    SELECT check_id, region_id, array_agg(bucket ORDER BY bucket) AS buckets, array_agg(held ORDER BY bucket) AS bucket_counts
    FROM (
        SELECT check_id, region_id, bucket, sum(held)::int4 AS held
        FROM checks_hourrollup CROSS JOIN LATERAL unnest(buckets, bucket_counts) AS each (bucket, held)
        WHERE at >= %(at)s AND at < %(until)s GROUP BY check_id, region_id, bucket
    ) AS each GROUP BY check_id, region_id
) AS shape USING (check_id, region_id)
"""  # noqa: S608 - constants of this app alone


def hour_of(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(at: datetime) -> datetime:
    return hour_of(at).replace(hour=0)


def roll_up() -> int:
    """Roll up every hour that is due, then the days they belong to; return the number of hours. Safe to repeat."""
    with system_scope("results of all tenants are rolled up together"):
        _list_due_hours(clock.now())
        return sum(_roll_hour(at) for at in _hours_to_roll())


def forget_old_rollups() -> None:
    """Drop rollups that nothing shows any more."""
    now = clock.now()
    with system_scope("one broom sweeps every tenant's old rollups"):
        HourRollup.unscoped.filter(at__lt=now - KEEP_HOURS).delete()
        DayRollup.unscoped.filter(at__lt=now - KEEP_DAYS).delete()
        RolledHour.objects.filter(at__lt=now - KEEP_HOURS).delete()


def note_late(due_ats: Iterable[datetime]) -> None:
    """Have hours rolled up anew for which results have come late; hours that are not rolled up yet need no asking.

    What lies before all that was ever rolled up is rolled up, too; what is so old that results, or hours of its day, are
    dropped stays as it is.
    """
    kept_since = clock.now() - min(DAY * settings.RESULT_RETENTION_DAYS, KEEP_HOURS - DAY)
    hours = {hour for at in due_ats if (hour := hour_of(at)) >= kept_since}
    last = RolledHour.objects.order_by("-at").first() if hours else None
    if last:
        _roll_again({hour for hour in hours if hour <= last.at})


def _roll_again(hours: set[datetime]) -> None:
    """Note hours in the caller's transaction, and those that are being rolled up at this moment as soon as it is over.

    Rival: whoever rolls an hour up holds it as long as that takes, and the caller holds turns that others wait for.
    """
    known = RolledHour.objects.filter(at__in=hours)
    free = set(known.select_for_update(skip_locked=True).values_list("at", flat=True))
    busy = set(known.values_list("at", flat=True)) - free
    _ask_for(hours - busy)
    if busy:
        transaction.on_commit(lambda: _ask_for(busy))


def _ask_for(hours: Iterable[datetime]) -> None:
    again = [RolledHour(at=hour) for hour in sorted(hours)]  # rivals: others who bring late ones
    RolledHour.objects.bulk_create(again, update_conflicts=True, unique_fields=["at"], update_fields=["rolled_at"])


def note_overdue(due_ats: Iterable[datetime]) -> None:
    """`note_late` for those of many that come when their hour may be rolled up already; mostly there are none."""
    begun = hour_of(clock.now() - GRACE)
    if late := {due_at for due_at in due_ats if due_at < begun}:
        note_late(late)


def _list_due_hours(now: datetime) -> None:
    """Write down the hours that are complete now, and those of agents that must be looked at again."""
    last = RolledHour.objects.order_by("-at").first()
    first: datetime | None = last.at + HOUR if last else Result.unscoped.aggregate(first=Min("due_at"))["first"]
    if first:
        begin, count = hour_of(first), int((now - GRACE - hour_of(first)) / HOUR)
        due = [RolledHour(at=begin + HOUR * place) for place in range(min(count, MOST_HOURS_A_RUN))]
        RolledHour.objects.bulk_create(due, ignore_conflicts=True)  # rival: another worker
    if Region.objects.filter(is_private=True).exists():
        early = RolledHour.objects.filter(at__gt=now - 2 * DAY, at__lte=now - HOUR - AGENTS_GRACE)
        early.filter(rolled_at__lt=F("at") + HOUR + AGENTS_GRACE).update(rolled_at=None)


def _hours_to_roll() -> list[datetime]:
    return list(RolledHour.objects.filter(rolled_at=None).order_by("at").values_list("at", flat=True))


@transaction.atomic
def _roll_hour(at: datetime) -> bool:
    """Roll one hour up, as a whole and with its day; return whether it was ours to do."""
    # Rivals: other workers; whoever holds the row does it.
    hour = RolledHour.objects.select_for_update(skip_locked=True).filter(at=at, rolled_at=None).first()
    if hour is None:
        return False
    HourRollup.unscoped.filter(at=at).delete()
    _execute(ROLL_HOUR, at, at + HOUR)
    hour.rolled_at = clock.now()
    hour.save(update_fields=["rolled_at"])
    _complete_day(day_of(at))
    return True


def _complete_day(day: datetime) -> None:
    """Roll a day up with the last of its hours that wait: whoever is killed in between has rolled neither."""
    # Rival: another worker that rolls another hour of the day; the later one sees both.
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"rollup:{day:%Y-%m-%d}"])
    if RolledHour.objects.filter(rolled_at=None, at__gte=day, at__lt=day + DAY).exists():
        return
    DayRollup.unscoped.filter(at=day).delete()
    _execute(ROLL_DAY, day, day + DAY)


def _execute(statement: str, at: datetime, until: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"at": at, "until": until})


def rolled_until() -> datetime:
    """Return the instant before which all hours are rolled up; readers take what is later from the results."""
    last = RolledHour.objects.filter(rolled_at__isnull=False).order_by("-at").first()
    return last.at + HOUR if last else datetime(1970, 1, 1, tzinfo=UTC)


SERIES = f"""
WITH part AS (
    SELECT at, failed + good + slow + unmeasured AS results, failed, phase_sums, phase_counts, sum_ms, timed, max_ms
    FROM checks_hourrollup WHERE check_id = %(check_id)s AND at >= %(since)s AND at < least(%(until)s, %(rolled)s)
    UNION ALL
    SELECT date_trunc('hour', due_at), count(*), count(*) FILTER (WHERE verdict = {Verdict.FAILURE}),
           ARRAY[{PHASE_SUMS}]::float8[], ARRAY[{PHASE_COUNTS}]::int4[], coalesce(sum(total_ms::float8), 0), count(total_ms),
           max(total_ms)
    FROM checks_result WHERE check_id = %(check_id)s AND due_at >= greatest(%(since)s, %(rolled)s) AND due_at < %(until)s
    GROUP BY 1
)
SELECT date_bin(%(step)s::interval, at, %(since)s) AS bin, sum(results)::int8, sum(failed)::int8,
       {", ".join(f"sum(phase_sums[{place}]) / nullif(sum(phase_counts[{place}]), 0)" for place in PLACES)},
       sum(sum_ms) / nullif(sum(timed), 0), max(max_ms)
FROM part GROUP BY bin ORDER BY bin
"""  # noqa: S608 - constants of this app alone


def rolled_series(check_id: UUID, *, since: datetime, until: datetime, step: timedelta) -> list[Bin]:
    """Return what `latency_series` does, for whole hours: ``since`` begins one, and ``step`` is a number of them."""
    given: dict[str, Any] = {"check_id": check_id, "since": since, "until": until, "step": str(step)}
    with connection.cursor() as cursor:
        cursor.execute(SERIES, {**given, "rolled": rolled_until()})
        return [Bin(row[0], row[1], row[2], tuple(row[3 : 3 + len(PHASES)]), row[-2], row[-1]) for row in cursor]


AVAILABILITY = f"""
WITH part AS (
    SELECT failed, good + slow AS well, sum_ms, timed, buckets, bucket_counts
    FROM checks_hourrollup WHERE check_id = %(check_id)s AND at >= %(first)s AND at < %(rolled)s
    UNION ALL
    SELECT count(*) FILTER (WHERE verdict = {Verdict.FAILURE}), count(*) FILTER (WHERE verdict <> {Verdict.FAILURE}),
           coalesce(sum(total_ms::float8), 0), count(total_ms),
           array_agg({BUCKET_SQL.format(column="total_ms")}) FILTER (WHERE total_ms IS NOT NULL),
           array_agg(1) FILTER (WHERE total_ms IS NOT NULL)
    FROM checks_result
    WHERE check_id = %(check_id)s AND due_at >= %(since)s AND verdict <> {Verdict.UNKNOWN}
      AND (due_at < %(first)s OR due_at >= greatest(%(rolled)s, %(first)s))
)
SELECT coalesce(sum(failed + well), 0)::int8, coalesce(sum(well), 0)::int8, sum(sum_ms) / nullif(sum(timed), 0), (
    SELECT jsonb_object_agg(bucket, held) FROM (
        SELECT bucket, sum(held) AS held FROM part CROSS JOIN LATERAL unnest(buckets, bucket_counts) AS each (bucket, held)
        GROUP BY bucket
    ) AS shape
)
FROM part
"""  # noqa: S608 - constants of this app alone


@dataclass(frozen=True, slots=True)
class RolledAvailability(Availability):
    """Counts of results in a stretch of time, and a time that 95 of 100 answers took less than."""

    p95_ms: float | None = None


def rolled_availability(check_id: UUID, *, since: datetime) -> RolledAvailability:
    """Count a check's results since then, mostly from whole hours; what was not measured is left out."""
    first = hour_of(since) if since == hour_of(since) else hour_of(since) + HOUR
    given: dict[str, Any] = {"check_id": check_id, "since": since, "first": first, "rolled": rolled_until()}
    with connection.cursor() as cursor:
        cursor.execute(AVAILABILITY, given)
        measured, good, average, shape = cursor.fetchone()
    counts = {int(bucket): int(held) for bucket, held in json.loads(shape or "{}").items()}
    return RolledAvailability(measured, good, average, percentile(counts, 0.95))
