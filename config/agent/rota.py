"""Turns made here while the server is away: every check goes on at its interval, on the grid that the server gave.

An order is good for a little more than half an hour; a check that was paused or deleted meanwhile is found out
when the server is back. While it is there, a check whose next turn it keeps from us is no longer ours: it has been paused or
moved, or another process of this agent has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from apps.checks.domain.agent_wire import OfferedTurn
from apps.checks.domain.late_results import LATE_AFTER, judges_for
from apps.checks.domain.turns import HEAD_START, ClaimedTurn

ORDERS_HOLD = timedelta(minutes=35)
# Beyond its own timeout a turn that brought no result is held to be lost.
LOST_AFTER = timedelta(seconds=60)
# How much later than it should a next turn may come: a lease that nobody used, and a beat.
NEXT_MAY_BE_LATE = timedelta(seconds=10)
SECOND = timedelta(seconds=1)


@dataclass(slots=True)
class Place:
    """A check in the rota. We make its turns since ``alone_since``; one is under way since ``out_since``."""

    turn: ClaimedTurn
    interval: timedelta
    ordered_at: datetime
    out_since: datetime | None
    expected_by: datetime  # when the server, while it is there, has given the next turn at the latest
    alone_since: datetime | None = None
    is_given: bool = True  # the present turn: by the server, not made here
    could_start_at: datetime | None = None  # the present turn, had we been quick; None: when it was due
    free_since: datetime | None = None  # when the last turn brought its result, if it was for us to make the next

    @property
    def is_alone(self) -> bool:
        return self.alone_since is not None

    def expect_next(self, now: datetime) -> None:
        """Wait for the server's next turn from now on; the one before it may have passed while ours was under way."""
        timeout = timedelta(seconds=self.turn.timeout_seconds)
        self.expected_by = now + 2 * self.interval + timeout + NEXT_MAY_BE_LATE

    def settle(self, now: datetime) -> None:
        """Leave the turns to the server again; while it was away nothing could be expected of it."""
        if self.alone_since is not None:
            self.expected_by += max(timedelta(), now - self.alone_since)
            self.alone_since = None

    def is_left(self, now: datetime) -> bool:
        """Tell whether the server, which is there, has gone on without us."""
        return not self.is_alone and self.expected_by < now and not self.is_out(now)

    def is_out(self, now: datetime) -> bool:
        """Tell whether a turn is under way; one that was never heard of again does not count for ever."""
        if self.out_since is None:
            return False
        return now - self.out_since < timedelta(seconds=self.turn.timeout_seconds) + LOST_AFTER

    def following(self, now: datetime) -> datetime:
        """Return the next slot of the grid, as the server would: the one after the last turn, or the coming one."""
        return self.turn.due_at + self.interval * max(1, self.passed(now))

    def passed(self, now: datetime) -> int:
        """Return how many slots have come after the present turn's."""
        return max(0, (now - self.turn.due_at) // self.interval)

    def lateness(self, started_at: datetime) -> timedelta:
        """Return how late a start was through our own fault."""
        return max(timedelta(), started_at - (self.could_start_at or self.turn.due_at))

    def finish(self, started_at: datetime, *, now: datetime) -> int:
        """Note the present turn's result; return how many turns are lost since it was started late."""
        self.out_since, self.free_since = None, now if self.is_alone else None
        if self.is_given:
            self.expect_next(now)
        # Where we make the turns, the slot that has come last is still probed.
        made = 1 if self.is_alone else 0
        in_time = now - self.lateness(started_at)
        return max(made, self.passed(now)) - max(made, self.passed(in_time))

    def skipped(self, now: datetime) -> int:
        """Return how many of our own turns are lost since nobody made them in time."""
        if self.free_since is None:
            return 0
        # The server's clock may have been set back meanwhile.
        return max(0, max(1, self.passed(now)) - max(1, self.passed(self.free_since)))


class Rota:
    """Who is due when, by the server's time. Not thread-safe."""

    def __init__(self, measured_until: Mapping[UUID, datetime]) -> None:
        self._places: dict[UUID, Place] = {}
        self._measured_until = measured_until  # by a process before this one, of what the server has not got yet
        self.lost = 0  # turns; the caller takes them from here

    def __len__(self) -> int:
        return len(self._places)

    def measured(self, check_id: UUID) -> datetime | None:
        """Return the last turn of a check that was probed here, or is being."""
        place = self._places.get(check_id)
        return place.turn.due_at if place else self._measured_until.get(check_id)

    def judged_for(self, check_id: UUID) -> timedelta:
        """Return for how long the server judges by a check's result, by its own rule; later it is history."""
        place = self._places.get(check_id)
        if place is None:
            return LATE_AFTER
        timeout_seconds = place.turn.timeout_seconds
        return judges_for(interval_seconds=place.interval // SECOND, timeout_seconds=timeout_seconds)

    def is_finished(self, turn: ClaimedTurn) -> bool:
        """Tell whether this very turn has brought its result already."""
        place = self._places.get(turn.check_id)
        return place is not None and place.turn.due_at == turn.due_at and place.out_since is None

    def order(self, offered: OfferedTurn, *, now: datetime, is_overdue: bool = False) -> ClaimedTurn:
        """Note a turn that the server gave, and return it as of now: from here on the server makes the check's turns.

        ``is_overdue`` says that one whose time has passed could not come earlier; so it is with a check's first turn.
        """
        starts_in = min(offered.turn.starts_in_seconds, max(0.0, (offered.turn.due_at - now).total_seconds()))
        turn = replace(offered.turn, starts_in_seconds=starts_in)
        interval = timedelta(seconds=offered.interval_seconds)
        begins_at = max(now, turn.due_at)
        could_start_at = begins_at if is_overdue or turn.check_id not in self._places else None
        place = Place(turn, interval, now, begins_at, begins_at, could_start_at=could_start_at)
        place.expect_next(begins_at)
        self._places[turn.check_id] = place
        return turn

    def finished(self, check_id: UUID, due_at: datetime, started_at: datetime, *, now: datetime) -> timedelta:
        """Note that a turn has brought its result; return how late it was started."""
        place = self._places.get(check_id)
        if place is None or place.turn.due_at != due_at:
            return timedelta()
        self.lost += place.finish(started_at, now=now)
        return place.lateness(started_at)

    def is_alone(self, check_id: UUID) -> bool:
        """Tell whether a check's turns are made here."""
        place = self._places.get(check_id)
        return place is not None and place.is_alone

    def go_alone(self, *, now: datetime) -> None:
        """Make every check's turns here."""
        for place in self._places.values():
            place.alone_since = place.alone_since or now

    def strike(self, check_id: UUID) -> None:
        """Forget a check."""
        self._places.pop(check_id, None)

    def settle(self, *, now: datetime) -> None:
        """Leave all turns to the server again."""
        for place in self._places.values():
            place.settle(now)

    def forget_old(self, *, now: datetime) -> None:
        """Strike checks whose last order is too old to be acted upon."""
        self._keep(lambda place: now - place.ordered_at <= ORDERS_HOLD)

    def forget_left(self, *, now: datetime) -> None:
        """Strike checks whose next turn has not come though the server has just given all that it had for us."""
        self._keep(lambda place: not place.is_left(now))

    def _keep(self, is_ours: Callable[[Place], bool]) -> None:
        for check_id in [check_id for check_id, place in self._places.items() if not is_ours(place)]:
            del self._places[check_id]

    def due(self, *, now: datetime, limit: int) -> list[ClaimedTurn]:
        """Return up to ``limit`` turns that are due soon among those made here, the most urgent first."""
        soon = now + HEAD_START
        ready = [
            (following, place)
            for place in self._places.values()
            if place.turn.due_at + place.interval <= soon  # as nine in ten are not, cheapest asked first
            and place.is_alone
            and not place.is_out(now)
            and now - place.ordered_at <= ORDERS_HOLD
            and (following := place.following(now)) <= soon
        ]
        ready.sort(key=lambda pair: pair[0])
        return [self._made(place, due_at, now) for due_at, place in ready[: max(0, limit)]]

    def _made(self, place: Place, due_at: datetime, now: datetime) -> ClaimedTurn:
        starts_in = max(0.0, (due_at - now).total_seconds())
        self.lost += place.skipped(now)
        place.could_start_at = place.free_since = None
        # A failure would end the beat for nobody: a hundred broken targets then took all of the processor's time.
        place.turn = replace(place.turn, due_at=due_at, starts_in_seconds=starts_in, is_news=False)
        place.is_given = False
        place.out_since = max(now, due_at)
        return place.turn
