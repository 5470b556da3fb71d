"""Results that come late: what a prober saw while it could not reach us.

They are kept and shown, but judge nothing: nobody is paged for what is over. What they say of a time that nobody seemed to
have seen is looked up once they stop coming, or every ten minutes until then (`apps.checks.domain.looking_back`). Rows are bound
as one array per column, since COPY cannot write tables under row-level security and a staging table would have to be
emptied at each commit.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from psycopg import Cursor

from apps.checks.domain.results import NewResult
from apps.checks.domain.rollups import note_late
from apps.checks.enums import Verdict
from apps.core.postgres.hints import prefer_keys

# From when on a result no longer says how things are now, beyond the time that the probe itself may take.
LATE_AFTER = timedelta(seconds=60)
LATE_INTERVALS = 2
# What is stored, and as what it is bound.
COLUMNS = (
    *(("check_id", "uuid"), ("tenant_id", "uuid"), ("region_id", "int2"), ("due_at", "timestamptz")),
    *(("started_at", "timestamptz"), ("verdict", "int2"), ("status_code", "int2"), ("dns_ms", "float4")),
    *(("connect_ms", "float4"), ("tls_ms", "float4"), ("first_byte_ms", "float4"), ("transfer_ms", "float4")),
    *(("total_ms", "float4"), ("body_bytes", "int4"), ("remote_ip", "inet"), ("error_code", "text")),
    *(("error_values", "jsonb"), ("details", "jsonb")),
)
NAMES = ", ".join(name for name, _kind in COLUMNS)
JUDGED = f"""CASE WHEN given.verdict = {Verdict.SUCCESS} AND given.total_ms > watched.degraded_ms
           THEN {Verdict.DEGRADED} ELSE given.verdict END"""
WANTED = ", ".join(JUDGED if name == "verdict" else f"given.{name}" for name, _kind in COLUMNS)
# When a check's results stop coming, or after a while at most, `apps.checks.domain.looking_back` sees what they come to.
# Each look reads the whole time that nobody saw. An agent that was alone at full load brings a result of each check every
# ten seconds, for half an hour: to look after each of them, or each minute, kept the results themselves from coming.
QUIET, AT_MOST = timedelta(seconds=20), timedelta(minutes=10)
# A turn that such a result answers, or that lies before it, moves on to the next moment of its own grid: it would only be
# probed for a time that has been seen already. Rivals: people's edits, who lock turns in this order too.
KEEP = f"""
WITH given AS MATERIALIZED (
    SELECT * FROM unnest({", ".join(f"%b::{kind}[]" for _name, kind in COLUMNS)}) AS given({NAMES})
), kept AS (
    INSERT INTO checks_result ({NAMES})
    SELECT {WANTED}
    FROM given JOIN checks_check AS watched ON watched.id = given.check_id AND watched.tenant_id = given.tenant_id
    ORDER BY given.check_id, given.due_at
    ON CONFLICT DO NOTHING
    RETURNING check_id, tenant_id, due_at
), newest AS (
    SELECT check_id, region_id, max(due_at) AS due_at FROM given GROUP BY check_id, region_id
), behind AS MATERIALIZED (
    SELECT turn.check_id, turn.region_id, turn.due_at, watched.interval_seconds
    FROM newest JOIN checks_check AS watched ON watched.id = newest.check_id
    JOIN checks_turn AS turn ON turn.check_id = newest.check_id AND turn.region_id = newest.region_id
    WHERE turn.due_at <= newest.due_at AND turn.claimable_at IS NOT NULL
    ORDER BY turn.check_id, turn.region_id FOR NO KEY UPDATE OF turn
), moved AS (
    UPDATE checks_turn AS turn SET due_at = following.at, claimable_at = following.at
    FROM behind CROSS JOIN LATERAL (
        SELECT behind.due_at + make_interval(secs => behind.interval_seconds) * greatest(
            floor(extract(epoch FROM clock_timestamp() - behind.due_at) / behind.interval_seconds) + 1, 1) AS at
    ) AS following
    WHERE turn.check_id = behind.check_id AND turn.region_id = behind.region_id
), noted AS (
    INSERT INTO checks_lookback AS already (check_id, tenant_id, since_at, until_at, noted_at, due_at)
    SELECT check_id, tenant_id, min(due_at), max(due_at), now(), now() + interval '{QUIET.total_seconds()} seconds'
    FROM kept GROUP BY check_id, tenant_id ORDER BY check_id
    ON CONFLICT (check_id) DO UPDATE SET
        since_at = least(already.since_at, excluded.since_at), until_at = greatest(already.until_at, excluded.until_at),
        due_at = least(already.noted_at + interval '{AT_MOST.total_seconds()} seconds', excluded.due_at)
)
SELECT due_at FROM kept
"""  # noqa: S608 - constants of this module alone


def judges_for(*, interval_seconds: int, timeout_seconds: int) -> timedelta:
    """Return how old a result may be that still judges, of a check that is probed so: one rule for all probers."""
    return max(LATE_AFTER, LATE_INTERVALS * timedelta(seconds=interval_seconds)) + timedelta(seconds=timeout_seconds)


def each_judges_for(timings: Iterable[tuple[UUID, int, int]]) -> dict[UUID, timedelta]:
    """Return the same of many checks, given with their intervals and timeouts in seconds."""
    return {
        check_id: judges_for(interval_seconds=interval, timeout_seconds=timeout)
        for check_id, interval, timeout in timings
    }


@transaction.atomic
def store_late(results: Sequence[NewResult]) -> int:
    """Keep late results of the open scope and return how many were new. Safe to repeat: each is kept once."""
    if not results:
        return 0
    with connection.cursor() as cursor:
        prefer_keys(cursor)  # sends the open scope, too
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:  # bound on the server, in binary
        cursor.execute(KEEP, [[value(result) for result in results] for value in VALUES], prepare=False)
        stored: list[datetime] = [due_at for (due_at,) in cursor.fetchall()]
    note_late(stored)
    return len(stored)


def _value(name: str, kind: str) -> Callable[[NewResult], Any]:
    if kind == "jsonb":
        return lambda result: json.dumps(getattr(result, name)) if getattr(result, name) else None
    return lambda result: getattr(result, name)


VALUES = tuple(_value(name, kind) for name, kind in COLUMNS)
