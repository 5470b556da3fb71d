"""Storing results: one COPY into a staging table, then one statement that keeps the results, moves the turns, judges the
checks and returns those that changed.

COPY cannot write tables under row-level security, hence the staging table; it lives in the session and empties itself at
each commit.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.checks.enums import State, Verdict
from apps.checks.events import FLIP_EVENTS
from apps.checks.models import Flip
from apps.core.ids import uuid7
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import system_scope
from apps.events.domain.outbox import emit_many


@dataclass(frozen=True, slots=True)
class NewResult:
    """What a probe saw, times in milliseconds."""

    check_id: UUID
    tenant_id: UUID
    due_at: datetime
    started_at: datetime
    verdict: int
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


STAGING = """
CREATE TEMPORARY TABLE IF NOT EXISTS staged_result (
    check_id uuid, tenant_id uuid, due_at timestamptz, started_at timestamptz, verdict int2, status_code int2,
    dns_ms float4, connect_ms float4, tls_ms float4, first_byte_ms float4, transfer_ms float4, total_ms float4,
    body_bytes int4, remote_ip text, error_code text, error_values text
) ON COMMIT DELETE ROWS
"""
STAGING_TYPES = (
    *("uuid", "uuid", "timestamptz", "timestamptz", "int2", "int2"),
    *("float4",) * 6,
    *("int4", "text", "text", "text"),
)
COPY = "COPY staged_result FROM STDIN (FORMAT BINARY)"

# The rule of `apps.checks.domain.verdicts`, for a whole batch. ``fresh`` is the guard: a result that is stored already
# (rival: a prober whose lease ran out while it was still at work) moves nothing.
STORE = f"""
WITH fresh AS (
    INSERT INTO checks_result (check_id, tenant_id, due_at, started_at, verdict, status_code, dns_ms, connect_ms, tls_ms,
                               first_byte_ms, transfer_ms, total_ms, body_bytes, remote_ip, error_code, error_values)
    SELECT staged.check_id, staged.tenant_id, staged.due_at, staged.started_at,
           CASE WHEN staged.verdict = {Verdict.SUCCESS} AND staged.total_ms > watched.degraded_ms
                THEN {Verdict.DEGRADED} ELSE staged.verdict END,
           staged.status_code, staged.dns_ms, staged.connect_ms, staged.tls_ms, staged.first_byte_ms,
           staged.transfer_ms, staged.total_ms, staged.body_bytes, staged.remote_ip::inet, staged.error_code,
           staged.error_values::jsonb
    FROM staged_result AS staged JOIN checks_check AS watched ON watched.id = staged.check_id
    ORDER BY staged.check_id
    ON CONFLICT DO NOTHING
    RETURNING check_id, due_at, started_at, verdict, total_ms, error_code, error_values
), held AS (
    SELECT fresh.*, standing.state AS before, standing.failures AS counted, standing.failing_since_at AS failing_since
    FROM fresh JOIN checks_checkstate AS standing USING (check_id)
    WHERE standing.state <> '{State.PAUSED}'
    ORDER BY fresh.check_id FOR UPDATE OF standing
), counted AS (
    SELECT held.*, watched.tenant_id, watched.retries, watched.interval_seconds, watched.retry_interval_seconds,
           CASE held.verdict WHEN {Verdict.FAILURE} THEN held.counted + 1
                WHEN {Verdict.UNKNOWN} THEN held.counted ELSE 0 END AS failures,
           CASE held.verdict WHEN {Verdict.FAILURE} THEN coalesce(held.failing_since, held.started_at)
                WHEN {Verdict.UNKNOWN} THEN held.failing_since END AS failing_since_at
    FROM held JOIN checks_check AS watched ON watched.id = held.check_id
), judged AS (
    SELECT counted.*,
           CASE WHEN verdict = {Verdict.SUCCESS} THEN '{State.UP}'
                WHEN verdict = {Verdict.DEGRADED} THEN '{State.DEGRADED}'
                WHEN verdict = {Verdict.FAILURE} AND failures > retries THEN '{State.DOWN}'
                ELSE before END AS after
    FROM counted
), timed AS (
    SELECT judged.*, CASE WHEN after = '{State.DOWN}' THEN failing_since_at ELSE started_at END AS flipped_at
    FROM judged
), moved AS (
    UPDATE checks_turn AS turn SET due_at = following.at, claimable_at = following.at
    FROM timed CROSS JOIN LATERAL (
        SELECT CASE WHEN timed.failures > 0 AND timed.after <> '{State.DOWN}'
            THEN clock_timestamp() + make_interval(secs => least(timed.retry_interval_seconds, timed.interval_seconds))
            ELSE timed.due_at + make_interval(secs => timed.interval_seconds) * greatest(
                floor(extract(epoch FROM clock_timestamp() - timed.due_at) / timed.interval_seconds) + 1, 1)
        END AS at
    ) AS following
    WHERE turn.check_id = timed.check_id AND turn.due_at = timed.due_at AND turn.claimable_at IS NOT NULL
), kept AS (
    UPDATE checks_checkstate AS standing
    SET state = timed.after, failures = timed.failures, failing_since_at = timed.failing_since_at,
        since_at = CASE WHEN timed.after = timed.before THEN standing.since_at ELSE timed.flipped_at END,
        last_result_at = timed.started_at, last_ms = timed.total_ms, last_error = timed.error_code
    FROM timed WHERE standing.check_id = timed.check_id
)
SELECT check_id, tenant_id, before, after, flipped_at, error_code, error_values::text FROM timed WHERE before <> after
"""  # noqa: S608 - constants of this app alone


@dataclass(frozen=True, slots=True)
class Stored:
    """What a batch changed."""

    flips: list[Flip]


def store_results(results: Iterable[NewResult]) -> Stored:
    """Store a batch in one transaction and tell its flips. A turn stored already is passed over.

    A batch holds at most one result per check. Runs without an open scope: it serves every tenant.
    """
    rows = [_row(result) for result in results]
    with system_scope("a prober's batch holds results of many tenants"), transaction.atomic():
        with connection.cursor() as cursor:
            prefer_keys(cursor, STAGING)
            _copy(cursor, rows)
            cursor.execute(STORE)
            flips = [_flip(*row) for row in cursor.fetchall()]
        Flip.unscoped.bulk_create(flips)
        emit_many(
            FLIP_EVENTS[flip.after](tenant_id=flip.tenant_id, check_id=flip.watched_id, flip_id=flip.id)
            for flip in flips
        )
    return Stored(flips)


def _copy(cursor: Any, rows: Sequence[tuple[Any, ...]]) -> None:
    with cursor.copy(COPY) as copy:
        copy.set_types(STAGING_TYPES)
        for row in rows:
            copy.write_row(row)


def _row(result: NewResult) -> tuple[Any, ...]:
    return (
        *(result.check_id, result.tenant_id, result.due_at, result.started_at, result.verdict, result.status_code),
        *(result.dns_ms, result.connect_ms, result.tls_ms, result.first_byte_ms, result.transfer_ms, result.total_ms),
        *(result.body_bytes, result.remote_ip, result.error_code),
        json.dumps(result.error_values) if result.error_values else None,
    )


def _flip(
    check_id: UUID, tenant_id: UUID, before: str, after: str, at: datetime, error_code: str, error_values: str | None
) -> Flip:
    return Flip(
        id=uuid7(),
        tenant_id=tenant_id,
        watched_id=check_id,
        at=at,
        before=before,
        after=after,
        error_code=error_code if after == State.DOWN else "",
        error_values=json.loads(error_values) if error_values and after == State.DOWN else {},
    )


def by_tenant(results: Iterable[NewResult]) -> dict[UUID, list[UUID]]:
    """Return the checks of a batch by tenant, for those who watch live."""
    grouped: dict[UUID, list[UUID]] = {}
    for result in results:
        grouped.setdefault(result.tenant_id, []).append(result.check_id)
    return grouped


def batches(results: Sequence[NewResult], size: int) -> Iterator[Sequence[NewResult]]:
    """Cut a long list into batches of at most ``size``."""
    for start in range(0, len(results), size):
        yield results[start : start + size]
