"""When the runs began that reports name. A heartbeat remembers its newest start; where runs overlap, a report may end another."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import connection

from apps.checks.types.heartbeat import Signal

Run = tuple[UUID, UUID]  # a check, and what the job calls the run
Begun = dict[Run, datetime]

# Reads the index of pings that name a run: a few entries for each, however many pings there are. What ended once has no
# start any more; what only said something in between is passed over.
STARTS = f"""
SELECT asked.check_id, asked.run_id, newest.at
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (check_id, run_id)
CROSS JOIN LATERAL (
    SELECT ping.signal, ping.at FROM checks_ping AS ping
    WHERE ping.check_id = asked.check_id AND ping.run_id = asked.run_id
      AND ping.signal IN ('{Signal.START}', '{Signal.SUCCESS}', '{Signal.FAIL}')
    ORDER BY ping.number DESC LIMIT 1
) AS newest
WHERE newest.signal = '{Signal.START}'
"""  # noqa: S608 - constants of this app alone


def starts_of(runs: Collection[Run]) -> Begun:
    """Return when those of these runs began that are under way, as far as their pings are kept."""
    with connection.cursor() as cursor:
        cursor.execute(STARTS, [[check_id for check_id, _run in runs], [run for _check_id, run in runs]])
        return {(check_id, run): at for check_id, run, at in cursor.fetchall()}
