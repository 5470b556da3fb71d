"""Which of an agent's results are taken: those of its own checks, of times it can have seen, and no more of them than the
checks can have had turns. The rest is dropped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from apps.checks.domain.agent_wire import CLOCKS_MAY_DIFFER
from apps.checks.domain.late_results import judges_for
from apps.checks.domain.patience import MAX_RETRIES
from apps.checks.domain.results import NewResult
from apps.checks.models import MIN_INTERVAL_SECONDS, Agent, Turn
from apps.core import clock
from apps.core.postgres.hints import prefer_keys

# An agent goes on for half an hour and may need as long again to bring what it saw; what it names besides was never asked of it.
OLDEST, NEWEST = timedelta(minutes=65), timedelta(seconds=60)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Beyond its grid and its retries a check has turns that other regions' news or people's edits brought forward; and while the
# server is away each of an agent's processes that had it last goes on with it, on a grid of its own.
SPARE = 8


@dataclass(frozen=True, slots=True)
class Sorted:
    """An agent's results: those that judge, those that come late, and how many it had no business to send."""

    live: list[NewResult]
    late: list[NewResult]
    dropped: int


@dataclass(frozen=True, slots=True)
class Means:
    """What a check of the agent's can have brought: ``room`` results in each ``slot``, besides that of the turn due now."""

    due_at: datetime
    judges_for: timedelta
    slot: timedelta
    room: int

    def slot_of(self, due_at: datetime) -> datetime:
        """Return when the slot begins that a moment lies in."""
        return EPOCH + (due_at - EPOCH) // self.slot * self.slot


def one_at_a_time(agent: Agent) -> None:
    """Rival: another request of this agent, whose results would not be counted. Until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"late results of {agent.id}"])


def sort_out(agent: Agent, results: Sequence[NewResult]) -> Sorted:
    """Part results by their age; what is not to be taken is counted."""
    now, means = clock.now(), _means(agent, {result.check_id for result in results})
    plausible = [result for result in results if result.check_id in means and _is_plausible(result, now)]
    taken = _within_means(agent, plausible, means, now)
    for result in taken:
        result.started_at = min(max(result.started_at, result.due_at), now)  # its clock need not be ours
    late = [result for result in taken if now - result.due_at > means[result.check_id].judges_for]
    live = [result for result in taken if now - result.due_at <= means[result.check_id].judges_for]
    return Sorted(live, late, len(results) - len(taken))


def _is_plausible(result: NewResult, now: datetime) -> bool:
    return (
        now - OLDEST <= result.due_at <= now + NEWEST
        and now - OLDEST - CLOCKS_MAY_DIFFER <= result.started_at <= now + NEWEST + CLOCKS_MAY_DIFFER
    )


# --- how many there can be --------------------------------------------------------------------------------------------

TIMING = ("interval_seconds", "timeout_seconds", "retries", "recoveries", "regions", "updated_at")


def _means(agent: Agent, check_ids: set[UUID]) -> dict[UUID, Means]:
    """Return what each of the checks can have brought that is the agent's own."""
    if not check_ids:
        return {}
    own = Turn.objects.filter(region_id=agent.region_id, watched__in=check_ids)
    found = own.values_list("watched_id", "due_at", *(f"watched__{name}" for name in TIMING))
    return {check_id: _means_of(*timing) for check_id, *timing in found}


def _means_of(
    due_at: datetime,
    interval_seconds: int,
    timeout_seconds: int,
    retries: int,
    recoveries: int,
    regions: Sequence[int],
    updated_at: datetime,
) -> Means:
    """A step of a whole interval lies between two runs of retries, so that no slot of an interval has turns of both."""
    seconds, in_a_row = interval_seconds, max(retries, recoveries)
    if updated_at > clock.now() - OLDEST:  # who was away went by what it was before
        seconds, in_a_row = min(interval_seconds, MIN_INTERVAL_SECONDS), MAX_RETRIES
    return Means(
        due_at=due_at,
        judges_for=judges_for(interval_seconds=interval_seconds, timeout_seconds=timeout_seconds),
        slot=timedelta(seconds=seconds),
        room=in_a_row + len(regions) + SPARE,
    )


# Asked row by row of one relation alone, so that no plan can be bad.
SURPLUS = """
WITH fresh AS MATERIALIZED (
    SELECT given.*, dense_rank() OVER (PARTITION BY given.check_id, given.since_at ORDER BY given.due_at) AS place
    FROM unnest(%(numbers)s::int4[], %(checks)s::uuid[], %(dues)s::timestamptz[], %(sinces)s::timestamptz[],
                %(untils)s::timestamptz[], %(rooms)s::int4[])
         AS given (number, check_id, due_at, since_at, until_at, room)
    WHERE (SELECT true FROM checks_result AS known
           WHERE known.check_id = given.check_id AND known.due_at = given.due_at AND known.region_id = %(region)s
           LIMIT 1) IS NULL
)
SELECT fresh.number FROM fresh
WHERE fresh.place + (
    SELECT count(*) FROM (
        SELECT FROM checks_result AS kept
        WHERE kept.check_id = fresh.check_id AND kept.due_at >= fresh.since_at AND kept.due_at < fresh.until_at
          AND kept.region_id = %(region)s
        LIMIT fresh.room
    ) AS counted) > fresh.room
"""


def _within_means(
    agent: Agent, results: Sequence[NewResult], means: Mapping[UUID, Means], now: datetime
) -> list[NewResult]:
    """Return all but those that are too many. What is stored already is none of these, nor is the answer to a turn."""
    doubtful = [
        (number, result)
        for number, result in enumerate(results)
        if result.due_at != means[result.check_id].due_at or result.due_at > now
    ]
    surplus = _surplus(agent, doubtful, means) if doubtful else frozenset()
    return [result for number, result in enumerate(results) if number not in surplus]


def _surplus(agent: Agent, doubtful: Iterable[tuple[int, NewResult]], means: Mapping[UUID, Means]) -> frozenset[int]:
    rows = [(number, result.check_id, result.due_at, means[result.check_id]) for number, result in doubtful]
    sinces = [own.slot_of(due_at) for _number, _check_id, due_at, own in rows]
    given: dict[str, Any] = {
        "numbers": [row[0] for row in rows],
        "checks": [row[1] for row in rows],
        "dues": [row[2] for row in rows],
        "sinces": sinces,
        "untils": [since + row[3].slot for since, row in zip(sinces, rows, strict=True)],
        "rooms": [row[3].room for row in rows],
        "region": agent.region_id,
    }
    with connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(SURPLUS, given)
        return frozenset(number for (number,) in cursor.fetchall())
