"""What an agent's prober asks of us, for one agent whose tenant's scope is open.

An agent is believed about its own checks only: what it names is looked up among the turns of its region, the rest is dropped
and counted (`apps.checks.domain.agent_results`).
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import DataError, Error, IntegrityError, connection, transaction
from django.db.models import F

from apps.checks.domain.agent_results import OLDEST, Sorted, one_at_a_time, sort_out
from apps.checks.domain.agent_wire import OfferedTurn, OpenSettings
from apps.checks.domain.agent_words import Words, takes
from apps.checks.domain.heartbeat_rules import Report
from apps.checks.domain.judging import SILENT_AFTER
from apps.checks.domain.late_results import store_late
from apps.checks.domain.pings import Fate, NewPing, PingStore
from apps.checks.domain.regions import mark_agent_seen, mark_sick, mark_well
from apps.checks.domain.results import NewResult, store_results
from apps.checks.domain.settings import UNREADABLE, config_of
from apps.checks.domain.turns import (
    HEAD_START,
    MOST_HEAD_START,
    ClaimedTurn,
    claim_turns,
    pass_stored_turns,
    straighten_turns,
)
from apps.checks.domain.turns import renew_leases as renew
from apps.checks.enums import Verdict
from apps.checks.models import Agent, Check, Heartbeat, Turn
from apps.checks.types.heartbeat import Signal
from apps.core import clock
from apps.core.kinds import split_config
from apps.core.postgres.hints import prefer_keys
from apps.live.domain.publish import publish

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
VERSION_LENGTH = 40

_pings = PingStore()


@dataclass(frozen=True, slots=True)
class Traded:
    """Turns for an agent, how many that were due before them nobody has run, and whether none but these were due."""

    turns: list[OfferedTurn]
    skipped: int = 0
    is_all: bool = False


def trade(agent: Agent, results: Sequence[NewResult], *, limit: int, ahead: timedelta = HEAD_START) -> Traded:
    """Keep results, late ones too, then claim up to ``limit`` turns that are due within ``ahead``."""
    # Each step by itself: all lock turns and then states, and who takes up others with states in hand may wait for ever.
    _see_again(agent)
    traded, refused = _trade(agent, results, limit, min(max(ahead, HEAD_START), MOST_HEAD_START))
    _answer_ourselves(agent, refused)
    return traded


Refused = list[tuple[ClaimedTurn, str]]  # turns that the agent would not run, each with its check's kind


@transaction.atomic
def _trade(agent: Agent, results: Sequence[NewResult], limit: int, ahead: timedelta) -> tuple[Traded, Refused]:
    _hold_turns(agent, results)
    found = sort_out(agent, results)
    _store_live(found.live)
    _store_late(agent, found.late)
    _note(agent, found)
    return _claim(agent, limit, ahead) if limit else (Traded([]), [])


def backfill(agent: Agent, results: Sequence[NewResult]) -> tuple[int, int]:
    """Keep what an agent saw while it could not reach us. Return how many were new, and how many were dropped."""
    _see_again(agent)
    return _backfill(agent, results)


@transaction.atomic
def _backfill(agent: Agent, results: Sequence[NewResult]) -> tuple[int, int]:
    one_at_a_time(agent)
    found = sort_out(agent, results)
    stored = _store_late(agent, [*found.late, *found.live])
    _note(agent, found)
    return stored, found.dropped


def open_settings(agent: Agent, check_ids: Iterable[UUID]) -> tuple[dict[UUID, OpenSettings], list[UUID]]:
    """Return the settings of those checks that are the agent's to probe, secrets in the clear: they are its tenant's own.

    Besides, those whose settings cannot be opened: their turns are to be answered all the same.
    """
    own = Turn.objects.filter(region_id=agent.region_id, watched__in=list(check_ids)).values("watched")
    opened, unreadable = {}, []
    for check in Check.objects.filter(id__in=own):
        if not takes(agent, check.kind):
            continue  # its secrets are not for whom it would not be run by
        try:
            public, secret = split_config(config_of(check))
        except UNREADABLE:
            logger.exception("the settings of check %s cannot be read", check.id)
            unreadable.append(check.id)
        else:
            opened[check.id] = OpenSettings(check.version, check.kind, public, secret)
    return opened, unreadable


Held = tuple[UUID, datetime]


def renew_leases(agent: Agent, *, extend: Iterable[Held], give_up: Iterable[Held]) -> None:
    """Keep turns whose probes are under way, and let others have those that the agent will not finish."""
    renew(extend=[_turn(agent, held) for held in extend], give_up=[_turn(agent, held) for held in give_up])


def _turn(agent: Agent, held: Held) -> ClaimedTurn:
    """Return a turn by its name: leases ask for no more, and the region is the agent's own whatever the name."""
    return ClaimedTurn(
        check_id=held[0],
        tenant_id=agent.tenant_id,
        region_id=agent.region_id,
        version=0,
        due_at=held[1],
        starts_in_seconds=0.0,
        timeout_seconds=0,
        allows_private=True,
    )


