"""Noticing what did not come: heartbeats whose deadline has passed are down since that deadline.

Silence says nothing of a job while this installation itself could not be reached. So each ping door gives a sign of life;
while it gives none, nobody who reports through it is judged, and when it is back, what could not come in is forgiven.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from django.db import connection, transaction

from apps.checks.domain.flips import Change, flip, lock_states, record_flips
from apps.checks.domain.heartbeat_rows import beat_of
from apps.checks.domain.heartbeat_rules import why_missed
from apps.checks.domain.ping_doors import ITS_DOOR, SILENCE, Door, are_all, asking, open_doors
from apps.checks.domain.settings import UNREADABLE, config_of
from apps.checks.enums import State
from apps.checks.models import CheckState, Flip, Heartbeat, PingDoor
from apps.checks.types.heartbeat import HeartbeatConfig, Rhythm
from apps.core import clock
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import system_scope

logger = logging.getLogger(__name__)

BATCH = 500
LONG_AGO = datetime.min.replace(tzinfo=UTC)

# Rivals: other sweeps, pings, people. The state is locked before the heartbeat, as everywhere.
LATE = f"""
SELECT beat.check_id FROM checks_heartbeat AS beat
JOIN checks_checkstate AS standing ON standing.check_id = beat.check_id
WHERE beat.wake_at > %(since)s AND beat.wake_at <= %(now)s AND beat.deadline_at <= %(now)s
  AND standing.state NOT IN ('{State.DOWN}', '{State.MAINTENANCE}') AND {ITS_DOOR} = ANY(%(doors)s)
