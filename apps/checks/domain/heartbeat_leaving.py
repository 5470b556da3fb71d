"""Heartbeats that maintenance lets go: what their jobs reported meanwhile counts, and so does what did not come.

Pings judge nothing while a heartbeat is held, and the sweep passes it over. So the last report is looked up here.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from apps.checks.domain.flips import Change, flip, lock_states, record_flips
from apps.checks.domain.heartbeat_rows import beat_of
from apps.checks.domain.heartbeat_rules import VERDICTS, Beat, deadline, why_failed, why_missed
from apps.checks.domain.heartbeat_sweep import judge_late
from apps.checks.domain.ping_doors import find_heard
from apps.checks.domain.settings import UNREADABLE, config_of
from apps.checks.enums import State
from apps.checks.models import Flip, Heartbeat, Ping
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock

logger = logging.getLogger(__name__)

TOLD_BY = {state: signal for signal, state in VERDICTS.items()}
Left = tuple[Change, datetime | None]  # what it is now, and from when on silence means down


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is known of a heartbeat at the end of maintenance: what it was before, and the last success or failure."""

    beat: Beat
    before: State
    verdict: Signal | None  # None: there was none since it was made or resumed, or nobody knows it any more
    deadline_at: datetime | None
    is_doubtful: bool


def told_by_reports(held: Held, limit: datetime | None) -> State:
    """Return what the last report makes of a heartbeat, before anybody asks whether the next one is late.

    ``limit`` is the deadline that follows from the last report. A report within the window sets one, so that what was down
    and has none was silent.
    """
    was_silent = held.before == State.DOWN and held.deadline_at is None and limit is not None
    if was_silent or held.verdict == Signal.FAIL:
        return State.DOWN
    was_unheard = held.before == State.UNKNOWN and held.is_doubtful
    return State.UNKNOWN if held.verdict is None or was_unheard else State.UP


def leave_maintenance(check_ids: Iterable[UUID], *, at: datetime) -> list[Flip]:
    """Let heartbeats go and return their flips; what is not (any more) in maintenance stays as it is.

    Rivals: pings, the sweep, a person pausing one. The state is locked before the heartbeat, as everywhere, and before the
    reports are read, so that none is missed.
    """
    states = {pk: standing for pk, standing in lock_states(check_ids).items() if standing.state == State.MAINTENANCE}
    heartbeats = list(_with_reports(states))
    heard = find_heard(states, clock.now())
    changed = []
    for heartbeat in heartbeats:
        change, heartbeat.deadline_at = _left(heartbeat, at, is_heard=heartbeat.pk in heard)
        changed.append((states[heartbeat.pk], flip(states[heartbeat.pk], change)))
    Heartbeat.objects.bulk_update(heartbeats, ["deadline_at"])
    return record_flips(changed)


def _with_reports(check_ids: Iterable[UUID]) -> QuerySet[Any]:
    """Return heartbeats, locked, each with its last success or failure, and with what it was before and why it was down."""
    last = Ping.objects.filter(watched=OuterRef("pk"), signal__in=VERDICTS).order_by("-number")
    entered = Flip.objects.filter(watched=OuterRef("pk"), after=State.MAINTENANCE).order_by("-sequence")
    down = Flip.objects.filter(watched=OuterRef("pk"), after=State.DOWN).order_by("-sequence")
    found: QuerySet[Any] = Heartbeat.objects.select_related("watched").filter(pk__in=list(check_ids)).order_by("pk")
    found = found.annotate(
        verdict=Subquery(last.values("signal")[:1]),
        exit_status=Subquery(last.values("exit_status")[:1]),
        before=Subquery(entered.values("before")[:1]),
        entered_at=Subquery(entered.values("at")[:1]),
        error_code=Subquery(down.values("error_code")[:1]),
        error_values=Subquery(down.values("error_values")[:1]),
    )
    return found.select_for_update(of=("self",))


def _left(heartbeat: Any, at: datetime, *, is_heard: bool) -> Left:
    try:
        return _judged(heartbeat, at, is_heard=is_heard)
    except UNREADABLE:
        logger.exception("the settings of heartbeat %s cannot be read", heartbeat.pk)
        # The sweep tells its silence at once, if ever a report came that others may be missed after.
        return Change(after=State.UNKNOWN, at=at), heartbeat.deadline_at or (at if heartbeat.last_ping_at else None)


def _judged(heartbeat: Any, at: datetime, *, is_heard: bool) -> Left:
    """Return what becomes of a heartbeat; raises one of `UNREADABLE`."""
    config = cast("HeartbeatConfig", config_of(heartbeat.watched))
    before = State(heartbeat.before or State.UNKNOWN)
    held = Held(
        beat=beat_of(heartbeat, State.MAINTENANCE),
        before=before,
        verdict=_verdict(heartbeat, before),
        deadline_at=heartbeat.deadline_at,
        is_doubtful=heartbeat.is_doubtful,
    )
    following = deadline(held.beat, config)
    heartbeat.deadline_at = limit = held.deadline_at or following
    state = told_by_reports(held, following)
    if state == State.DOWN:
        error_code, values = why_failed(heartbeat.exit_status)
        if not heartbeat.verdict and heartbeat.error_code:
            error_code, values = heartbeat.error_code, heartbeat.error_values
        elif limit and held.verdict != Signal.FAIL:
            error_code, values = why_missed(held.beat, config, limit), {}
        return Change(after=state, at=_since(held, state, at), error_code=error_code, error_values=values), None
    if limit and limit <= at and is_heard:
        so_far = held.before if state == State.UNKNOWN else state
        after, error_code, limit = judge_late(heartbeat, so_far, clock.now())
        return Change(after=after, at=at, error_code=error_code), limit
    return Change(after=state, at=_since(held, state, at)), limit


def _verdict(heartbeat: Any, before: State) -> Signal | None:
    """Return the last success or failure. One that is forgotten, since others say much more than that, made the state that
    maintenance came upon, if it is from before."""
    if heartbeat.last_ping_at is None:
        return None
    if heartbeat.verdict:
        return Signal(heartbeat.verdict)
    is_of_before = heartbeat.entered_at is not None and heartbeat.last_ping_at <= heartbeat.entered_at
    return TOLD_BY.get(before) if is_of_before else None


def _since(held: Held, state: State, at: datetime) -> datetime:
    """Return since when it is so: since the end of maintenance, or since a report that came before anybody saw that end."""
    heard_at = held.beat.last_ping_at
    is_news = state not in (held.before, State.UNKNOWN)
    return max(at, heard_at) if is_news and heard_at else at