def hear_of(
    agent: Agent,
    *,
    failed_controls: Sequence[str],
    buffered: int,
    version: str,
    source_ip: str | None = None,
    words: Words | None = None,
) -> None:
    """Note an agent's sign of life: its heartbeat, whether its network is well, and what it says of itself."""
    # Each step by itself: most lock turns, then states, and whoever takes up turns with states in hand may wait for ever.
    mark_agent_seen(agent.region)  # first: what nobody looked at is no word that counts again
    if failed_controls:
        mark_sick(agent.region_id, failed_controls)
    else:
        mark_well(agent.region_id)
    straighten_turns(agent.region_id)  # no process of ours watches the database's clock for an agent
    said = {"buffered": buffered, "version": version[:VERSION_LENGTH], **(words or Words()).news()}
    if any(getattr(agent, name) != value for name, value in said.items()):
        Agent.objects.filter(id=agent.id).update(**said)
    changed = [agent.live_id]
    if agent.heartbeat_id and _beat(agent, source_ip):
        changed.append(f"check:{agent.heartbeat_id}")
    publish(f"tenant:{agent.tenant_id}", changed)


def _beat(agent: Agent, source_ip: str | None) -> bool:
    """Ping the check that tells of the agent's silence; return whether that is stored."""
    token = Heartbeat.objects.filter(watched=agent.heartbeat_id).values_list("token", flat=True).first()
    if token is None:
        return False
    ping = NewPing(
        address=token,
        report=Report(signal=Signal.SUCCESS, at=clock.now(), is_post=True),
        method="agent",
        source_ip=source_ip,
        agent=f"obsera-agent {agent.version}".strip(),
    )
    try:
        return _pings.store([ping]).fates == [Fate.STORED]
    except Error as error:  # somebody holds its row: the next sign of life is fifteen seconds away
        logger.warning("the heartbeat of agent %s was not stored: %s", agent.id, error)
        return False


# --- results ----------------------------------------------------------------------------------------------------------


def _hold_turns(agent: Agent, results: Iterable[NewResult]) -> None:
    """Lock the turns that results are of, live and late ones at once, so that all are locked in one order.

    Rivals: people who edit many of the checks.
    """
    turns = Turn.objects.filter(region_id=agent.region_id, watched__in={result.check_id for result in results})
    list(turns.select_for_update(no_key=True).order_by("watched_id").values_list("region_id"))


def _store_live(results: Sequence[NewResult]) -> None:
    """Store results; where the database refuses them as a whole, one by one, so that none costs the others."""
    if not results:
        return
    try:
        store_results(results)
        pass_stored_turns(results[0].region_id, [(result.check_id, result.due_at) for result in results])
    except (DataError, IntegrityError):  # whatever else is no result's fault: the agent keeps them all and asks again
        for result in sorted(results, key=lambda result: result.check_id):  # as all who lock several states
            try:
                store_results([result])
            except (DataError, IntegrityError):
                logger.exception("a result of check %s cannot be stored", result.check_id)


def _store_late(agent: Agent, results: Sequence[NewResult]) -> int:
    """Keep late results, all but those that the database refuses, and return how many were new."""
    if not results:
        return 0
    try:
        return store_late(results)
    except (DataError, IntegrityError):
        if len(results) == 1:
            logger.exception("a late result of check %s cannot be stored", results[0].check_id)
            return 0
    _hold_turns(agent, results)  # all at once, before the first half's other rows
    # By halves: to find a wrong one among a thousand takes twenty tries.
    ordered, half = sorted(results, key=lambda result: (result.check_id, result.due_at)), len(results) // 2
    return _store_late(agent, ordered[:half]) + _store_late(agent, ordered[half:])


