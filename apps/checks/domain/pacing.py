"""When checks' turns begin and end, and how they follow their checks' regions and intervals: any number at a time."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from apps.checks.models import Check, Turn
from apps.core.tenancy import current_tenant_id

# Many that begin at once do so one after the other: so many a second, but all within a minute and their own interval.
BEGIN_PER_SECOND = 50
SPREAD_SECONDS = 60
BATCH = 1_000


def hold_turns(check_ids: Iterable[UUID]) -> None:
    """Lock the checks' turns until the transaction ends, before anything else of theirs.

    Rivals: a prober that stores results. It locks turns in the order of their checks, then states, then (for a flip's
    reference) the checks themselves; whoever takes these the other way round and waits for a turn waits for ever.
    """
    turns = Turn.objects.filter(watched__in=list(check_ids)).order_by("watched_id", "region_id")
    list(turns.select_for_update(no_key=True).values_list("region_id"))


def start_turns(checks: Sequence[Check], *, at: datetime) -> None:
    """Give checks their first turns, in each of their regions, with nothing known of how they are; turns elsewhere end.

    A single one has its turn at that moment; many are spread from then on. What a region has counted for their patience
    goes over: a pause changes nothing in how often they fail by chance.
    """
    counted = _end_turns(checks)
    turns = list(_first_turns(checks, at))
    for turn in turns:
        turn.measured, turn.forgiven, turn.runs = counted.get((turn.watched_id, turn.region_id), (0, 0, None))
    Turn.objects.bulk_create(turns, batch_size=BATCH)


END = "DELETE FROM checks_turn WHERE check_id = ANY(%s) RETURNING check_id, region_id, measured, forgiven, runs"


def _end_turns(checks: Sequence[Check]) -> dict[tuple[UUID, int], tuple[int, int, list[int] | None]]:
    """End all turns, and return what each had counted."""
    with connection.cursor() as cursor:
        cursor.execute(END, [[check.id for check in checks]])
        return {(check_id, region_id): counted for check_id, region_id, *counted in cursor.fetchall()}


def forget_counts(checks: Sequence[Check]) -> None:
    """Have checks' patience begin anew: what was counted came of other settings. Their turns are held already."""
    Turn.objects.filter(watched__in=checks).update(measured=0, forgiven=0, runs=None)


def _first_turns(checks: Sequence[Check], at: datetime) -> Iterator[Turn]:
    for place, check in enumerate(checks):
        window = min(check.interval_seconds, SPREAD_SECONDS, len(checks) / BEGIN_PER_SECOND)
        yield from _turns_of(check, at + timedelta(seconds=window * place / len(checks)))


def _turns_of(check: Check, at: datetime) -> Iterator[Turn]:
    tenant_id = current_tenant_id()
    for region_id in check.regions:
        yield Turn(watched=check, region_id=region_id, tenant_id=tenant_id, due_at=at, claimable_at=at)


def stop_turns(checks: Iterable[Check]) -> None:
    """Take checks out of the probers' hands."""
    Turn.objects.filter(watched__in=checks).update(claimable_at=None)


LEAVE = """
DELETE FROM checks_turn AS turn USING checks_check AS watched
WHERE turn.check_id = ANY(%s) AND watched.id = turn.check_id AND turn.region_id <> ALL(watched.regions)
"""


def follow_regions(checks: Sequence[Check], *, at: datetime) -> None:
    """Give running checks turns in regions that are new to them, and end those in regions they have left."""
    with connection.cursor() as cursor:
        cursor.execute(LEAVE, [[check.id for check in checks]])
    turns = (turn for check in checks for turn in _turns_of(check, at))
    Turn.objects.bulk_create(turns, ignore_conflicts=True, batch_size=BATCH)  # conflicts: the regions that they keep


NAME_ANEW = """
UPDATE checks_turn SET due_at = %(now)s, claimable_at = %(now)s
WHERE check_id = ANY(%(ids)s) AND claimable_at IS NOT NULL AND claimable_at <> due_at
"""


def pass_by_probes(checks: Iterable[Check], *, now: datetime) -> None:
    """Have what is seen by probes that are under way judge nothing: they look at what the checks were until now.

    Such a turn gets another name and is due at once; the result that comes for the old one is kept.
    """
    with connection.cursor() as cursor:
        cursor.execute(NAME_ANEW, {"now": now, "ids": [check.id for check in checks]})


# Rival: a prober storing a result. It moves the turn by the new interval, or we move a turn that nobody holds.
BRING_FORWARD = """
UPDATE checks_turn AS turn SET due_at = soon.at, claimable_at = soon.at
FROM checks_check AS watched
CROSS JOIN LATERAL (SELECT %(now)s::timestamptz + make_interval(secs => watched.interval_seconds) AS at) AS soon
WHERE turn.check_id = ANY(%(ids)s) AND watched.id = turn.check_id AND turn.claimable_at > soon.at
"""


def bring_forward(checks: Iterable[Check], *, now: datetime) -> None:
    """Have the next turns lie no further ahead than their checks' intervals, which may be shorter than they were."""
    with connection.cursor() as cursor:
        cursor.execute(BRING_FORWARD, {"now": now, "ids": [check.id for check in checks]})
