"""Flapping: a check that keeps going down and coming back says so once, instead of paging each time.

The rule is Nagios' (https://assets.nagios.com/downloads/nagioscore/docs/nagioscore/4/en/flapping.html): of the last 21
looks there are 20 places where the state may have changed; the share of those where it did, younger ones weighing more (0.8
to 1.2), starts flapping above one threshold and ends it below a lower one. Nagios counts looks; we count the same stretch as
time (20 intervals, but at least ten minutes), since flips carry their instants and results need not be read again. Retries
have been forgiven before a flip, so the upper threshold is a little above Nagios' 20 %.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import floor
from uuid import UUID

from django.db import connection, transaction

from apps.checks.enums import State
from apps.checks.events import CheckCalmedDown, CheckStartedFlapping
from apps.checks.models import Check, CheckState, Flip
from apps.core import clock
from apps.core.tenancy import system_scope
from apps.events.domain.outbox import emit_many
from apps.live.domain.publish import publish

PLACES = 20
SHORTEST_STRETCH = timedelta(minutes=10)
LONGEST_STRETCH = timedelta(hours=12)
STARTS_ABOVE, ENDS_BELOW = 0.25, 0.10
YOUNGEST_WEIGHT, OLDEST_WEIGHT = 1.2, 0.8
# So many within the stretch are above both thresholds however old they are: nobody need read more of them.
ENOUGH = floor(PLACES * STARTS_ABOVE / OLDEST_WEIGHT) + 1
# Flips between these say that something changed; losing sight, pauses and maintenance say nothing of the target.
SEEN = (State.UP, State.DEGRADED, State.DOWN)
BATCH_SIZE = 500


def stretch_of(interval_seconds: int) -> timedelta:
    """Return how far back changes count for a check with that interval."""
    return min(max(PLACES * timedelta(seconds=interval_seconds), SHORTEST_STRETCH), LONGEST_STRETCH)


def change_ratio(changes: Iterable[datetime], *, now: datetime, stretch: timedelta) -> float:
    """Return the weighted share (0 – 1.2 and, with more changes than places, above) of places with a change."""
    total = 0.0
    for at in changes:
        age_ratio = max((now - at) / stretch, 0.0)
        if age_ratio <= 1:
            total += YOUNGEST_WEIGHT - (YOUNGEST_WEIGHT - OLDEST_WEIGHT) * age_ratio
    return total / PLACES


def flaps(changes: Sequence[datetime], *, was_flapping: bool, now: datetime, interval_seconds: int) -> bool:
    """Tell whether a check flaps, given whether it did and when its state changed."""
    ratio = change_ratio(changes, now=now, stretch=stretch_of(interval_seconds))
    return ratio > (ENDS_BELOW if was_flapping else STARTS_ABOVE)


def mark_flapping(flips: Iterable[Flip]) -> None:
    """Look at the checks that flipped just now, in the transaction that flipped them: the state rows are locked."""
    seen = {made.watched_id for made in flips if made.before in SEEN and made.after in SEEN}
    if seen:
        _judge(CheckState.unscoped.filter(pk__in=seen, is_flapping=False))


def look_for_calm() -> int:
    """End the flapping of checks that have calmed down since; return how many have."""
    with system_scope("one job looks at every tenant's flapping checks"):
        flapping = list(CheckState.unscoped.filter(is_flapping=True).order_by("pk").values_list("pk", flat=True))
        return sum(_calm(flapping[start : start + BATCH_SIZE]) for start in range(0, len(flapping), BATCH_SIZE))


@transaction.atomic
def _calm(check_ids: Sequence[UUID]) -> int:
    # Rivals: probers, who lock state rows in this order too; those they hold are looked at in the next round.
    rows = CheckState.unscoped.filter(pk__in=check_ids, is_flapping=True).order_by("pk")
    return _judge(rows.select_for_update(of=("self",), skip_locked=True))


def _judge(rows: Iterable[CheckState]) -> int:
    """Bring the marks in line with the flips; return how many changed."""
    standings, now = list(rows), clock.now()
    intervals = dict(Check.unscoped.filter(id__in=[row.pk for row in standings]).values_list("id", "interval_seconds"))
    changes = latest_changes(intervals, now=now)
    turned = []
    for row in standings:
        is_flapping = flaps(
            changes.get(row.pk, []), was_flapping=row.is_flapping, now=now, interval_seconds=intervals[row.pk]
        )
        if is_flapping != row.is_flapping:
            row.is_flapping, row.flapping_since_at = is_flapping, now if is_flapping else None
            turned.append(row)
    if turned:
        CheckState.unscoped.bulk_update(turned, ["is_flapping", "flapping_since_at"])
        emit_many(
            (CheckStartedFlapping if row.is_flapping else CheckCalmedDown)(tenant_id=row.tenant_id, check_id=row.pk)
            for row in turned
        )
        for row in turned:
            publish(f"tenant:{row.tenant_id}", [f"check:{row.pk}"])
    return len(turned)


# From the index of flips by their times alone.
LATEST = f"""
SELECT asked.check_id, change.at
FROM unnest(%s::uuid[], %s::timestamptz[]) AS asked (check_id, since_at)
CROSS JOIN LATERAL (
    SELECT at FROM checks_flip
    WHERE check_id = asked.check_id AND at >= asked.since_at AND before = ANY(%s) AND after = ANY(%s)
    ORDER BY at DESC LIMIT {ENOUGH}
) AS change
"""  # noqa: S608 - constants of this module alone


def latest_changes(intervals: Mapping[UUID, int], *, now: datetime) -> dict[UUID, list[datetime]]:
    """Return when each check changed within its own stretch, as far as it was seen before and after: the last `ENOUGH`."""
    sinces = [now - stretch_of(seconds) for seconds in intervals.values()]
    seen = [state.value for state in SEEN]
    found: dict[UUID, list[datetime]] = {}
    with connection.cursor() as cursor:
        cursor.execute(LATEST, [list(intervals), sinces, seen, seen])
        for check_id, at in cursor.fetchall():
            found.setdefault(check_id, []).append(at)
    return found