ORDER BY beat.check_id LIMIT {BATCH} FOR UPDATE OF standing SKIP LOCKED FOR UPDATE OF beat SKIP LOCKED
"""  # noqa: S608 - constants of this app alone
# Those whose reports came meanwhile: their alarm, which pings move seldom, is set to the deadline that they have now. It locks
# nothing else, and waits for nobody.
SLEEP_ON = f"""
WITH early AS MATERIALIZED (
    SELECT check_id FROM checks_heartbeat
    WHERE wake_at <= %(now)s AND (deadline_at IS NULL OR deadline_at > %(now)s)
    ORDER BY check_id LIMIT {BATCH} FOR UPDATE SKIP LOCKED
)
UPDATE checks_heartbeat AS beat SET wake_at = beat.deadline_at FROM early WHERE beat.check_id = early.check_id
"""  # noqa: S608 - a constant of this module
# The heartbeats whose deadlines move, locked in the order of their ids. Rivals: who lets several out of maintenance, other
# sweeps, pings. These have the states before, which nobody is asked for here.
AHEAD = """
WITH ahead AS MATERIALIZED (
    SELECT beat.check_id FROM checks_heartbeat AS beat JOIN checks_check AS watched ON watched.id = beat.check_id
    WHERE beat.deadline_at > %(before)s AND {which}
    ORDER BY beat.check_id FOR UPDATE OF beat
)
UPDATE checks_heartbeat AS beat SET {change} FROM ahead WHERE beat.check_id = ahead.check_id
"""
# A report that was expected while its door was closed may have been lost: the job gets the time back. What was late
# before stays late, and what is expected later is not touched.
EXPECTED = "beat.deadline_at - make_interval(secs => (watched.config->>'grace_seconds')::int) <= %(now)s"
FORGIVEN = "deadline_at = beat.deadline_at + make_interval(secs => %(gap)s), is_doubtful = true"
HERE = f"{ITS_DOOR} = %(door)s"
FORGIVE = AHEAD.format(which=f"{EXPECTED} AND {HERE}", change=FORGIVEN)


def sweep_heartbeats(*, is_quick: bool = False) -> list[Flip]:
    """Flip every heartbeat whose deadline has passed, a batch at a time; nobody whose ping door is silent.

    While one is, those who wait for it become ever more, and it costs to ask for the door of each of them. So a quick look is
    then at those alone whose alarm rang of late: who reports by the open door was seen when it rang.
    """
    while _sleep_on(clock.now()) == BATCH:
        pass
    flips: list[Flip] = []
    while batch := _sweep_batch(clock.now(), is_quick=is_quick):
        flips += batch
    return flips


@transaction.atomic
def _sleep_on(now: datetime) -> int:
    """Set alarms that rang too early; return how many."""
    with system_scope("one sweep serves every tenant's heartbeats"), connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(SLEEP_ON, {"now": now})
        return int(cursor.rowcount)


@transaction.atomic
def _sweep_batch(now: datetime, *, is_quick: bool) -> list[Flip]:
    with system_scope("one sweep serves every tenant's heartbeats"):
        doors = open_doors(now)
        if not doors:
            return []
        since = now - SILENCE if is_quick and not are_all(doors) else LONG_AGO
        with connection.cursor() as cursor:
            prefer_keys(cursor)
            cursor.execute(LATE, asking(now=now, since=since, doors=doors))
            late = [row[0] for row in cursor.fetchall()]
        if not late:
            return []
        states = lock_states(late)
        heartbeats = Heartbeat.unscoped.select_related("watched").filter(pk__in=late).order_by("pk")
        changed = [(states[one.pk], _missed(one, states[one.pk], now)) for one in heartbeats]
        Heartbeat.unscoped.bulk_update(list(heartbeats), ["deadline_at"])
        return record_flips(changed)


def _missed(heartbeat: Heartbeat, standing: CheckState, now: datetime) -> Flip:
    """Return the flip of a heartbeat whose deadline passed, and set its next one."""
    limit = cast("datetime", heartbeat.deadline_at)
    try:
        after, error_code, heartbeat.deadline_at = judge_late(heartbeat, standing.state, now)
    except UNREADABLE:
        # Nothing says when the next report would be due, so this silence is told at once; nor may it hide the others'.
        logger.exception("the settings of heartbeat %s cannot be read", heartbeat.pk)
        after, error_code, heartbeat.deadline_at = State.DOWN, "heartbeat_missed", None
    return flip(standing, Change(after=after, at=limit, error_code=error_code))


def judge_late(heartbeat: Heartbeat, state: str, now: datetime) -> tuple[State, str, datetime | None]:
    """Return a late heartbeat's state, the reason and the next deadline; raises one of `UNREADABLE`.

    If its report may have been lost on its way to us, nothing is known of the job until the report after that.
    """
    config = cast("HeartbeatConfig", config_of(heartbeat.watched))
    if heartbeat.is_doubtful and state != State.UNKNOWN:
        return State.UNKNOWN, "heartbeat_unheard", _next_deadline(config, now)
    limit = cast("datetime", heartbeat.deadline_at)
    return State.DOWN, why_missed(beat_of(heartbeat, state), config, limit), None


def _next_deadline(config: HeartbeatConfig, now: datetime) -> datetime | None:
    """Return until when the next report by schedule may take; None where none is to come."""
    following = config.rhythm.following(now)
    return following + config.grace if following else None


@transaction.atomic
def give_sign_of_life(door: Door, step: timedelta = timedelta(0)) -> timedelta | None:
    """Say that a ping door is open; return the gap if it was not, after forgiving what that may have cost.

    ``step`` is by how much the caller saw the clock being set since its last sign: the door was open all the time, and
    no job is later for it. Rivals: the same door of other processes; the row's lock lets only the first one see the gap.
    """
    with system_scope("the ping doors are open for every tenant"):
        now = clock.now()
        seen = PingDoor.objects.select_for_update().filter(name=door).first()
        if seen is None:
            PingDoor.objects.bulk_create([PingDoor(name=door, seen_at=now)], ignore_conflicts=True)
            return None
        gap, values = now - seen.seen_at, asking(door=door, before=seen.seen_at, now=now)
        PingDoor.objects.filter(name=door).update(seen_at=now)
        if step and abs(gap - step) <= SILENCE:
            _go_with_the_clock(step, values)
            return None
        if gap <= SILENCE:
            return None
        with connection.cursor() as cursor:
            cursor.execute(FORGIVE, {"gap": gap.total_seconds(), **values})
        return gap


# Of jobs that report every so often, time goes on as before. Those that go by the calendar go by their own machine's, which
# is right: what the clock has jumped over may still come, and is not held against them if it does not.
BY_PERIOD = f"watched.config->>'schedule' = '{Rhythm.SIMPLE}'"
MOVED = "deadline_at = beat.deadline_at + make_interval(secs => %(step)s)"
MOVE = AHEAD.format(which=f"{BY_PERIOD} AND {HERE}", change=MOVED)
FORGIVE_JUMPED_OVER = AHEAD.format(which=f"{EXPECTED} AND NOT {BY_PERIOD} AND {HERE}", change=FORGIVEN)


def _go_with_the_clock(step: timedelta, values: dict[str, Any]) -> None:
    """Set the deadlines of a door's heartbeats as the clock was set."""
    with connection.cursor() as cursor:
        cursor.execute(MOVE, {"step": step.total_seconds(), **values})
        if step > timedelta(0):
            cursor.execute(FORGIVE_JUMPED_OVER, {"gap": step.total_seconds(), **values})
            return
    _read_calendars_anew(values["now"])


def _read_calendars_anew(now: datetime) -> None:
    """Bring deadlines by the calendar forward to the next one from now on; the second door finds nothing to do."""
    ahead = Heartbeat.unscoped.select_related("watched").filter(deadline_at__gt=now)
    ahead = ahead.exclude(watched__config__schedule=Rhythm.SIMPLE)
    changed = []
    for heartbeat in ahead.select_for_update(of=("self",)).order_by("pk").iterator(chunk_size=BATCH):  # as in `AHEAD`
        try:
            limit = _next_deadline(cast("HeartbeatConfig", config_of(heartbeat.watched)), now)
        except UNREADABLE:
            logger.exception("the settings of heartbeat %s cannot be read", heartbeat.pk)
            continue
        if limit and limit < cast("datetime", heartbeat.deadline_at):
            heartbeat.deadline_at = limit
            changed.append(heartbeat)
    Heartbeat.unscoped.bulk_update(changed, ["deadline_at"], batch_size=BATCH)
