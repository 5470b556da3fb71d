"""Turns: when each check is probed from a region, and which prober holds it.

A turn is named by its ``due_at``. Claiming moves ``claimable_at`` ahead by a lease; storing the result moves both to the
next turn. A prober that dies lets its leases run out, and the same turn is claimed again, so each turn has one result.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from apps.checks.enums import Verdict
from apps.checks.models import MAIN_REGION, Check, Region, Turn
from apps.core import clock
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import system_scope

LEASE = timedelta(seconds=8)
# Of a turn whose probe takes long, so that it is leased anew seldom: what a dead prober was at still waits less than 30 s.
EXTENSION = timedelta(seconds=16)
# Claimed early, started on the dot: longer than a prober's longest beat.
HEAD_START = timedelta(milliseconds=1_600)
# For whoever claims while beats take long, here or for an agent: always less than a lease.
MOST_HEAD_START = LEASE * 3 / 4


@dataclass(slots=True)  # a frozen one costs three times as much to make, and each probe makes one
class ClaimedTurn:
    """A check whose turn it is, leased to us."""

    check_id: UUID
    tenant_id: UUID
    region_id: int
    version: int
    due_at: datetime
    starts_in_seconds: float
    timeout_seconds: int
    allows_private: bool
    is_news: bool = True  # whether a failure is: not where this region says so already, or nobody can be told


# Turns that nobody holds are claimed ahead of their time; a lease must have run out.
CLAIM = """
WITH mine AS (
    SELECT check_id, region_id FROM checks_turn
    WHERE region_id = %(region)s AND claimable_at <= now() + %(head_start)s::interval
      AND (claimable_at = due_at OR claimable_at <= now())
    ORDER BY claimable_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE checks_turn AS turn SET claimable_at = greatest(turn.due_at, now()) + %(lease)s::interval
    FROM mine WHERE turn.check_id = mine.check_id AND turn.region_id = mine.region_id
    RETURNING turn.check_id, turn.tenant_id, turn.region_id, turn.due_at, turn.opinion
)
SELECT leased.check_id, leased.tenant_id, leased.region_id, watched.version, leased.due_at,
       greatest(extract(epoch FROM leased.due_at - clock_timestamp()), 0)::float8,
       watched.timeout_seconds, tenant.allows_private_targets, leased.opinion IS DISTINCT FROM %(failing)s
