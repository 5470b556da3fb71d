"""Looking back at checks of which results came late: what were they while nobody seemed to look?

The answer is kept beside their flips, which stay as they are: no outage follows from it, and nobody is told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apps.checks.domain.hindsight import Rules, Seen, look_back
from apps.checks.domain.rollups import KEEP_DAYS
from apps.checks.enums import State
from apps.checks.models import Hindsight
from apps.core import clock
from apps.core.ids import uuid7
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import system_scope
from apps.live.domain.publish import publish_many

CHECKS_AT_ONCE = 200
# An unknown time may be months long: no more of it is judged anew than what late results may change.
REACHES_BACK = timedelta(hours=1)

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
# Each check's flips from the one that began the time, in their order.
FLIPS = """
SELECT flip.check_id, flip.at, flip.before, flip.after
FROM unnest(%s::uuid[], %s::timestamptz[]) AS noted (check_id, since_at)
CROSS JOIN LATERAL (
    SELECT coalesce(max(at), '-infinity') AS at FROM checks_flip WHERE check_id = noted.check_id AND at <= noted.since_at
) AS earlier
JOIN checks_flip AS flip ON flip.check_id = noted.check_id AND flip.at >= earlier.at
ORDER BY flip.check_id, flip.sequence
"""
RESULTS = """
SELECT span.number, result.region_id, result.started_at, result.verdict
FROM unnest(%s::int4[], %s::uuid[], %s::timestamptz[], %s::timestamptz[]) AS span (number, check_id, since_at, until_at)
JOIN checks_result AS result
  ON result.check_id = span.check_id AND result.due_at >= span.since_at AND result.due_at < span.until_at
ORDER BY span.number, result.started_at
"""
SPANS = "unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[]) AS span (check_id, since_at, until_at)"
FORGET = f"""
DELETE FROM checks_hindsight AS known USING {SPANS}
WHERE known.check_id = span.check_id AND known.since_at >= span.since_at AND known.since_at < span.until_at
"""  # noqa: S608 - constants of this module alone
CUT = f"""
UPDATE checks_hindsight AS known SET until_at = span.since_at FROM {SPANS}
WHERE known.check_id = span.check_id AND known.since_at < span.since_at AND known.until_at > span.since_at
"""  # noqa: S608 - constants of this module alone


@dataclass(frozen=True, slots=True)
class _Noted:
    """A check of which results came late, for moments from ``since_at`` to ``until_at``."""

    check_id: UUID
    tenant_id: UUID
    since_at: datetime
    until_at: datetime
    rules: Rules


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A time that flips call unknown, as far as it is judged anew, and the states on either side where they are near."""

    noted: _Noted
    since: datetime
    until: datetime | None
    before: str = ""
    after: str = ""


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
        cursor.execute(FLIPS, [list(noted), [each.since_at for each in noted.values()]])
        flips = cursor.fetchall()
        unknown = [
            part
            for check_id, own in groupby(flips, key=itemgetter(0))
            for part in _unknown_times(noted[check_id], [row[1:] for row in own])
        ]
        if unknown:
            _keep(cursor, unknown)
    _tell(part.noted for part in unknown)
    return len(noted)


def _noted(
    check_id: UUID, tenant_id: UUID, since_at: datetime, until_at: datetime, interval_seconds: int, *judging: int
) -> _Noted:
    return _Noted(check_id, tenant_id, since_at, until_at, Rules(timedelta(seconds=interval_seconds), *judging))


def _unknown_times(noted: _Noted, flips: Sequence[tuple[datetime, str, str]]) -> list[_Unknown]:
    """Return the unknown times that late results reach into. No flip comes before the one before it: clocks step back."""
    found: list[_Unknown] = []
    reach = noted.since_at - max(REACHES_BACK, noted.rules.good_for)
    at = flips[0][0]
    for place, (moment, before, after) in enumerate(flips):
        at = max(at, moment)
        if after != State.UNKNOWN or at >= noted.until_at + noted.rules.good_for:
            continue
        closing = flips[place + 1] if place + 1 < len(flips) else None
        until = max(at, closing[0]) if closing else None
        if until is None or until > max(at, noted.since_at):
            is_whole = at >= reach
            found.append(
                _Unknown(noted, max(at, reach), until, before if is_whole else "", closing[2] if closing else "")
            )
    return found


def _keep(cursor: Any, unknown: Sequence[_Unknown]) -> None:
    """Replace what was known of these times."""
    ends = [part.until or clock.now() + REACHES_BACK for part in unknown]
    check_ids = [part.noted.check_id for part in unknown]
    leads = [part.since - part.noted.rules.good_for for part in unknown]
    cursor.execute(RESULTS, [list(range(len(unknown))), check_ids, leads, ends])
    results = {
        number: [Seen(*row[1:]) for row in rows] for number, rows in groupby(cursor.fetchall(), key=itemgetter(0))
    }
    begins = [part.since for part in unknown]
    cursor.execute(FORGET, [check_ids, begins, ends])
    cursor.execute(CUT, [check_ids, begins, ends])
    Hindsight.unscoped.bulk_create(
        row for number, part in enumerate(unknown) for row in _rows(part, results.get(number, []))
    )


def _rows(part: _Unknown, results: Sequence[Seen]) -> list[Hindsight]:
    pieces = look_back(
        results, part.noted.rules, since=part.since, until=part.until, before=part.before, after=part.after
    )
    return [
        Hindsight(
            id=uuid7(),
            tenant_id=part.noted.tenant_id,
            watched_id=part.noted.check_id,
            since_at=piece.since,
            until_at=piece.until,
            state=piece.state,
        )
        for piece in pieces
    ]


def _tell(changed: Iterable[_Noted]) -> None:
    """Have open pages fetch the checks anew."""
    by_tenant: dict[str, list[str]] = {}
    for noted in changed:
        by_tenant.setdefault(f"tenant:{noted.tenant_id}", []).append(f"check:{noted.check_id}")
    publish_many(by_tenant)
