"""What a check depends on, as far as it keeps the check's own alerts back."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from apps.alerting.stages.base import ParentFacts
from apps.checks.domain.checks import check_now
from apps.checks.enums import State, Verdict
from apps.checks.models import Check
from apps.core import clock
from apps.incidents.enums import Severity
from apps.incidents.models import Outage

# A prober needs a moment to come round to a check, and its result a moment to be judged.
SLACK = timedelta(seconds=5)
UNDECIDABLE = (State.PAUSED, State.MAINTENANCE)


def read_parent(outage: Outage, ids: Sequence[UUID]) -> ParentFacts | None:
    """Return which of these checks, on which the outage's depends, explains it, or may turn out to.

    A check that is slow explains nothing of one that is down.

    A parent that nobody has looked at since the outage began is asked at once: the router often fails in the same second as
    what is behind it, but is looked at later.
    """
    parents = list(
        Check.objects.filter(id__in=ids).select_related("checkstate").prefetch_related("turns").order_by("name")
    )
    if not parents:
        return None
    now = clock.now()
    down = _down(ids)
    for parent in parents:
        if parent.id in down or parent.checkstate.state == State.MAINTENANCE:
            return ParentFacts(name=parent.name)
    waits = [ParentFacts(name=one.name, decided_by=by) for one in parents if (by := _decided_by(one, outage, now))]
    waits += [ParentFacts(name=name, decided_by=by) for name, by in _recovered(outage, parents, now)]
    return max(waits, key=lambda one: one.decided_by or now, default=None)


def _down(check_ids: Iterable[UUID]) -> set[UUID]:
    outages = Outage.objects.filter(watched__in=list(check_ids), ended_at=None, latest_severity=Severity.DOWN)
    return set(outages.values_list("watched_id", flat=True))


def _decided_by(parent: Check, outage: Outage, now: datetime) -> datetime | None:
    """Return when it will be clear how a parent is that fails its retries, or was not looked at since; None if it is."""
    turns = [turn for turn in parent.turns.all() if turn.claimable_at]
    if not turns or parent.checkstate.state in UNDECIDABLE:
        return None
    fails = any(turn.failures and turn.last_verdict == Verdict.FAILURE for turn in turns)
    is_fresh = all(turn.last_result_at and turn.last_result_at >= outage.started_at for turn in turns)
    if is_fresh and not fails:
        return None
    timeout, pause = timedelta(seconds=parent.timeout_seconds), timedelta(seconds=parent.retry_interval_seconds)
    until: datetime = outage.opened_by.noticed_at + timeout + parent.retries * (timeout + pause) + SLACK
    if until <= now:
        return None
    if not is_fresh:
        check_now(parent)
    return until


def _recovered(outage: Outage, parents: Iterable[Check], now: datetime) -> list[tuple[str, datetime]]:
    """Return the parents that were down a moment ago: the check must be looked at again before it is to blame."""
    check = outage.watched
    settle = timedelta(seconds=check.interval_seconds * check.recoveries + check.timeout_seconds) + SLACK
    ended = Outage.objects.filter(watched__in=list(parents), severity=Severity.DOWN, ended_at__gt=now - settle)
    seen = dict(ended.order_by("ended_at").values_list("watched__name", "ended_at"))
    return [(name, ended_at + settle) for name, ended_at in seen.items()]