FROM leased
JOIN checks_check AS watched ON watched.id = leased.check_id
JOIN tenants_tenant AS tenant ON tenant.id = leased.tenant_id
"""


def claim_turns(limit: int, *, region_id: int = MAIN_REGION, head_start: timedelta = HEAD_START) -> list[ClaimedTurn]:
    """Lease up to ``limit`` checks of a region that are due within ``head_start``. Rivals: its other probers; SKIP LOCKED
    parts us."""
    with system_scope("probers serve every tenant"), transaction.atomic(), connection.cursor() as cursor:
        prefer_keys(cursor)
        times = {"head_start": str(head_start), "lease": str(LEASE)}
        cursor.execute(CLAIM, {"region": region_id, "limit": limit, "failing": Verdict.FAILURE.value, **times})
        return [ClaimedTurn(*row) for row in cursor.fetchall()]


# Rivals: people's edits, who lock turns in this order too, whatever way the planner reads them.
LEASE_ANEW = """
WITH mine AS MATERIALIZED (
    SELECT turn.check_id, turn.region_id, held.lease
    FROM unnest(%s::uuid[], %s::int2[], %s::timestamptz[], %s::interval[]) AS held (check_id, region_id, due_at, lease)
    JOIN checks_turn AS turn ON turn.check_id = held.check_id AND turn.region_id = held.region_id
    WHERE turn.due_at = held.due_at AND turn.claimable_at IS NOT NULL
    ORDER BY turn.check_id, turn.region_id FOR NO KEY UPDATE OF turn
)
UPDATE checks_turn AS turn SET claimable_at = now() + mine.lease
FROM mine WHERE turn.check_id = mine.check_id AND turn.region_id = mine.region_id
"""


def extend_leases(turns: Iterable[ClaimedTurn]) -> None:
    """Keep turns whose probes are still under way."""
    renew_leases(extend=turns, give_up=())


def give_back(turns: Iterable[ClaimedTurn]) -> None:
    """Let others claim turns at once that this prober will not finish."""
    renew_leases(extend=(), give_up=turns)


def renew_leases(*, extend: Iterable[ClaimedTurn], give_up: Iterable[ClaimedTurn]) -> None:
    """Both by one statement: turns are locked in one order, so they cannot be locked in two portions."""
    held = [*((turn, str(EXTENSION)) for turn in extend), *((turn, "0") for turn in give_up)]
    keys: list[list[Any]] = [
        [turn.check_id for turn, _lease in held],
        [turn.region_id for turn, _lease in held],
        [turn.due_at for turn, _lease in held],
        [lease for _turn, lease in held],
    ]
    with system_scope("probers serve every tenant"), transaction.atomic(), connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(LEASE_ANEW, keys)


# By the clock and not by `now()`: a transaction that hurries a turn twice gives it two moments, so two results.
# Rival: somebody who edits the check. They wait for the turn that we hold already, so we wait for none of theirs, and return
# the news of turns that we had to pass over.
HURRY = """
WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS at), waiting AS MATERIALIZED (
    SELECT turn.check_id, turn.region_id, noticed.region_id AS seen_by
    FROM moment, unnest(%(checks)s::uuid[], %(regions)s::int2[]) AS noticed (check_id, region_id)
    JOIN checks_turn AS turn ON turn.check_id = noticed.check_id AND turn.region_id <> noticed.region_id
    WHERE turn.claimable_at = turn.due_at AND turn.due_at > moment.at
), free AS MATERIALIZED (
    SELECT turn.check_id, turn.region_id, moment.at
    FROM moment, waiting JOIN checks_turn AS turn ON turn.check_id = waiting.check_id AND turn.region_id = waiting.region_id
    WHERE turn.claimable_at = turn.due_at AND turn.due_at > moment.at
    ORDER BY turn.check_id, turn.region_id FOR NO KEY UPDATE OF turn {others}
), hurried AS (
    UPDATE checks_turn AS turn SET due_at = free.at, claimable_at = free.at
    FROM free WHERE turn.check_id = free.check_id AND turn.region_id = free.region_id
)
SELECT DISTINCT check_id, seen_by FROM waiting
WHERE NOT EXISTS (SELECT FROM free WHERE free.check_id = waiting.check_id AND free.region_id = waiting.region_id)
"""
HURRY_FREE, HURRY_ALL = HURRY.format(others="SKIP LOCKED"), HURRY.format(others="")


def hurry_other_regions(noticed: Sequence[tuple[UUID, int]]) -> None:
    """Have the other regions look at once at checks of which one region has news; turns being probed are left alone.

    Turns that somebody else holds follow when the caller's transaction is over: then we may wait, since we hold none.
    """
    with connection.cursor() as cursor:
        cursor.execute(HURRY_FREE, _keys(noticed))
        if passed_over := cursor.fetchall():
            transaction.on_commit(lambda: _hurry_held(passed_over), robust=True)


def _hurry_held(noticed: Sequence[tuple[UUID, int]]) -> None:
    with system_scope("probers serve every tenant"), transaction.atomic(), connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(HURRY_ALL, _keys(noticed))


def _keys(noticed: Sequence[tuple[UUID, int]]) -> dict[str, list[Any]]:
    return {"checks": [check_id for check_id, _region in noticed], "regions": [region for _check, region in noticed]}


# Drawn, so that they do not all fall due at once from now on; from the past, to be claimed at once. The caller holds the turns
# that its late results moved; whoever holds another, perhaps one who edits checks and waits for ours, is not waited for.
DUE_AGAIN = """
WITH waiting AS MATERIALIZED (
    SELECT turn.check_id, turn.region_id FROM checks_turn AS turn
    WHERE turn.region_id = %s AND turn.check_id = ANY(%s)
      AND turn.claimable_at = turn.due_at AND turn.due_at > clock_timestamp()
    ORDER BY turn.check_id, turn.region_id FOR NO KEY UPDATE OF turn SKIP LOCKED
), drawn AS MATERIALIZED (
    SELECT waiting.check_id, waiting.region_id,
           clock_timestamp() - make_interval(secs => random() * least(watched.interval_seconds, 60)) AS at
    FROM waiting JOIN checks_check AS watched ON watched.id = waiting.check_id
)
UPDATE checks_turn AS turn SET due_at = drawn.at, claimable_at = drawn.at
FROM drawn WHERE turn.check_id = drawn.check_id AND turn.region_id = drawn.region_id
"""


def make_due_again(region_id: int, check_ids: Collection[UUID]) -> None:
    """Have checks looked at now of which a region had late results only: these moved the turns on, and judged nothing.

    In the caller's transaction and scope. Turns that are due already, or held by a prober, are left alone.
    """
    with connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(DUE_AGAIN, [region_id, list(check_ids)])


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What a prober needs to know of a check besides its turn."""

    kind: str
    public: dict[str, Any]
    sealed: str


