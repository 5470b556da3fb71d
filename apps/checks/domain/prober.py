"""The prober: claims turns, probes them on one event loop, stores what was seen, until told to stop.

Nothing is remembered here that the place of work does not know: a prober that dies loses no turn (its leases run out), and
a place that is away only makes it wait, holding what it has seen.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from threading import Event
from typing import TypeVar
from uuid import UUID

import uvloop
from django.db import Error, InterfaceError, OperationalError

from apps.checks.domain.controls import Controls
from apps.checks.domain.prober_work import ProberWork
from apps.checks.domain.results import NewResult
from apps.checks.domain.settings import opened_config
from apps.checks.domain.turns import CheckSettings, ClaimedTurn
from apps.checks.engine.job import ProbeJob
from apps.checks.engine.loop import ProbeLoop
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.core import clock
from apps.core.kinds import Config
from apps.core.secrets import SealBroken

logger = logging.getLogger(__name__)

MAX_IN_FLIGHT = 4_000
CLAIM_SIZE = 2_500
STORE_SIZE = 2_000
# What is fixed about a round with the database is paid once a beat; a failure ends the beat, since somebody waits for it.
BEAT_SECONDS = 1.0
EXTEND_EVERY_SECONDS = 2.5
SIGN_OF_LIFE_EVERY_SECONDS = 15.0
PAUSE_SECONDS = 0.5
SETTINGS_KEPT = 50_000

T = TypeVar("T")


class Prober:
    """One prober of one worker process. ``stop`` ends it within a beat; what is under way is given back."""

    def __init__(
        self, work: ProberWork, stop: Event, *, controls: Sequence[str] = (), has_browser: bool = False
    ) -> None:
        self._work = work
        self._stop = stop
        self._control_targets = controls
        self._has_browser = has_browser
        self._held: dict[UUID, ClaimedTurn] = {}
        self._held_since: dict[UUID, float] = {}
        self._results: list[NewResult] = []
        self._suspects: list[NewResult] = []
        self._vetting: asyncio.Task[None] | None = None
        self._settings: dict[UUID, tuple[int, str, Config | None]] = {}
        self._extended_at = self._said_at = float("-inf")
        self._is_sick = False
        self._has_news = asyncio.Event()
        # One thread for the database, so that a slow statement never makes a probe look slow.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="prober-work")

    async def run(self) -> None:
        """Probe until told to stop."""
        self._loop = asyncio.get_running_loop()
        self._probes = ProbeLoop(self._on_outcome, max_in_flight=MAX_IN_FLIGHT, has_browser=self._has_browser)
        self._controls = Controls(self._control_targets, self._probes.probe_once)
        try:
            while not self._stop.is_set():
                beat_ends = self._loop.time() + BEAT_SECONDS
                await self._give_sign_of_life()
                await self._store()
                await self._claim()
                await self._extend()
                await self._rest(beat_ends - self._loop.time())
        finally:
            await self._leave()

    async def _rest(self, seconds: float) -> None:
        """Wait for the next beat; a failure ends the wait, since somebody may have to be told."""
        if seconds > 0 and not self._has_news.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._has_news.wait(), seconds)
        self._has_news.clear()

    async def _claim(self) -> None:
        room = MAX_IN_FLIGHT - len(self._held)
        turns = await self._at_work(partial(self._work.claim, min(room, CLAIM_SIZE))) if room > 0 else None
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
        found = await self._at_work(partial(self._work.settings_of, unknown)) if unknown else None
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
                reads_certificate=False,  # a plain check keeps nothing of it, and it costs a tenth of a TLS probe
            )
        )

    def _on_outcome(self, turn: ClaimedTurn, outcome: Outcome, started_at: datetime) -> None:
        self._held.pop(turn.check_id, None)
        self._held_since.pop(turn.check_id, None)
        result = _result(turn, outcome, started_at)
        if outcome.verdict != Verdict.FAILURE:
            self._results.append(result)
        elif not self._controls.is_watched:
            self._results.append(result)
            self._has_news.set()
        else:
            self._suspects.append(result)
            if self._vetting is None:
                self._vetting = self._loop.create_task(self._vet())

    async def _vet(self) -> None:
        """Ask the control targets whose fault the failures are, before anybody is told of them."""
        try:
            while self._suspects:
                suspects, self._suspects = self._suspects, []
                failed = await self._controls.failed()
                self._results += [_not_measured(result) for result in suspects] if failed else suspects
                self._note_sickness(failed)
                self._has_news.set()
        finally:
            self._vetting = None

    def _note_sickness(self, failed: list[str]) -> None:
        if bool(failed) != self._is_sick:
            self._is_sick = bool(failed)
            self._said_at = float("-inf")  # the next beat says so

    async def _give_sign_of_life(self) -> None:
        """Say now and then that we live; look at the controls first while they fail, or nobody would notice the end."""
        if self._is_sick:
            self._note_sickness(await self._controls.failed())
        if self._loop.time() - self._said_at < SIGN_OF_LIFE_EVERY_SECONDS:
            return
        self._said_at = self._loop.time()
        failed = await self._controls.failed() if self._is_sick else []
        await self._at_work(partial(self._work.say_sick, failed) if failed else self._work.say_well)

    async def _store(self) -> None:
        """Store what has come in. A batch that could not be taken stays first in line."""
        while self._results:
            batch, self._results = self._results[:STORE_SIZE], self._results[STORE_SIZE:]
            try:
                is_stored = await self._at_work(partial(self._keep, batch))
            except Error:
                await self._store_one_by_one(batch)
                continue
            if not is_stored:
                self._results[:0] = batch
                return

    def _keep(self, batch: Sequence[NewResult]) -> bool:
        self._work.store(batch)
        return True

    async def _store_one_by_one(self, batch: Sequence[NewResult]) -> None:
        """Keep what was refused as a whole, so that one bad row never costs the others."""
        for result in batch:
            try:
                if not await self._at_work(partial(self._keep, [result])):
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
            await self._at_work(partial(self._work.extend, slow))

    async def _leave(self) -> None:
        if self._vetting:
            await self._vetting
        await self._store()
        unfinished = list(self._held.values())
        self._held.clear()
        self._probes.close()
        if unfinished:
            await self._at_work(partial(self._work.give_back, unfinished))
        await self._at_work(self._work.close)
        self._worker.shutdown()

    async def _at_work(self, work: Callable[[], T]) -> T | None:
        """Run work in its thread; return None where the place of work is away."""
        try:
            return await self._loop.run_in_executor(self._worker, work)
        except (OperationalError, InterfaceError) as error:
            logger.warning("the database is away: %s", error)
            await self._loop.run_in_executor(self._worker, self._work.recover)
            await asyncio.sleep(PAUSE_SECONDS)
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
        region_id=turn.region_id,
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
        error_values=dict(outcome.error_values) or None,
        details=dict(outcome.details) or None,
    )


def _not_measured(result: NewResult) -> NewResult:
    """Return a failure as what it is in a sick region: no word about the target."""
    return replace(result, verdict=Verdict.UNKNOWN, error_code="region_sick", error_values=None, details=None)


def run_prober(work: ProberWork, stop: Event, *, controls: Sequence[str] = (), has_browser: bool = False) -> None:
    """Run a prober in this thread until ``stop`` is set; ``has_browser`` lets it run browser journeys."""
    uvloop.run(Prober(work, stop, controls=controls, has_browser=has_browser).run())
