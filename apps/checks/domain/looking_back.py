"""Looking back at checks of which results came late: what were they while nobody seemed to look?

The answer is kept beside their flips, which stay as they are: no outage follows from it, and nobody is told.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.checks.domain.hindsight import Piece, Rules, Seen, look_back
from apps.checks.domain.looking_back_groups import look_back_at_groups
from apps.checks.domain.rollups import KEEP_DAYS
from apps.checks.domain.unknown_times import (
    REACHES_BACK,
    Noted,
    UnknownTime,
    flips_from,
    forget,
    rows_of,
    unknown_times,
)
from apps.checks.models import Hindsight
from apps.core import clock
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import system_scope, tenant_scope
from apps.live.domain.publish import publish_many

logger = logging.getLogger(__name__)

CHECKS_AT_ONCE = 50  # in one transaction, for which results of these checks that come meanwhile wait
# Whatever lies in the tables, a worker that serves everybody keeps its memory: so many times are read at once, of each so
# many results. Of a check at the shortest interval twenty regions leave 16,000 in the two hours and more that a look reads.
TIMES_AT_ONCE = 10
MOST_RESULTS = 20_000
ROWS_AT_ONCE = 1_000

# Rivals: other workers and late results on their way hold the row of what they note, people who delete checks hold the
# check. Whoever notes a check that is being looked at waits, and it is looked at once more. The few notes come first, or
# PostgreSQL would go through all checks.
CLAIM = """
WITH noted AS MATERIALIZED (
    SELECT check_id, tenant_id, since_at, until_at FROM checks_lookback
    WHERE due_at <= now() OR due_at > now() + interval '1 minute' LIMIT %s FOR UPDATE SKIP LOCKED
), mine AS (
    SELECT noted.*, watched.interval_seconds, watched.retries, watched.recoveries, watched.confirmations
    FROM noted JOIN checks_check AS watched ON watched.id = noted.check_id FOR KEY SHARE OF watched SKIP LOCKED
), gone AS (
    DELETE FROM checks_lookback USING mine WHERE checks_lookback.check_id = mine.check_id
)
SELECT * FROM mine
"""
RESULTS = """
SELECT span.number, result.region_id, result.started_at, result.verdict
FROM unnest(%s::int4[], %s::uuid[], %s::timestamptz[], %s::timestamptz[]) AS span (number, check_id, since_at, until_at)
CROSS JOIN LATERAL (
    SELECT seen.region_id, seen.started_at, seen.verdict FROM checks_result AS seen
    WHERE seen.check_id = span.check_id AND seen.due_at >= span.since_at AND seen.due_at < span.until_at
    ORDER BY seen.due_at LIMIT %s
) AS result
ORDER BY span.number, result.started_at
"""


def look_back_at_late_results() -> int:
    """Work off the checks whose late results have stopped coming; return their number. Safe to repeat."""
    count = 0
    with system_scope("late results of every tenant are looked at together"):
        while done := _look_back_at_some():
            count += done
            if done < CHECKS_AT_ONCE:
                break
    return count


def forget_old_hindsight() -> None:
    """Drop what nothing shows any more."""
    with system_scope("one broom sweeps every tenant's old hindsight"):
        Hindsight.unscoped.filter(until_at__lt=clock.now() - KEEP_DAYS).delete()


@transaction.atomic
def _look_back_at_some() -> int:
    with connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(CLAIM, [CHECKS_AT_ONCE])
        noted = {row[0]: _noted(*row) for row in cursor.fetchall()}
        if not noted:
            return 0
        flips = flips_from(cursor, list(noted), [each.since_at for each in noted.values()])
        unknown = [part for check_id, own in flips.items() for part in unknown_times(noted[check_id], own)]
        for start in range(0, len(unknown), TIMES_AT_ONCE):
            _keep(cursor, unknown[start : start + TIMES_AT_ONCE])
    _tell(part.noted for part in [*unknown, *_look_back_at_groups(unknown)])
    return len(noted)


def _noted(
    check_id: UUID, tenant_id: UUID, since_at: datetime, until_at: datetime, interval_seconds: int, *judging: int
) -> Noted:
    return Noted(check_id, tenant_id, since_at, until_at, Rules(timedelta(seconds=interval_seconds), *judging))


def _keep(cursor: Any, unknown: Sequence[UnknownTime]) -> None:
    """Replace what was known of these times."""
    ends = [part.until or clock.now() + REACHES_BACK for part in unknown]
    check_ids = [part.noted.check_id for part in unknown]
    leads = [part.since - part.noted.rules.lead for part in unknown]
    cursor.execute(RESULTS, [list(range(len(unknown))), check_ids, leads, ends, MOST_RESULTS + 1])
    results = {number: list(rows) for number, rows in groupby(cursor.fetchall(), key=itemgetter(0))}
    forget(cursor, unknown, ends)
    rows = _rows(unknown, results)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        Hindsight.unscoped.bulk_create(some)


def _rows(unknown: Sequence[UnknownTime], results: Mapping[int, list[Any]]) -> Iterator[Hindsight]:
    for number, part in enumerate(unknown):
        found = results.get(number, [])
        if len(found) > MOST_RESULTS:
            text = "check %s has more than %d results since %s: what those after them say is not looked at"
            logger.warning(text, part.noted.check_id, MOST_RESULTS, part.since)
        yield from rows_of(part, _pieces(part, [Seen(*row[1:]) for row in found[:MOST_RESULTS]]))


def _pieces(part: UnknownTime, results: Sequence[Seen]) -> list[Piece]:
    return look_back(
        results, part.noted.rules, since=part.since, until=part.until, before=part.before, after=part.after
    )


def _look_back_at_groups(unknown: Iterable[UnknownTime]) -> list[UnknownTime]:
    """Have the groups of these checks learn what follows, tenant by tenant in one order: rivals wait for each other."""
    by_tenant: dict[UUID, list[UnknownTime]] = {}
    for part in unknown:
        by_tenant.setdefault(part.noted.tenant_id, []).append(part)
    learned: list[UnknownTime] = []
    for tenant_id in sorted(by_tenant):
        with tenant_scope(tenant_id):
            learned += look_back_at_groups(by_tenant[tenant_id])
    return learned


def _tell(changed: Iterable[Noted]) -> None:
    """Have open pages fetch the checks anew."""
    by_tenant: dict[str, list[str]] = {}
    for noted in changed:
        by_tenant.setdefault(f"tenant:{noted.tenant_id}", []).append(f"check:{noted.check_id}")
    publish_many(by_tenant)
