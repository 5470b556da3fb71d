"""The last days of many checks, exact to the second, from what each check was and when it changed.

A check's state is already what its regions came to, after retries, and knows maintenance and lost sight; so the days are
the same as those of its outages, up to this moment, and cost as much as there were changes. What late results say of
times that are unknown by the changes counts as what it was.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from math import ceil
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from apps.checks.domain.days import DAYS, Day, day_bounds
from apps.checks.domain.hindsight import Learned, known_of
from apps.checks.domain.spans import Span, without
from apps.checks.enums import State
from apps.core import clock

Time = tuple[int, int, int]  # its first second, its end, what it was

# One number for a time that was not simply up: its first second since the first day, how many seconds, what it was.
KIND_BITS, SECOND_BITS = 3, 24
SECONDS = (1 << SECOND_BITS) - 1
MAX_DAYS = 2**SECOND_BITS // 90_000  # a day has 25 hours at most
# The worse come first; where times touch the same second, it is theirs.
KINDS = (State.DOWN, State.DEGRADED, State.MAINTENANCE, State.UNKNOWN)
DOWN, DEGRADED, _MAINTENANCE, UNKNOWN = range(len(KINDS))
UNSEEN = len(KINDS)
LEARNED = {DOWN: State.DOWN, DEGRADED: State.DEGRADED}  # all else that is learned was up
KIND_MASK = (1 << KIND_BITS) - 1
WHENS = " ".join(f"WHEN '{state}' THEN {kind}" for kind, state in enumerate(KINDS))
FIRST, LAST = "floor(date_part('epoch', {}))::int8", "ceil(date_part('epoch', {}))::int8"

PACKED = f"""array_agg(((first - %(first)s) << {SECOND_BITS + KIND_BITS}) | ((last - first) << {KIND_BITS})
        | CASE state {WHENS} ELSE {UNSEEN} END)"""

# Whole seconds: what is touched counts. Flips are taken in their order, none before the one before it: clocks step back.
TIMES = f"""
WITH wanted AS (
    SELECT id AS check_id, {FIRST.format("created_at")} AS born, checks_checkstate.state
    FROM checks_check JOIN checks_checkstate ON check_id = id WHERE id = ANY(%(check_ids)s)
), moved AS (
    SELECT check_id, before AS state, at, coalesce(max(at) OVER earlier, %(since)s) AS since
    FROM checks_flip WHERE check_id = ANY(%(check_ids)s) AND at >= %(since)s
    WINDOW earlier AS (PARTITION BY check_id ORDER BY sequence ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
), times AS (
    SELECT check_id, state, {FIRST.format("since")} AS first, {LAST.format("greatest(at, since)")} AS last
    FROM moved WHERE state <> '{State.UP}'
    UNION ALL
    SELECT check_id, state, {FIRST.format("since")}, {LAST.format("greatest(since, %(now)s)")}
    FROM wanted CROSS JOIN LATERAL (
        SELECT coalesce(max(at), %(since)s) AS since FROM checks_flip
        WHERE checks_flip.check_id = wanted.check_id AND at >= %(since)s
    ) AS changed WHERE state <> '{State.UP}'
)
SELECT check_id, born, packed, learned FROM wanted LEFT JOIN (
    SELECT check_id, {PACKED} AS packed FROM times GROUP BY check_id
) AS each USING (check_id) LEFT JOIN (
    SELECT check_id, {PACKED} AS learned FROM (
        SELECT check_id, checks_hindsight.state, {FIRST.format("greatest(since_at, %(since)s)")} AS first,
               {LAST.format("least(until_at, %(now)s)")} AS last
        FROM wanted JOIN checks_hindsight USING (check_id) WHERE until_at > %(since)s AND since_at < %(now)s
    ) AS late GROUP BY check_id
) AS told USING (check_id)
"""  # noqa: S608 - constants alone


def daily_uptime(check_ids: Iterable[UUID], *, zone: ZoneInfo, days: int = DAYS) -> dict[UUID, list[Day]]:
    """Return each check's last days in that zone, today last and up to now, by one question."""
    wanted, now = list(check_ids), clock.now()
    calendar = Calendar(day_bounds(now.astimezone(zone).date(), min(days, MAX_DAYS), zone), ceil(now.timestamp()))
    since = datetime.fromtimestamp(calendar.bounds[0], tz=zone)
    with connection.cursor() as cursor:
        cursor.execute(TIMES, {"check_ids": wanted, "since": since, "first": calendar.bounds[0], "now": now})
        found = {row[0]: row for row in cursor.fetchall()}
    return {
        check_id: calendar.days_of(born, packed or (), learned or ())
        for check_id, born, packed, learned in (found[check_id] for check_id in wanted if check_id in found)
    }


class Calendar:
    """Some days up to now, and what times of a check make of them."""

    def __init__(self, bounds: Sequence[int], end: int) -> None:
        self.bounds, self._end = bounds, end
        # Most days of most checks are quiet, and shared.
        self._quiet = [Day(up=max(0, min(later, end) - midnight)) for midnight, later in pairwise(bounds)]

    def days_of(self, born: int, packed: Iterable[int], learned: Sequence[int] = ()) -> list[Day]:
        """Return the days of a check that was up but for those times; ``learned`` is what hindsight says of unknown ones."""
        days = list(self._quiet)
        place = 0
        while place < len(days) and self.bounds[place] < born:
            days[place] = Day(up=max(0, min(self.bounds[place + 1], self._end) - born))
            place += 1
        seconds: dict[int, list[int]] = {}
        for start, end, kind in self._known(packed, learned) if learned else self._apart(packed):
            self._spread(seconds, kind, max(start, born), min(end, self._end))
        for place, (down, degraded, maintenance, unknown, unseen) in seconds.items():
            up = days[place].up - down - degraded - maintenance - unknown - unseen
            days[place] = Day(up, degraded, down, maintenance)
        return days

    def _apart(self, packed: Iterable[int]) -> list[Time]:
        """Return the times without what others share: a second belongs to the worst of them, once."""
        first, times, reached, is_apart = self.bounds[0], [], 0, True
        for value in sorted(packed):
            start = first + (value >> SECOND_BITS + KIND_BITS)
            is_apart = is_apart and reached <= start
            reached = start + (value >> KIND_BITS & SECONDS)
            times.append((start, reached, value & KIND_MASK))
        return times if is_apart else _worst_first(times)

    def _known(self, packed: Iterable[int], learned: Iterable[int]) -> list[Time]:
        """Return the times apart, unknown ones as what they are known to have been by now."""
        times = list(map(self._unpacked, packed))
        unknown = [Span(start, end) for start, end, kind in times if kind == UNKNOWN]
        late = map(self._unpacked, learned)
        known = known_of(unknown, [Learned(Span(start, end), LEARNED.get(kind, State.UP)) for start, end, kind in late])
        told = [time for time in times if time[2] != UNKNOWN]
        for kind, spans in ((DOWN, known.down), (DEGRADED, known.degraded), (UNKNOWN, known.unseen)):
            told += [(start, end, kind) for start, end in spans]
        return _worst_first(told)

    def _unpacked(self, value: int) -> Time:
        start = self.bounds[0] + (value >> SECOND_BITS + KIND_BITS)
        return start, start + (value >> KIND_BITS & SECONDS), value & KIND_MASK

    def _spread(self, seconds: dict[int, list[int]], kind: int, start: int, end: int) -> None:
        """Add a time to the days it touches."""
        place = bisect_right(self.bounds, start) - 1
        while start < end:
            until = min(end, self.bounds[place + 1])
            if place not in seconds:
                seconds[place] = [0, 0, 0, 0, 0]
            seconds[place][kind] += until - start
            start, place = until, place + 1


def _worst_first(times: Iterable[Time]) -> list[Time]:
    taken: list[Span] = []
    apart: list[Time] = []
    for kind in range(UNSEEN + 1):
        left = without((Span(start, end) for start, end, its in times if its == kind), taken)
        taken += left
        apart += [(start, end, kind) for start, end in left]
    return apart
