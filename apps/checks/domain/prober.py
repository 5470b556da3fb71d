"""The prober: claims turns, probes them on one event loop, stores what was seen, until told to stop.

Nothing is remembered here that the database does not know: a prober that dies loses no turn (its leases run out), and a
database that goes away only delays storing (results wait here, and a turn stored twice counts once).
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from threading import Event
from typing import TypeVar
from uuid import UUID

import uvloop
from django.db import Error, InterfaceError, OperationalError, close_old_connections, connection

from apps.checks.domain.results import NewResult, by_tenant, store_results
from apps.checks.domain.settings import opened_config
from apps.checks.domain.turns import CheckSettings, ClaimedTurn, claim_turns, extend_leases, give_back, settings_of
from apps.checks.engine.job import ProbeJob
from apps.checks.engine.loop import ProbeLoop
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.core import clock
from apps.core.kinds import Config
from apps.core.secrets import SealBroken
from apps.live.domain.publish import publish_many

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 2_000
CLAIM_SIZE = 500
BEAT_SECONDS = 0.2
EXTEND_EVERY_SECONDS = 2.5
DATABASE_PAUSE_SECONDS = 0.5
SETTINGS_KEPT = 50_000

T = TypeVar("T")


class Prober:
    """One prober of one worker process. ``stop`` ends it within a beat; what is under way is given back."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop
        self._held: dict[UUID, ClaimedTurn] = {}
        self._held_since: dict[UUID, float] = {}
        self._results: list[NewResult] = []
        self._settings: dict[UUID, tuple[int, str, Config | None]] = {}
        self._extended_at = 0.0
        self._has_news = asyncio.Event()
        # One thread for the database, so that a slow statement never makes a probe look slow.
        self._database = ThreadPoolExecutor(1, thread_name_prefix="prober-database")

    async def run(self) -> None:
        """Probe until told to stop."""
        self._loop = asyncio.get_running_loop()
        self._probes = ProbeLoop(self._on_outcome, max_in_flight=MAX_IN_FLIGHT)
        try:
            while not self._stop.is_set():
                await self._store()
                await self._claim()
                await self._extend()
                await self._rest()
        finally:
            await self._leave()

    async def _rest(self) -> None:
        """Wait for the next beat; a failure ends the wait, since somebody may have to be told."""
        self._has_news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._has_news.wait(), BEAT_SECONDS)

    async def _claim(self) -> None:
        room = MAX_IN_FLIGHT - len(self._held)
        turns = await self._in_database(partial(claim_turns, min(room, CLAIM_SIZE))) if room > 0 else None
        # A turn we hold already comes again when the database was away for longer than its lease: it is still under way.
        new = [turn for turn in turns or () if turn.check_id not in self._held]
        if not new:
            return
        await self._learn_settings(new)
        for turn in new:
            self._held[turn.check_id] = turn
            self._held_since[turn.check_id] = self._loop.time()
            self._loop.call_later(turn.starts_in_seconds, self._start, turn)

    async def _learn_settings(self, turns: Iterable[ClaimedTurn]) -> None:
        """Fetch and open the settings of checks that are new to us or were changed."""
        if len(self._settings) > SETTINGS_KEPT:
            self._settings.clear()
        unknown = [turn.check_id for turn in turns if self._settings.get(turn.check_id, (0,))[0] != turn.version]
        found = await self._in_database(partial(settings_of, unknown)) if unknown else None
        for check_id, (version, settings) in (found or {}).items():
            self._settings[check_id] = (version, settings.kind, _opened(check_id, settings))

    def _start(self, turn: ClaimedTurn) -> None:
        if self._held.get(turn.check_id) is not turn:
            return
        _version, kind, config = self._settings.get(turn.check_id, (0, "", None))
        if config is None:
            outcome = Outcome(verdict=Verdict.UNKNOWN, error_code="settings_unreadable")
            self._on_outcome(turn, outcome, clock.now())
            return
        seconds, is_private = turn.timeout_seconds, turn.allows_private
        self._probes.submit(
            ProbeJob(
                token=turn,
                kind=kind,
                config=config,
                timeout_seconds=seconds,
                allow_private=is_private,
                reads_certificate=False,  # nothing keeps its end yet, and it costs a tenth of a TLS probe
            )
        )

    def _on_outcome(self, turn: ClaimedTurn, outcome: Outcome, started_at: datetime) -> None:
        self._held.pop(turn.check_id, None)
        self._held_since.pop(turn.check_id, None)
        self._results.append(_result(turn, outcome, started_at))
        if outcome.verdict == Verdict.FAILURE:
            self._has_news.set()

    async def _store(self) -> None:
        """Store what has come in. A batch that the database could not take stays first in line."""
        if not self._results:
            return
        batch, self._results = self._results, []
        try:
            stored = await self._in_database(partial(store_results, batch))
        except Error:
            await self._store_one_by_one(batch)
            return
        if stored is None:
            self._results[:0] = batch
            return
        changed = {
            f"tenant:{tenant}": [f"check:{check}" for check in checks] for tenant, checks in by_tenant(batch).items()
        }
        await self._in_database(partial(publish_many, changed))

    async def _store_one_by_one(self, batch: list[NewResult]) -> None:
        """Keep what the database refused as a whole, so that one bad row never costs the others."""
        for result in batch:
            try:
                if await self._in_database(partial(store_results, [result])) is None:
                    self._results.append(result)
            except Error:
                logger.exception("the result of check %s cannot be stored", result.check_id)

    async def _extend(self) -> None:
        """Keep the leases of slow probes alive."""
        now = self._loop.time()
        if now - self._extended_at < EXTEND_EVERY_SECONDS:
            return
        self._extended_at = now
        slow = [
            turn for check_id, turn in self._held.items() if now - self._held_since[check_id] > EXTEND_EVERY_SECONDS
        ]
        if slow:
            await self._in_database(partial(extend_leases, slow))

    async def _leave(self) -> None:
        await self._store()
        unfinished = list(self._held.values())
        self._held.clear()
        self._probes.close()
        if unfinished:
            await self._in_database(partial(give_back, unfinished))
        await self._in_database(lambda: connection.close())  # the proxy is resolved in that thread
        self._database.shutdown()

    async def _in_database(self, work: Callable[[], T]) -> T | None:
        """Run work in the database's thread; return None where the database is away."""
        try:
            return await self._loop.run_in_executor(self._database, work)
        except (OperationalError, InterfaceError) as error:
            logger.warning("the database is away: %s", error)
            await self._loop.run_in_executor(self._database, close_old_connections)
            await asyncio.sleep(DATABASE_PAUSE_SECONDS)
            return None


def _opened(check_id: UUID, settings: CheckSettings) -> Config | None:
    try:
        return opened_config(check_id, settings.kind, settings.public, settings.sealed)
    except (SealBroken, LookupError, TypeError):
        logger.exception("the settings of check %s cannot be read", check_id)
        return None


def _result(turn: ClaimedTurn, outcome: Outcome, started_at: datetime) -> NewResult:
    return NewResult(
        check_id=turn.check_id,
        tenant_id=turn.tenant_id,
        due_at=turn.due_at,
        started_at=started_at,
        verdict=outcome.verdict,
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
        error_values=dict(outcome.error_values),
    )


def run_prober(stop: Event) -> None:
    """Run a prober in this thread until ``stop`` is set."""
    uvloop.run(Prober(stop).run())
