"""The prober's place of work in an agent: what the server has offered, beside it a rota, and a buffer on disk.

The prober never waits for the server. It leaves its results here and takes what has been offered by then; `Present` trades
both on a thread of its own. While that hears nothing, the rota makes the turns.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

from apps.checks.domain.agent_wire import MAX_CONTROL_LENGTH, MAX_CONTROLS, MAX_TURNS, OfferedTurn, encode_held
from apps.checks.domain.results import NewResult
from apps.checks.domain.turns import HEAD_START, LEASE, MOST_HEAD_START, CheckSettings, ClaimedTurn
from config.agent.buffer import Buffer
from config.agent.fresh import Fresh, Pending
from config.agent.link import Link
from config.agent.losses import Losses
from config.agent.newest import Newest
from config.agent.orders import OrderBook
from config.agent.rota import Rota
from config.agent.server_clock import ServerClock
from config.agent.sightings import not_run, records_of

# Turns come a beat after they were asked for, and have to last until an answer is held to be missing.
LEAST_AHEAD = 2 * HEAD_START
Errand = tuple[str, dict[str, Any]]


class AgentWork:
    """A `ProberWork` that never raises `PlaceAway` and never waits. Its lock is held for moments, whoever holds it."""

    extension = LEASE  # what every server grants; a newer one grants more

    def __init__(
        self,
        link: Link,
        buffer: Buffer,
        server_clock: ServerClock,
        orders: OrderBook,
        *,
        limits: Mapping[str, Any] | None = None,
    ) -> None:
        """``limits`` is what the server may know of our allow-list."""
        self.region_id = 0  # until the server has said it
        self.failed_controls: list[str] = []
        self.newest = Newest()
        self.losses = Losses()
        self.orders = orders
        self.wake = threading.Event()  # set when there is something to trade
        self.closing = threading.Event()
        self._limits = dict(limits or {})
        self._link = link
        self._buffer = buffer
        self._clock = server_clock
        self._lock = threading.Lock()
        self._rota = Rota(buffer.measured_until)
        self._fresh = Fresh(buffer, self._rota.judged_for)
        self._offered_again: set[UUID] = set()  # though their results have arrived
        self._offers: list[ClaimedTurn] = []  # by the server, not yet taken by the prober
        self._errands: list[Errand] = []
        self._room = 0
        self._traded_at = monotonic()
        self._beat = timedelta()

    # --- what the prober calls ----------------------------------------------------------------------------------------

    def trade(self, results: Sequence[NewResult], limit: int) -> list[ClaimedTurn]:
        """Leave results here and return turns: the server's, and beside them our own for checks that it is silent about."""
        with self._lock:
            self._beat, self._traded_at = timedelta(seconds=monotonic() - self._traded_at), monotonic()
            self._take_in(results)
            is_alone = self._link.leaves_us_alone()
            now = self._clock.now()
            if is_alone:
                self._rota.go_alone(now=now)
                self._keep()
            self._rota.forget_old(now=now)
            turns = self._taken(limit, now)
            turns += self._rota.due(now=now, limit=limit - len(turns))
            if not is_alone and self._link.has_told_newest:
                self._rota.settle(now=now)  # after a last round: the server goes on with the slots still to come
            self._room = limit - len(turns)
            self._note_lost(timedelta())
        self._link.asked()
        self.wake.set()
        return turns

    def settings_of(self, check_ids: Iterable[UUID]) -> dict[UUID, tuple[int, CheckSettings]]:
        return self.orders.settings_of(check_ids)

    def extend(self, turns: Iterable[ClaimedTurn]) -> None:
        self._add_errands(("leases", {"extend": held, "give_back": []}) for held in _parted(encode_held(turns)))

    def give_back(self, turns: Iterable[ClaimedTurn]) -> None:
        self._add_errands(_giving_back(turns))

    def say_well(self) -> None:
        self._say([])

    def say_sick(self, failed_controls: Sequence[str]) -> None:
        self._say(list(failed_controls))

    def close(self) -> None:
        """Have `Present` hand in what it can. Safe to repeat."""
        self.closing.set()
        self.wake.set()

    # --- what `Present` calls -----------------------------------------------------------------------------------------

    def batch(self, count: int, max_bytes: int) -> tuple[list[Pending], bool]:
        """Return results to be sent, at most one of a check, and whether these are all."""
        with self._lock:
            batch = self._fresh.batch(count, max_bytes)
            return batch, len(batch) == len(self._fresh)

    def arrived(self, batch: Sequence[Pending]) -> None:
        """Forget results that the server has."""
        with self._lock:
            self._fresh.arrived(batch)

    def wanted(self) -> tuple[int, timedelta]:
        """Return how many turns there is room for, and how far ahead they are wanted: further while beats are slow."""
        with self._lock:
            room = max(0, min(self._room - len(self._offers), MAX_TURNS))
            ahead = max(LEAST_AHEAD, HEAD_START + 2 * self._beat)
            # A server gives none further ahead than that, and refuses to be asked for a minute.
            return room * (not self.closing.is_set()), min(ahead, MOST_HEAD_START)

    def unmeasured(self, offered: Sequence[OfferedTurn]) -> list[OfferedTurn]:
        """Return those of the offered turns that have not been probed while nothing was heard of the server."""
        with self._lock:
            return [each for each in offered if not self._is_measured(each)]

    def take_on(
        self,
        offered: Sequence[OfferedTurn],
        *,
        skipped: int,
        are_all: bool = False,
        unreadable: Container[UUID] = (),
    ) -> None:
        """Note offered turns for the prober; ``skipped`` is how many before them the server has let pass by.

        ``are_all`` says that no other turn was due at the server, ``unreadable`` of which checks nobody can read the
        settings: these are answered here.
        """
        with self._lock:
            now = self._clock.now()
            for each in offered:
                self._take_on(each, now, is_unreadable=each.turn.check_id in unreadable)
            if are_all:
                self._rota.forget_left(now=now)
            self._rota.lost += skipped
            self._note_lost(timedelta())
        self._link.answered()

    def errands(self) -> list[Errand]:
        """Return what else is to be told, once; at the end that others may have the turns that the prober has not taken."""
        with self._lock:
            errands, self._errands = self._errands, []
            if self.closing.is_set():
                errands += _giving_back(self._offers)
                self._offers = []
            return errands

    def put_back(self, errands: Sequence[Errand]) -> None:
        """Have errands done the next time, before those that came meanwhile."""
        with self._lock:
            self._errands[:0] = errands

    def keep_rest(self) -> None:
        """Put what has not arrived onto disk."""
        with self._lock:
            self._keep()

    @property
    def checks(self) -> int:
        """Return how many checks can go on without the server."""
        return len(self._rota)

    def own_words(self) -> dict[str, Any]:
        """Return what each sign of life tells of us: no more than the server takes, or it would hold us for silent."""
        kinds = sorted(self.orders.kinds)
        return {
            "failed_controls": [control[:MAX_CONTROL_LENGTH] for control in self.failed_controls[:MAX_CONTROLS]],
            "buffered": self._buffer.waiting,
            "kinds": kinds,
            **self._limits,
        }

    # --- under the lock -----------------------------------------------------------------------------------------------

    def _take_in(self, results: Sequence[NewResult]) -> None:
        """Note results. Those of turns that the server does not know of yet are told by `late` as well, which alone moves
        such a turn on."""
        now = self._clock.now()
        for record, started_at in records_of(results, self._clock):
            self._fresh.add([record])
            self._note_lost(self._rota.finished(record.check_id, record.due_at, started_at, now=now))
            if self._rota.is_alone(record.check_id) or record.check_id in self._offered_again:
                self._offered_again.discard(record.check_id)
                self.newest.note([record])
                self._link.fall_behind()  # rival: `Backfill`, who may have found nothing a moment ago

    def _note_lost(self, late: timedelta) -> None:
        lost, self._rota.lost = self._rota.lost, 0
        if lost or late:
            self.losses.note(lost, late)

    def _taken(self, limit: int, now: datetime) -> list[ClaimedTurn]:
        """Return turns that the server has offered since, as of now."""
        taken, self._offers = self._offers[:limit], self._offers[limit:]
        return [replace(turn, starts_in_seconds=_until(turn, now)) for turn in taken]

    def _take_on(self, offered: OfferedTurn, now: datetime, *, is_unreadable: bool) -> None:
        turn = offered.turn
        if not self.orders.knows(turn):
            self._rota.strike(turn.check_id)  # deleted or changed at this moment
            if is_unreadable:
                self._fresh.add([not_run(turn, "settings_unreadable", {}, now)])
        elif (kind := self.orders.refused_kind(turn)) is not None:
            self._fresh.add([not_run(turn, "kind_not_allowed", {"kind": kind}, now)])
        elif not self._is_measured(offered):
            if self._rota.is_finished(turn):
                self._offered_again.add(turn.check_id)
            self._offers.append(self._rota.order(offered, now=now, is_overdue=self._link.is_behind))

    def _is_measured(self, offered: OfferedTurn) -> bool:
        """Tell whether a turn was probed while the server was not heard of, and its result is still to come."""
        measured = self._rota.measured(offered.turn.check_id) if self._link.is_behind else None
        return measured is not None and offered.turn.due_at <= measured

    def _keep(self) -> None:
        self._fresh.keep(now=self._clock.now(), is_known_time=self._clock.is_known)

    # --- errands ------------------------------------------------------------------------------------------------------

    def _say(self, failed_controls: list[str]) -> None:
        self.failed_controls = failed_controls
        self._add_errands([("health", {})])

    def _add_errands(self, errands: Iterable[Errand]) -> None:
        with self._lock:
            self._errands += errands
        self.wake.set()


def _until(turn: ClaimedTurn, now: datetime) -> float:
    return min(turn.starts_in_seconds, max(0.0, (turn.due_at - now).total_seconds()))


def _giving_back(turns: Iterable[ClaimedTurn]) -> list[Errand]:
    return [("leases", {"extend": [], "give_back": held}) for held in _parted(encode_held(turns))]


def _parted(held: list[Any]) -> Iterable[list[Any]]:
    """Yield turns in parts that the server takes at once."""
    for start in range(0, len(held), MAX_TURNS):
        yield held[start : start + MAX_TURNS]
