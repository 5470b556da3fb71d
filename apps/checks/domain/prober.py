"""The prober: claims turns, has them probed, stores what was seen, until told to stop.

The engine probes on an event loop in a thread of its own, so that a slow statement here never makes a probe look slow.
Nothing is remembered here that the database does not know: a prober that dies loses no turn (its leases run out), and a
database that goes away only delays storing (results wait here, and a turn stored twice counts once).
"""

import heapq
import logging
import time
from collections.abc import Callable, Iterable
from threading import Event
from typing import TypeVar
from uuid import UUID

from django.db import Error, InterfaceError, OperationalError, close_old_connections, connection

from apps.checks.domain.results import NewResult, by_tenant, store_results
from apps.checks.domain.settings import opened_config
from apps.checks.domain.turns import CheckSettings, ClaimedTurn, claim_turns, extend_leases, give_back, settings_of
from apps.checks.engine import ProbeEngine, ProbeJob
from apps.checks.enums import Verdict
from apps.checks.types import base
from apps.core import clock
from apps.core.kinds import Config
from apps.core.secrets import SealBroken
from apps.live.domain.publish import publish_many

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 2_000
CLAIM_SIZE = 500
BEAT_SECONDS = 0.1
EXTEND_EVERY_SECONDS = 2.5
DATABASE_PAUSE_SECONDS = 0.5
SETTINGS_KEPT = 50_000
VERDICTS = {
    base.Verdict.SUCCESS: Verdict.SUCCESS,
    base.Verdict.FAILURE: Verdict.FAILURE,
    base.Verdict.UNKNOWN: Verdict.UNKNOWN,
}

T = TypeVar("T")