def settings_of(check_ids: Iterable[UUID]) -> dict[UUID, tuple[int, CheckSettings]]:
    """Return each check's version and settings, secrets still sealed."""
    with system_scope("probers serve every tenant"):
        rows = Check.unscoped.filter(id__in=list(check_ids)).values_list("id", "version", "kind", "config", "secrets")
        return {
            check_id: (version, CheckSettings(kind, public, sealed)) for check_id, version, kind, public, sealed in rows
        }


# Of one relation alone, so that no plan can be bad: a tenant's rows are held to be few until a table is analysed, and joined
# the wrong way round 2,500 results among 10,000 turns took eight seconds.
MOVE_PAST = """
UPDATE checks_turn AS turn SET (due_at, claimable_at) = (
    SELECT following.at, following.at
    FROM checks_check AS watched CROSS JOIN LATERAL (
        SELECT turn.due_at + make_interval(secs => watched.interval_seconds) * greatest(
            floor(extract(epoch FROM clock_timestamp() - turn.due_at) / watched.interval_seconds) + 1, 1) AS at
    ) AS following
    WHERE watched.id = turn.check_id
)
WHERE turn.region_id = %s AND turn.check_id = ANY(%s) AND (
    SELECT true FROM checks_result AS stored
    WHERE stored.check_id = turn.check_id AND stored.due_at = turn.due_at AND stored.region_id = turn.region_id LIMIT 1)
"""


def pass_stored_turns(region_id: int, seen: Iterable[tuple[UUID, datetime]]) -> None:
    """Move turns on whose result is stored already, as it may have come late: storing it again would never do so.

    The caller holds the turns.
    """
    named = set(seen)
    turns = Turn.objects.filter(
        region_id=region_id, watched__in={check_id for check_id, _due_at in named}, claimable_at__isnull=False
    )
    stuck = [turn[0] for turn in turns.values_list("watched_id", "due_at") if turn in named]
    if stuck:
        with connection.cursor() as cursor:
            cursor.execute(MOVE_PAST, [region_id, stuck])


# A turn lies at most an interval ahead, and its lease a timeout and a little more: what is later was made by a clock that
# has been set back since. The time is drawn anew, so that they do not all fall due at once.
STRAIGHTEN = """
WITH ahead AS MATERIALIZED (
    SELECT turn.check_id, turn.region_id, now() + make_interval(secs => random() * watched.interval_seconds) AS at
    FROM checks_turn AS turn JOIN checks_check AS watched ON watched.id = turn.check_id
    WHERE turn.region_id = %(region)s AND watched.tenant_id = turn.tenant_id
      AND turn.claimable_at > now() + make_interval(secs => greatest(watched.interval_seconds, watched.timeout_seconds))
                              + %(slack)s::interval
    ORDER BY turn.check_id FOR NO KEY UPDATE OF turn
)
UPDATE checks_turn AS turn SET due_at = ahead.at, claimable_at = ahead.at
FROM ahead WHERE turn.check_id = ahead.check_id AND turn.region_id = ahead.region_id
"""
STRAIGHTEN_SLACK = timedelta(seconds=30)


def straighten_turns(region_id: int) -> None:
    """Make turns due anew that no clock which runs forward can have made. Safe to repeat."""
    with system_scope("probers serve every tenant"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(STRAIGHTEN, {"region": region_id, "slack": str(STRAIGHTEN_SLACK)})


OVERDUE = timedelta(seconds=2)


def regions_with_overdue_turns() -> list[str]:
    """Return the codes of the shared regions where a turn waits that a living prober would have taken."""
    overdue = Turn.unscoped.filter(region_id=OuterRef("id"), claimable_at__lt=clock.now() - OVERDUE)
    with system_scope("probers serve every tenant"):
        return list(Region.objects.filter(Exists(overdue), is_private=False).values_list("code", flat=True))
