"""The last days of many checks, exact to the second, from what each check was and when it changed.

A check's state is already what its regions came to, after retries, and knows maintenance and lost sight; so the days are
the same as those of its outages, up to this moment, and cost as much as there were changes. What late results say of
times that are unknown by the changes counts as what it was.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from struct import unpack
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from apps.checks.domain.calendars import SECOND, Calendar, Life
from apps.checks.domain.days import DAYS, Day, day_bounds
from apps.core import clock

# PostgreSQL sends a moment as microseconds since then, in eight bytes: tens of thousands cost neither side much.
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
EPOCH_SECONDS = int(EPOCH.timestamp())

# Each check's changes come from entries of an index (`checks_flip_days`): none has to be sorted or matched.
LIVES = """
SELECT watched.id, timestamptz_send(watched.created_at), now_it.state, moved.*, late.*
FROM checks_check AS watched JOIN checks_checkstate AS now_it ON now_it.check_id = watched.id
CROSS JOIN LATERAL (
    SELECT string_agg(timestamptz_send(at), '' ORDER BY sequence), string_agg(before, ' ' ORDER BY sequence)
    FROM checks_flip WHERE checks_flip.check_id = watched.id AND at >= %(since)s
) AS moved
LEFT JOIN (
    SELECT check_id, string_agg(timestamptz_send(since_at), ''), string_agg(timestamptz_send(until_at), ''),
           string_agg(state, ' ')
    FROM checks_hindsight WHERE check_id = ANY(%(check_ids)s::uuid[]) AND until_at > %(since)s AND since_at < %(now)s
    GROUP BY check_id
) AS late ON late.check_id = watched.id
WHERE watched.id = ANY(%(check_ids)s::uuid[])
"""


def daily_uptime(check_ids: Iterable[UUID], *, zone: ZoneInfo, days: int = DAYS) -> dict[UUID, list[Day]]:
    """Return each check's last days in that zone, today last and up to now, by one question."""
    wanted, now = list(check_ids), clock.now()
    bounds = day_bounds(now.astimezone(zone).date(), days, zone)
    calendar = Calendar([bound - EPOCH_SECONDS for bound in bounds], (now - EPOCH) // timedelta(microseconds=1))
    since = datetime.fromtimestamp(bounds[0], tz=zone)
    with connection.cursor() as cursor:
        # As one word: a thousand ids, each made a literal of its own, cost as much as all else that is asked for.
        listed = "{" + ",".join(check_id.hex for check_id in wanted) + "}"
        cursor.execute(LIVES, {"check_ids": listed, "since": since, "now": now})
        found = {check_id: calendar.days_of(_life(*row)) for check_id, *row in cursor.fetchall()}
    return {check_id: found[check_id] for check_id in wanted if check_id in found}


def _life(
    born: bytes,
    state: str,
    moments: bytes | None,
    befores: str | None,
    _check_id: UUID | None,
    late_since: bytes | None,
    late_until: bytes | None,
    late_states: str | None,
) -> Life:
    first = _numbers(born)[0] // SECOND
    changes = zip(_numbers(moments), befores.split(), strict=True) if moments and befores else ()
    if not (late_since and late_until and late_states):
        return Life(first, state, changes)
    late = zip(_numbers(late_since), _numbers(late_until), late_states.split(), strict=True)
    return Life(first, state, changes, list(late))


def _numbers(sent: bytes) -> tuple[int, ...]:
    return unpack(f">{len(sent) // 8}q", sent)