def _note(agent: Agent, found: Sorted) -> None:
    if found.dropped:
        Agent.objects.filter(id=agent.id).update(dropped=F("dropped") + found.dropped)
    changed = {result.check_id for result in (*found.live, *found.late)}
    if changed:
        publish(f"tenant:{agent.tenant_id}", [f"check:{check_id}" for check_id in changed])


# --- turns ------------------------------------------------------------------------------------------------------------


def _see_again(agent: Agent) -> None:
    """Say what nobody saw before the first result of an agent that comes back: its results must not be forgotten with it."""
    seen_at = agent.region.seen_at
    if seen_at is None or clock.now() - seen_at > SILENT_AFTER:
        mark_agent_seen(agent.region)


# An agent that comes back brings along what it saw meanwhile: a turn long past leaves those moments to it and is probed for
# the present one. What lies so far back that its name would not be believed begins a new grid.
CATCH_UP = """
WITH behind AS (
    SELECT turn.check_id, turn.region_id, passed.slots,
           turn.due_at + make_interval(secs => watched.interval_seconds * passed.slots) AS present_at
    FROM checks_turn AS turn JOIN checks_check AS watched ON watched.id = turn.check_id
    CROSS JOIN LATERAL (SELECT floor(extract(epoch FROM now() - turn.due_at) / watched.interval_seconds) AS slots) AS passed
    WHERE turn.region_id = %(region)s AND turn.claimable_at <= now()
      AND turn.due_at <= now() - least(make_interval(secs => watched.interval_seconds), %(trusted)s::interval)
    FOR UPDATE OF turn SKIP LOCKED
), caught_up AS (
    UPDATE checks_turn AS turn
    SET due_at = CASE WHEN behind.present_at < now() - %(trusted)s::interval THEN now() ELSE behind.present_at END
    FROM behind WHERE turn.check_id = behind.check_id AND turn.region_id = behind.region_id
    RETURNING behind.slots
)
SELECT least(coalesce(sum(slots), 0), 2147483647)::int FROM caught_up
"""
TRUSTED = OLDEST - timedelta(minutes=10)  # it is still to be probed, and its result to come here


def _claim(agent: Agent, limit: int, ahead: timedelta) -> tuple[Traded, Refused]:
    with connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(CATCH_UP, {"region": agent.region_id, "trusted": str(TRUSTED)})
        ((skipped,),) = cursor.fetchall()
    turns = claim_turns(limit, region_id=agent.region_id, head_start=ahead)
    is_all = len(turns) < limit  # before some are taken out below: as many more may wait behind them
    if not turns:
        return Traded([], skipped, is_all), []
    checks = Check.objects.filter(id__in=[turn.check_id for turn in turns])
    known = {
        check_id: (interval, kind) for check_id, interval, kind in checks.values_list("id", "interval_seconds", "kind")
    }
    given = [(turn, *known[turn.check_id]) for turn in turns if turn.check_id in known]
    offered = [OfferedTurn(turn, interval) for turn, interval, kind in given if takes(agent, kind)]
    return Traded(offered, skipped, is_all), [(turn, kind) for turn, _interval, kind in given if not takes(agent, kind)]


def _answer_ourselves(agent: Agent, refused: Refused) -> None:
    """Say of turns that the agent would refuse what it would say: not measured, and why."""
    results = [
        NewResult(
            check_id=turn.check_id,
            tenant_id=agent.tenant_id,
            region_id=agent.region_id,
            due_at=turn.due_at,
            started_at=clock.now(),  # though the turn may be a few seconds ahead
            verdict=Verdict.UNKNOWN,
            error_code="kind_not_allowed",
            error_values={"kind": kind},
        )
        for turn, kind in refused
    ]
    if not results:
        return
    try:
        with transaction.atomic():
            _hold_turns(agent, results)
            _store_live(results)
    except Error as error:  # they come again when their leases run out; the agent's own turns need not
        logger.warning("turns that agent %s refuses were not answered: %s", agent.id, error)
        return
    publish(f"tenant:{agent.tenant_id}", [f"check:{result.check_id}" for result in results])
