"""Storing results: one COPY into a staging table, then one statement that keeps the results, moves the turns and judges each
region's standing. Only checks of which a region changed its mind, or lost or regained its say, are looked at again
(`apps.checks.domain.judging`).

COPY cannot write tables under row-level security, hence the staging table; it lives in the session and empties itself at
each commit.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.checks.domain.judging import rejudge
from apps.checks.domain.patience import BRIEF, MAX_RETRIES, OUTAGES, PLACES
from apps.checks.domain.rollups import note_overdue
from apps.checks.domain.turns import hurry_other_regions
from apps.checks.domain.verdicts import BLIND_AFTER, BLIND_INTERVALS
from apps.checks.enums import Verdict
from apps.checks.models import MAIN_REGION, Flip
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import system_scope


@dataclass(slots=True)  # a frozen one costs three times as much to make, and each probe makes one
class NewResult:
    """What a probe saw, times in milliseconds."""

    check_id: UUID
    tenant_id: UUID
    due_at: datetime
    started_at: datetime
    verdict: int
    region_id: int = MAIN_REGION
    status_code: int | None = None
    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    transfer_ms: float | None = None
    total_ms: float | None = None
    body_bytes: int | None = None
    remote_ip: str | None = None
    error_code: str = ""
    error_values: dict[str, Any] | None = None
    details: dict[str, Any] | None = None


STAGING = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_result (
    check_id uuid, tenant_id uuid, region_id int2, due_at timestamptz, started_at timestamptz, verdict int2,
    status_code int2, dns_ms float4, connect_ms float4, tls_ms float4, first_byte_ms float4, transfer_ms float4,
    total_ms float4, body_bytes int4, remote_ip text, error_code text, error_values text, details text
) ON COMMIT DELETE ROWS
"""
STAGING_TYPES = (
    *("uuid", "uuid", "int2", "timestamptz", "timestamptz", "int2", "int2"),
    *("float4",) * 6,
    *("int4", "text", "text", "text", "text"),
)
COPY = "COPY staged_result FROM STDIN (FORMAT BINARY)"


def _is_blind(row: str) -> str:
    """`verdicts.is_blind` in SQL, of a turn as it was or as it became."""
    return f"""coalesce({row}.last_verdict = {Verdict.UNKNOWN} AND {row}.last_result_at - {row}.run_since_at >= make_interval(
                  secs => greatest({BLIND_AFTER.total_seconds()}, {BLIND_INTERVALS} * watched.interval_seconds)), false)"""


