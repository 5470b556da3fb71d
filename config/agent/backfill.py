"""The thread for the past: knocks at the server's door while it is away, and delivers what waits on disk once it is back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic

from config.agent.buffer import Buffer
from config.agent.connection import Connection
from config.agent.errors import RequestRefused, ServerAway, TokenRefused
from config.agent.link import Link
from config.agent.part import Part
from config.agent.present import MOST_BODY_BYTES, TOO_LARGE, late_body, say_life, wrong_rows
from config.agent.records import Record
from config.agent.server_clock import ServerClock
from config.agent.work import AgentWork

logger = logging.getLogger(__name__)

AT_ONCE = 1_000
# History may take its time: a busy server still answers the present at once.
ANSWER_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.2
OFFER_AGAIN_SECONDS = 2.0
# After five minutes without a trusted answer the next one's date is taken as it comes: one of the clocks was set.
DATE_HOLDS_SECONDS = 300.0


class Backfill(Part):
    """Has a connection of its own, so that history never stands in the way of the present."""

    def __init__(
        self, connection: Connection, link: Link, buffer: Buffer, server_clock: ServerClock, desk: AgentWork
    ) -> None:
        super().__init__("backfill", link.stop)
        self._connection = connection
        self._link = link
        self._buffer = buffer
        self._clock = server_clock
        self._desk = desk
        self._up_at = monotonic()
        self._delivered = 0
        self._body_bytes = MOST_BODY_BYTES
        self._said = ""  # why history was not taken

    def work(self) -> None:
        """Work until told to stop."""
        try:
            while not self._link.stop.wait(self._once()):
                pass
        finally:
            self._connection.close()

    def _once(self) -> float:
        """Do one thing and return how many seconds to rest after it."""
        if self._link.is_up:
            self._up_at = monotonic()
        if not self._link.is_up:
            self._knock()
            return 0.0 if self._link.is_up else self._link.next_pause()
        if not self._link.is_behind or not self._link.has_traded:
            return LOOK_EVERY_SECONDS
        falls = self._link.falls  # before looking: the prober may leave something behind our back
        if self._desk.newest:
            return self._deliver(self._desk.newest.peek(AT_ONCE, self._body_bytes))
        self._link.has_told_newest = True
        if self._buffer.waiting:
            return self._deliver(self._buffer.peek(AT_ONCE, self._body_bytes, now=self._clock.now()))
        if not self._link.caught_up(falls):
            return 0.0
        if self._delivered:
            logger.info("all that waited has arrived: %d results", self._delivered)
        self._delivered = 0
        return LOOK_EVERY_SECONDS

    def _knock(self) -> None:
        if monotonic() - self._up_at > DATE_HOLDS_SECONDS:
            self._clock.doubt()
        try:
            say_life(self._connection, self._desk)
        except TokenRefused as error:
            self._link.refuse(str(error))
        except ServerAway as error:
            self._link.went_down(error)
        except RequestRefused as error:
            self._link.went_down(ServerAway(f"the server does not take our requests: {error}"))
        else:
            self._link.came_up(waiting=self._buffer.waiting)

    def _deliver(self, records: Sequence[Record]) -> float:
        """Send results; return as long a rest as that took, so that half of the time is the present's."""
        began = monotonic()
        if not records:
            return LOOK_EVERY_SECONDS  # too old by now, or not to be read for the moment
        try:
            self._connection.ask("late", late_body(records), seconds=ANSWER_SECONDS)
        except TokenRefused as error:
            self._link.refuse(str(error))
        except ServerAway as error:
            return self._leave_for_later(error)
        except RequestRefused as error:
            try:
                self._make_do(records, error)
            except ServerAway as away:
                return self._leave_for_later(away)
        else:
            self._said = ""
            self._forget(records)
        return max(0.02, monotonic() - began)

    def _leave_for_later(self, error: ServerAway) -> float:
        """Return how many seconds to rest: whether the server is away is for the present to find out, history has time."""
        if str(error) != self._said:
            self._said = str(error)
            logger.warning("what waits was not taken and is offered again: %s", error)
        return max(error.retry_after_seconds, OFFER_AGAIN_SECONDS)

    def _forget(self, records: Sequence[Record]) -> None:
        self._desk.newest.told(records)
        self._delivered += self._buffer.take(records)

    def _make_do(self, records: Sequence[Record], error: RequestRefused) -> None:
        """Let go of what the server does not take, or send less at a time, so that the rest gets through."""
        if error.status == TOO_LARGE and len(records) > 1:
            self._body_bytes //= 2
            return
        wrong = wrong_rows(records, error)
        logger.error("%d late results were refused by the server and are lost: %s", len(wrong), str(error)[:500])
        self._forget(wrong)
