"""The prober: claims turns, probes them on one event loop, stores what was seen, until told to stop.

Nothing is remembered here that the place of work does not know: a prober that dies loses no turn (its leases run out), and
a place that is away only makes it wait, holding what it has seen.
"""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from sys import intern
from threading import Event
from typing import TypeVar
from uuid import UUID

import uvloop

from apps.checks.domain.controls import Controls, control_targets, home
from apps.checks.domain.prober_work import BatchRefused, PlaceAway, ProberWork
from apps.checks.domain.results import NewResult
from apps.checks.domain.settings import UNREADABLE, opened_config
from apps.checks.domain.turns import LEASE, CheckSettings, ClaimedTurn
from apps.checks.engine.job import ProbeJob
from apps.checks.engine.loop import ProbeLoop
from apps.checks.engine.pace import Pace
from apps.checks.engine.stalls import StallWatch
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.core import clock
from apps.core.kinds import Config, lightened

logger = logging.getLogger(__name__)

MAX_HELD = 10_000  # claimed, waiting for their moment or under way
MAX_IN_FLIGHT = 4_000
CLAIM_SIZE = 5_000
STORE_SIZE = 2_000
# What is fixed about a round with the database is paid once a beat; a new failure ends the beat, since somebody waits for it.
BEAT_SECONDS = 1.0
EXTEND_EVERY_SECONDS = 2.5
LEASE_LEFT_SECONDS = 5.5  # less than a lease by as much: with that little left a turn is leased anew
SIGN_OF_LIFE_EVERY_SECONDS = 15.0
PAUSE_SECONDS = 0.5
SETTINGS_KEPT = 50_000
# Probes leave no cycles behind, and a full collection looks at the settings of every check: at Python's own thresholds
# that took two fifths of the prober's time.
GARBAGE_THRESHOLDS = (50_000, 20, 100)

T = TypeVar("T")


@dataclass(slots=True)
class Held:
    """A turn of ours: claimed, then under way."""

    turn: ClaimedTurn
    since: float  # of the loop's clock: when it was claimed, then when its probe started
    lease_ends: float
    is_repeated: bool = False