# The rule of `apps.checks.domain.verdicts`, for a whole batch. Two guards against a prober whose lease ran out while it was
# still at work: a result that is stored already is not fresh, and a turn that has moved on is not moved again.
STORE = f"""
WITH fresh AS (
    INSERT INTO checks_result (check_id, tenant_id, region_id, due_at, started_at, verdict, status_code, dns_ms, connect_ms,
                               tls_ms, first_byte_ms, transfer_ms, total_ms, body_bytes, remote_ip, error_code,
                               error_values, details)
    SELECT staged.check_id, staged.tenant_id, staged.region_id, staged.due_at, staged.started_at,
           CASE WHEN staged.verdict = {Verdict.SUCCESS} AND staged.total_ms > watched.degraded_ms
                THEN {Verdict.DEGRADED} ELSE staged.verdict END,
           staged.status_code, staged.dns_ms, staged.connect_ms, staged.tls_ms, staged.first_byte_ms,
           staged.transfer_ms, staged.total_ms, staged.body_bytes, staged.remote_ip::inet, staged.error_code,
           staged.error_values::jsonb, staged.details::jsonb
    FROM staged_result AS staged JOIN checks_check AS watched ON watched.id = staged.check_id
    ORDER BY staged.check_id
    ON CONFLICT DO NOTHING
    RETURNING check_id, region_id, due_at, started_at, verdict, total_ms, error_code, error_values
), moved AS (
    UPDATE checks_turn AS turn
    SET opinion = became.opinion, failures = became.failures, successes = became.successes,
        run_since_at = CASE WHEN was.last_verdict = fresh.verdict OR became.recovers THEN was.run_since_at
                            ELSE fresh.started_at END,
        last_verdict = fresh.verdict, last_result_at = fresh.started_at, last_ms = fresh.total_ms,
        last_error = fresh.error_code, last_error_values = fresh.error_values,
        -- What was forgiven before runs were counted says nothing of them: such counts begin anew.
        measured = least(CASE WHEN was.runs IS NULL AND was.forgiven > 0 THEN 0 ELSE was.measured END + became.learned,
                         1000000000),
        forgiven = least(CASE WHEN was.runs IS NULL THEN 0 ELSE was.forgiven END + became.forgiven, 1000000000),
        runs = CASE WHEN ended.place IS NULL THEN was.runs ELSE ARRAY(
            SELECT coalesce(was.runs[place], 0) + (place = ended.place)::int FROM generate_series(1, {PLACES}) AS place
            ORDER BY place
        ) END,
        due_at = following.at, claimable_at = following.at
    FROM fresh JOIN checks_check AS watched ON watched.id = fresh.check_id
    JOIN checks_turn AS was ON was.check_id = fresh.check_id AND was.region_id = fresh.region_id
    CROSS JOIN LATERAL (
        SELECT CASE fresh.verdict WHEN {Verdict.FAILURE} THEN least(was.failures + 1, 1000000) ELSE 0 END AS failures,
               CASE WHEN fresh.verdict IN ({Verdict.SUCCESS}, {Verdict.DEGRADED})
                    THEN least(was.successes + 1, 1000000) ELSE 0 END AS successes,
               CASE WHEN fresh.verdict = {Verdict.UNKNOWN} THEN NULL
                    WHEN fresh.verdict = {Verdict.FAILURE}
                    THEN CASE WHEN was.failures >= watched.retries THEN {Verdict.FAILURE} ELSE was.opinion END
                    WHEN was.opinion = {Verdict.FAILURE} AND was.successes + 1 < watched.recoveries THEN was.opinion
                    ELSE fresh.verdict END AS opinion,
               was.opinion = {Verdict.FAILURE} AND was.successes > 0
                   AND fresh.verdict IN ({Verdict.SUCCESS}, {Verdict.DEGRADED}) AS recovers,
               CASE WHEN became_well.is_well THEN 1 + was.failures ELSE 0 END AS learned,
               CASE WHEN became_well.is_well THEN was.failures ELSE 0 END AS forgiven
        FROM (SELECT fresh.verdict IN ({Verdict.SUCCESS}, {Verdict.DEGRADED})
                     AND was.opinion IN ({Verdict.SUCCESS}, {Verdict.DEGRADED}) AS is_well) AS became_well
    ) AS became
    -- Which run of failures a good result ends, as a history counts them. Within an outage those up to the retries are none;
    -- longer ones are each counted, where several recoveries are asked for: nothing here tells that the outage is counted.
    CROSS JOIN LATERAL (
        SELECT CASE WHEN fresh.verdict NOT IN ({Verdict.SUCCESS}, {Verdict.DEGRADED}) OR was.failures = 0 THEN NULL
                    WHEN was.opinion IN ({Verdict.SUCCESS}, {Verdict.DEGRADED}) THEN least(was.failures, {MAX_RETRIES})
                    WHEN was.opinion IS NULL OR was.failures <= watched.retries THEN NULL
                    WHEN was.failures <= watched.retries + 2 THEN {BRIEF} + watched.retries + 1
                    ELSE {OUTAGES} + 1 END AS place
    ) AS ended
    CROSS JOIN LATERAL (
        SELECT CASE WHEN CASE WHEN became.opinion = {Verdict.FAILURE} THEN became.successes > 0 ELSE became.failures > 0 END
            THEN clock_timestamp() + make_interval(secs => least(watched.retry_interval_seconds, watched.interval_seconds))
            ELSE fresh.due_at + make_interval(secs => watched.interval_seconds) * greatest(
                floor(extract(epoch FROM clock_timestamp() - fresh.due_at) / watched.interval_seconds) + 1, 1)
        END AS at
    ) AS following
    WHERE turn.check_id = fresh.check_id AND turn.region_id = fresh.region_id
      AND turn.due_at = fresh.due_at AND turn.claimable_at IS NOT NULL
    RETURNING turn.check_id, turn.region_id, turn.failures, turn.opinion IS DISTINCT FROM was.opinion AS is_changed,
              cardinality(watched.regions) > 1 AS has_others,
              cardinality(watched.regions) > 1 AND {_is_blind("was")} <> {_is_blind("turn")} AS has_other_say
), noticed AS (
    SELECT check_id, region_id, is_changed OR failures = 1 AND has_others AS is_news,
           is_changed OR has_other_say AS may_flip
    FROM moved
)
SELECT check_id, region_id, is_news, may_flip FROM noticed WHERE is_news OR may_flip
"""  # noqa: S608 - constants of this app alone


@dataclass(frozen=True, slots=True)
class Stored:
    """What a batch changed."""

    flips: list[Flip]


def store_results(results: Iterable[NewResult]) -> Stored:
    """Store a batch in one transaction and tell its flips. A turn stored already is passed over; of one that has moved on
    the result is kept and judges nothing.

    A batch holds at most one result per check and region. Runs without an open scope: it serves every tenant.
    """
    given = list(results)
    rows = [_row(result) for result in given]
    with system_scope("a prober's batch holds results of many tenants"), transaction.atomic():
        with connection.cursor() as cursor:
            prefer_keys(cursor, STAGING)
            _copy(cursor, rows)
            cursor.execute(STORE)
            noticed: list[tuple[UUID, int, bool, bool]] = cursor.fetchall()
        note_overdue(result.due_at for result in given)
        if not noticed:
            return Stored([])
        hurry_other_regions([(check_id, region_id) for check_id, region_id, is_news, _may_flip in noticed if is_news])
        return Stored(rejudge(check_id for check_id, _region_id, _is_news, may_flip in noticed if may_flip))


def _copy(cursor: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    with connection.wrap_database_errors, cursor.copy(COPY) as copy:  # as Django does for all but COPY
        copy.set_types(STAGING_TYPES)
        for row in rows:
            copy.write_row(row)


def _row(result: NewResult) -> tuple[Any, ...]:
    return (
        *(result.check_id, result.tenant_id, result.region_id, result.due_at, result.started_at, result.verdict),
        *(result.status_code, result.dns_ms, result.connect_ms, result.tls_ms, result.first_byte_ms),
        *(result.transfer_ms, result.total_ms, result.body_bytes, result.remote_ip, result.error_code),
        json.dumps(result.error_values) if result.error_values else None,
        json.dumps(result.details) if result.details else None,
    )


def by_tenant(results: Iterable[NewResult]) -> dict[UUID, list[UUID]]:
    """Return the checks of a batch by tenant, for those who watch live."""
    grouped: dict[UUID, list[UUID]] = {}
    for result in results:
        grouped.setdefault(result.tenant_id, []).append(result.check_id)
    return grouped