class Prober:
    """One prober of one worker process. ``stop`` ends it within a beat; what is under way is given back."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._engine = ProbeEngine(max_in_flight=MAX_IN_FLIGHT)
        self._held: dict[UUID, ClaimedTurn] = {}
        self._held_since: dict[UUID, float] = {}
        self._upcoming: list[tuple[float, UUID]] = []  # a heap: claimed, not started yet
        self._results: list[NewResult] = []
        self._settings: dict[UUID, tuple[int, str, Config | None]] = {}
        self._extended_at = 0.0

    def run(self) -> None:
        """Probe until told to stop."""
        with self._engine:
            try:
                while not self._stop.is_set():
                    self._beat()
            finally:
                self._leave()

    def _beat(self) -> None:
        self._store()
        self._claim()
        self._extend()
        until = time.monotonic() + BEAT_SECONDS
        while (now := time.monotonic()) < until and not self._stop.is_set():
            next_start = self._upcoming[0][0] if self._upcoming else until
            self._collect(max(min(until, next_start) - now, 0.0))
            self._start_due()

    def _claim(self) -> None:
        room = MAX_IN_FLIGHT - len(self._held)
        turns = self._in_database(lambda: claim_turns(min(room, CLAIM_SIZE))) if room > 0 else None
        # A turn we hold already comes again when the database was away for longer than its lease: it is still under way.
        new = [turn for turn in turns or () if turn.check_id not in self._held]
        if not new:
            return
        self._learn_settings(new)
        now = time.monotonic()
        for turn in new:
            self._held[turn.check_id] = turn
            self._held_since[turn.check_id] = now
            heapq.heappush(self._upcoming, (now + turn.starts_in_seconds, turn.check_id))
        self._start_due()

    def _learn_settings(self, turns: Iterable[ClaimedTurn]) -> None:
        """Fetch and open the settings of checks that are new to us or were changed."""
        if len(self._settings) > SETTINGS_KEPT:
            self._settings.clear()
        unknown = [turn.check_id for turn in turns if self._settings.get(turn.check_id, (0,))[0] != turn.version]
        found = self._in_database(lambda: settings_of(unknown)) if unknown else None
        for check_id, (version, settings) in (found or {}).items():
            self._settings[check_id] = (version, settings.kind, _opened(check_id, settings))

    def _start_due(self) -> None:
        now = time.monotonic()
        jobs = []
        while self._upcoming and self._upcoming[0][0] <= now:
            _start, check_id = heapq.heappop(self._upcoming)
            turn = self._held[check_id]
            _version, kind, config = self._settings.get(check_id, (0, "", None))
            if config is None:
                self._keep(_not_measured(turn))
                continue
            jobs.append(
                ProbeJob(
                    token=turn, kind=kind, config=config, timeout_seconds=turn.timeout_seconds, allow_private=turn.allows_private
                )
            )
        if jobs:
            self._engine.submit(jobs)

    def _collect(self, wait_seconds: float) -> None:
        for finished in self._engine.collect(wait_seconds):
            self._keep(_result(finished.token, finished.outcome))

    def _keep(self, result: NewResult) -> None:
        self._held.pop(result.check_id, None)
        self._held_since.pop(result.check_id, None)
        self._results.append(result)

    def _store(self) -> None:
        """Store what has come in. A batch that the database could not take stays first in line."""
        if not self._results:
            return
        batch, self._results = self._results, []
        try:
            stored = self._in_database(lambda: store_results(batch))
        except Error:
            self._store_one_by_one(batch)
            return
        if stored is None:
            self._results[:0] = batch
            return
        publish_many({f"tenant:{tenant}": [f"check:{check}" for check in checks] for tenant, checks in by_tenant(batch).items()})

    def _store_one_by_one(self, batch: list[NewResult]) -> None:
        """Keep what the database refused as a whole, so that one bad row never costs the others."""
        for result in batch:
            try:
                if self._in_database(lambda result=result: store_results([result])) is None:  # type: ignore[misc]
                    self._results.append(result)
            except Error:
                logger.exception("the result of check %s cannot be stored", result.check_id)

    def _extend(self) -> None:
        """Keep the leases of slow probes alive."""
        now = time.monotonic()
        if now - self._extended_at < EXTEND_EVERY_SECONDS:
            return
        self._extended_at = now
        slow = [turn for check_id, turn in self._held.items() if now - self._held_since[check_id] > EXTEND_EVERY_SECONDS]
        if slow:
            self._in_database(lambda: extend_leases(slow))

    def _leave(self) -> None:
        self._collect(0)
        self._store()
        unfinished = list(self._held.values())
        if unfinished:
            self._in_database(lambda: give_back(unfinished))
        connection.close()

    def _in_database(self, work: Callable[[], T]) -> T | None:
        """Do work in the database; return None where it is away."""
        try:
            return work()
        except (OperationalError, InterfaceError) as error:
            logger.warning("the database is away: %s", error)
            close_old_connections()
            self._stop.wait(DATABASE_PAUSE_SECONDS)
            return None


def _opened(check_id: UUID, settings: CheckSettings) -> Config | None:
    try:
        return opened_config(check_id, settings.kind, settings.public, settings.sealed)
    except (SealBroken, LookupError, TypeError):
        logger.exception("the settings of check %s cannot be read", check_id)
        return None


def _result(turn: ClaimedTurn, outcome: base.Outcome) -> NewResult:
    return NewResult(
        check_id=turn.check_id,
        tenant_id=turn.tenant_id,
        due_at=turn.due_at,
        started_at=outcome.started_at,
        verdict=VERDICTS[outcome.verdict],
        status_code=outcome.status_code,
        dns_ms=outcome.dns_ms,
        connect_ms=outcome.connect_ms,
        tls_ms=outcome.tls_ms,
        first_byte_ms=outcome.first_byte_ms,
        transfer_ms=outcome.transfer_ms,
        total_ms=outcome.total_ms,
        body_bytes=outcome.body_bytes,
        remote_ip=outcome.remote_ip,
        error_code=outcome.error_code,
        error_values=outcome.error_values,
    )


def _not_measured(turn: ClaimedTurn) -> NewResult:
    return NewResult(
        check_id=turn.check_id,
        tenant_id=turn.tenant_id,
        due_at=turn.due_at,
        started_at=clock.now(),
        verdict=Verdict.UNKNOWN,
        error_code="settings_unreadable",
    )


def run_prober(stop: Event) -> None:
    """Run a prober in this thread until ``stop`` is set."""
    Prober(stop).run()