class Prober:
    """One prober of one worker process. ``stop`` ends it within a beat; what is under way is given back."""

    def __init__(
        self,
        work: ProberWork,
        stop: Event,
        *,
        controls: Sequence[str] = (),
        lost_home: Callable[[], str] | None = None,
        has_browser: bool = False,
    ) -> None:
        """``lost_home`` looks, where the region has no other controls, for what keeps us from the place that we work for."""
        self._work = work
        self._stop = stop
        self._control_targets = controls
        self._home = Controls(home(lost_home) if lost_home else {})
        self._has_browser = has_browser
        # By a check's id as a number, here and below: a UUID's own hash and comparison are Python's, and slow.
        self._held: dict[int, Held] = {}
        self._results: list[NewResult] = []
        self._suspects: list[NewResult] = []
        self._suspects_are_news = False
        self._vetting: asyncio.Task[None] | None = None
        self._settings: dict[int, tuple[int, str, Config | None]] = {}
        self._extended_at = self._said_at = float("-inf")
        self._is_sick = False
        self._has_news = asyncio.Event()
        # One thread for the database, so that a slow statement never makes a probe look slow.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="prober-work")

    async def run(self) -> None:
        """Probe until told to stop."""
        self._loop = asyncio.get_running_loop()
        self._probes = ProbeLoop(self._on_outcome, max_in_flight=MAX_IN_FLIGHT, has_browser=self._has_browser)
        self._pace = Pace(self._start)
        self._stalls = StallWatch()
        self._controls = Controls(control_targets(self._control_targets, self._probes.probe_once))
        try:
            while not self._stop.is_set():
                beat_ends = self._loop.time() + BEAT_SECONDS
                # While the database hangs each question costs a long wait, in which the next sign of life would be late.
                if await self._give_sign_of_life():
                    await self._trade()
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

    async def _trade(self) -> None:
        """Hand in what has come and take on what is due."""
        while len(self._results) > STORE_SIZE:
            if await self._hand_in(0) is None:
                return
        room = min(MAX_HELD - len(self._held), CLAIM_SIZE)
        turns = await self._hand_in(max(room, 0))
        # A turn we hold already comes again when the database was away for longer than its lease: it is still under way.
        new = [turn for turn in turns or () if turn.check_id.int not in self._held]
        ready = await self._with_settings(new)
        now = self._loop.time()
        for turn in ready:
            starts_at = now + turn.starts_in_seconds
            held = self._held[turn.check_id.int] = Held(turn, now, starts_at + LEASE.total_seconds())
            self._pace.add(held, at=starts_at)

    async def _hand_in(self, limit: int) -> list[ClaimedTurn] | None:
        """Store a batch and claim; None where the place is away, whose batch then stays first in line."""
        batch, self._results = self._results[:STORE_SIZE], self._results[STORE_SIZE:]
        try:
            turns = await self._at_work(partial(self._work.trade, batch, limit))
        except BatchRefused:
            return [] if await self._store_one_by_one(batch) else None
        if turns is None:
            self._results[:0] = batch
        return turns

    async def _store_one_by_one(self, batch: Sequence[NewResult]) -> bool:
        """Keep what was refused as a whole, so that one bad row never costs the others; False where the place is away.

        The rest is then first in line again: each question to a place that is away costs a long wait.
        """
        for position, result in enumerate(batch):
            try:
                if await self._at_work(partial(self._work.trade, [result], 0)) is None:
                    self._results[:0] = batch[position:]
                    return False
            except BatchRefused:
                logger.exception("the result of check %s cannot be stored", result.check_id)
        return True

    async def _with_settings(self, turns: list[ClaimedTurn]) -> list[ClaimedTurn]:
        """Fetch and open the settings of checks that are new to us or were changed; return the turns that have theirs."""
        if len(self._settings) > SETTINGS_KEPT:  # but what is held is still to be started with them
            self._settings = {check: known for check, known in self._settings.items() if check in self._held}
        unknown = [turn.check_id for turn in turns if not self._knows(turn)]
        if not unknown:
            return turns
        opened = await self._at_work(partial(self._opened_settings, unknown))
        if opened is None:
            # The others are left to their leases: nobody said that their settings cannot be read, and old ones may be wrong.
            return [turn for turn in turns if self._knows(turn)]
        self._settings.update(opened)
        return turns

    def _knows(self, turn: ClaimedTurn) -> bool:
        return self._settings.get(turn.check_id.int, (0,))[0] == turn.version

    def _opened_settings(self, check_ids: Sequence[UUID]) -> dict[int, tuple[int, str, Config | None]]:
        """Fetch and open settings: thousands at a start, hence not between two probes."""
        found = self._work.settings_of(check_ids).items()
        return {
            check_id.int: (version, intern(settings.kind), _opened(check_id, settings))
            for check_id, (version, settings) in found
        }

    def _start(self, held: Held) -> None:
        turn = held.turn
        if self._held.get(turn.check_id.int) is not held:
            return
        held.since = self._loop.time()
        _version, kind, config = self._settings.get(turn.check_id.int, (0, "", None))
        if config is None:
            outcome = Outcome(verdict=Verdict.UNKNOWN, error_code="settings_unreadable")
            self._on_outcome(held, outcome, clock.now())
            return
        seconds, is_private = turn.timeout_seconds, turn.allows_private
        self._probes.submit(
            ProbeJob(
                token=held,
                kind=kind,
                config=config,
                timeout_seconds=seconds,
                allow_private=is_private,
                reads_certificate=False,  # a plain check keeps nothing of it, and it costs a tenth of a TLS probe
            )
        )

    def _on_outcome(self, held: Held, outcome: Outcome, started_at: datetime) -> None:
        if outcome.verdict == Verdict.FAILURE and self._stalls.has_stalled_since(held.since):
            if not held.is_repeated:
                held.is_repeated = True
                self._pace.add(held, at=self._loop.time())
                return
            outcome = Outcome(verdict=Verdict.UNKNOWN, error_code="prober_stalled")
        self._held.pop(held.turn.check_id.int, None)
        self._keep(_result(held.turn, outcome, started_at), is_news=held.turn.is_news)

    def _keep(self, result: NewResult, *, is_news: bool) -> None:
        if result.verdict != Verdict.FAILURE:
            self._results.append(result)
        elif not self._controls.is_watched and not self._home.is_watched:
            self._results.append(result)
            if is_news:
                self._has_news.set()
        else:
            self._suspects.append(result)
            self._suspects_are_news |= is_news
            if self._vetting is None:
                self._vetting = self._loop.create_task(self._vet())

    async def _vet(self) -> None:
        """Ask the control targets whose fault the failures are, before anybody is told of them."""
        try:
            while self._suspects:
                suspects, self._suspects = self._suspects, []
                is_doubtful = await self._may_be_our_own()
                self._results += [_not_measured(result) for result in suspects] if is_doubtful else suspects
                if self._suspects_are_news:
                    self._suspects_are_news = False
                    self._has_news.set()
        finally:
            self._vetting = None

    async def _may_be_our_own(self) -> bool:
        """Tell whether what fails now may be this region's own fault, as a look that breaks is."""
        try:
            failed = await self._controls.failed()
            # Of a lost home nobody there need be told: it is found again when it hears of us.
            is_doubtful = bool(failed or await self._home.failed())
        except Exception:  # such as want of threads; what was seen must not be lost by it
            logger.exception("the controls cannot be looked at: what failed is not measured")
            return True
        self._note_sickness(failed)
        return is_doubtful

    def _note_sickness(self, failed: list[str]) -> None:
        if bool(failed) != self._is_sick:
            self._is_sick = bool(failed)
            self._said_at = float("-inf")  # the next beat says so

    async def _give_sign_of_life(self) -> bool:
        """Say now and then that we live; False where nobody heard it.

        Look at the controls first while they fail, or nobody would notice the end.
        """
        if self._is_sick:
            self._note_sickness(await self._controls.failed())
        if self._loop.time() - self._said_at < SIGN_OF_LIFE_EVERY_SECONDS:
            return True
        self._said_at = self._loop.time()
        failed = await self._controls.failed() if self._is_sick else []
        is_heard = bool(await self._at_work(partial(self._say, failed)))
        if not is_heard:
            self._said_at = float("-inf")  # what was not heard is said again with the next beat
        return is_heard

    def _say(self, failed: list[str]) -> bool:
        if failed:
            self._work.say_sick(failed)
        else:
            self._work.say_well()
        return True

    async def _extend(self) -> None:
        """Keep the leases of slow probes alive."""
        now = self._loop.time()
        if now - self._extended_at < EXTEND_EVERY_SECONDS:
            return
        self._extended_at = now
        ending = [held for held in self._held.values() if held.lease_ends - now < LEASE_LEFT_SECONDS]
        if not ending:
            return
        is_done = await self._at_work(partial(self._lease_anew, [held.turn for held in ending]))
        if is_done:
            for held in ending:
                held.lease_ends = now + self._work.extension.total_seconds()

    def _lease_anew(self, turns: Sequence[ClaimedTurn]) -> bool:
        self._work.extend(turns)
        return True

    async def _leave(self) -> None:
        if self._vetting:
            await self._vetting
        while self._results and await self._hand_in(0) is not None:
            pass
        unfinished = [held.turn for held in self._held.values()]
        self._held.clear()
        self._pace.close()
        self._stalls.close()
        self._probes.close()
        if unfinished:
            await self._at_work(partial(self._work.give_back, unfinished))
        await self._at_work(self._work.close)
        self._worker.shutdown()

    async def _at_work(self, work: Callable[[], T]) -> T | None:
        """Run work in its thread; return None where the place of work is away."""
        try:
            return await self._loop.run_in_executor(self._worker, work)
        except PlaceAway as error:
            logger.warning("%s", error)
            await asyncio.sleep(PAUSE_SECONDS)
            return None


def _opened(check_id: UUID, settings: CheckSettings) -> Config | None:
    try:
        return lightened(opened_config(check_id, settings.kind, settings.public, settings.sealed))
    except UNREADABLE:
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


def run_prober(
    work: ProberWork,
    stop: Event,
    *,
    controls: Sequence[str] = (),
    lost_home: Callable[[], str] | None = None,
    has_browser: bool = False,
) -> None:
    """Run a prober in this thread until ``stop`` is set; ``has_browser`` lets it run browser journeys."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    gc.freeze()  # what the modules hold stays for good
    uvloop.run(Prober(work, stop, controls=controls, lost_home=lost_home, has_browser=has_browser).run())
