"""Turns made here while the server is away: every check goes on at its interval, on the grid that the server gave.

An order is good for so long as the server would take its results; a check that was paused or deleted meanwhile is found out
when the server is back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from apps.checks.domain.agent_wire import OfferedTurn
from apps.checks.domain.turns import HEAD_START, ClaimedTurn

ORDERS_HOLD = timedelta(minutes=35)
# Beyond its own timeout a turn that brought no result is held to be lost.
LOST_AFTER = timedelta(seconds=60)


@dataclass(slots=True)
class Place:
    """A check in the rota. ``is_alone`` says that we make its turns; one is under way since ``out_since``."""

    turn: ClaimedTurn
    interval: timedelta
    ordered_at: datetime
    out_since: datetime | None
    is_alone: bool = False

    def is_out(self, now: datetime) -> bool:
        """Tell whether a turn is under way; one that was never heard of again does not count for ever."""
        if self.out_since is None:
            return False
        return now - self.out_since < timedelta(seconds=self.turn.timeout_seconds) + LOST_AFTER

    def following(self, now: datetime) -> datetime:
        """Return the next slot of the grid, as the server would: the one after the last turn, or the coming one."""
        passed = (now - self.turn.due_at) // self.interval
        return self.turn.due_at + self.interval * max(1, passed)


class Rota:
    """Who is due when, by the server's time. Not thread-safe."""

    def __init__(self, measured_until: Mapping[UUID, datetime]) -> None:
        self._places: dict[UUID, Place] = {}
        self._measured_until = measured_until  # by a process before this one, of what the server has not got yet

    def __len__(self) -> int:
        return len(self._places)

    def measured(self, check_id: UUID) -> datetime | None:
        """Return the last turn of a check that was probed here, or is being."""
        place = self._places.get(check_id)
        return place.turn.due_at if place else self._measured_until.get(check_id)

    def is_finished(self, turn: ClaimedTurn) -> bool:
        """Tell whether this very turn has brought its result already."""
        place = self._places.get(turn.check_id)
        return place is not None and place.turn.due_at == turn.due_at and place.out_since is None

    def order(self, offered: OfferedTurn, *, now: datetime) -> ClaimedTurn:
        """Note a turn that the server gave, and return it as of now: from here on the server makes the check's turns."""
        starts_in = min(offered.turn.starts_in_seconds, max(0.0, (offered.turn.due_at - now).total_seconds()))
        turn = replace(offered.turn, starts_in_seconds=starts_in)
        interval = timedelta(seconds=offered.interval_seconds)
        self._places[turn.check_id] = Place(turn, interval, ordered_at=now, out_since=max(now, turn.due_at))
        return turn

    def finished(self, check_ids: Iterable[UUID]) -> None:
        """Note that turns have brought their results."""
        for check_id in check_ids:
            if check_id in self._places:
                self._places[check_id].out_since = None

    def is_alone(self, check_id: UUID) -> bool:
        """Tell whether a check's turns are made here."""
        place = self._places.get(check_id)
        return place is not None and place.is_alone

    def go_alone(self) -> None:
        """Make every check's turns here."""
        for place in self._places.values():
            place.is_alone = True

    def strike(self, check_id: UUID) -> None:
        """Forget a check."""
        self._places.pop(check_id, None)

    def settle(self) -> None:
        """Leave all turns to the server again."""
        for place in self._places.values():
            place.is_alone = False

    def forget_old(self, *, now: datetime) -> None:
        """Strike checks whose last order is too old to be acted upon."""
        old = [check_id for check_id, place in self._places.items() if now - place.ordered_at > ORDERS_HOLD]
        for check_id in old:
            del self._places[check_id]

    def due(self, *, now: datetime, limit: int) -> list[ClaimedTurn]:
        """Return up to ``limit`` turns that are due soon among those made here, the most urgent first."""
        soon = now + HEAD_START
        ready = [
            (following, place)
            for place in self._places.values()
            if place.is_alone
            and not place.is_out(now)
            and now - place.ordered_at <= ORDERS_HOLD
            and (following := place.following(now)) <= soon
        ]
        ready.sort(key=lambda pair: pair[0])
        return [self._made(place, due_at, now) for due_at, place in ready[: max(0, limit)]]

    def _made(self, place: Place, due_at: datetime, now: datetime) -> ClaimedTurn:
        starts_in = max(0.0, (due_at - now).total_seconds())
        place.turn = replace(place.turn, due_at=due_at, starts_in_seconds=starts_in)
        place.out_since = max(now, due_at)
        return place.turn
