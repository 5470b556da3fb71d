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
from config.agent.portion import Portion
from config.agent.present import MOST_BODY_BYTES, TOO_LARGE, late_body, say_life, wrong_rows
from config.agent.records import Record
from config.agent.server_clock import ServerClock
from config.agent.work import AgentWork

logger = logging.getLogger(__name__)

# History may take its time: a busy server still answers the present at once.
ANSWER_SECONDS = 30.0
LOOK_EVERY_SECONDS = 0.2
OFFER_AGAIN_SECONDS = 2.0
SAY_EVERY_SECONDS = 60.0
# For these, or no answer at all, a single result is hardly to blame: it is offered for as long as it is young enough.
PASSING = frozenset({0, 429, 502, 503, 504})
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
        self._refused = 0  # results that the server would not take
        # Apart, so that one which holds up history does not have the news told one by one.
        self._news, self._history = Portion(), Portion()
        self._offer_again_at = float("-inf")
        self._said, self._said_at = "", float("-inf")  # why history was not taken

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
            news = self._desk.newest.peek(self._news.count, self._body_bytes, now=self._clock.now())
            return self._deliver(news, self._news)
        self._link.has_told_newest = True
        if self._buffer.waiting:
            kept = self._buffer.peek(self._history.count, self._body_bytes, now=self._clock.now())
            return self._deliver(kept, self._history)
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
            self._offer_again_at = float("-inf")  # which the server wished for before it went
            self._link.came_up(waiting=self._buffer.waiting)

    def _deliver(self, records: Sequence[Record], portion: Portion) -> float:
        """Send results; return how many seconds to rest for the sake of the present."""
        began = monotonic()
        if not records:
            return LOOK_EVERY_SECONDS  # too old by now, or not to be read for the moment
        if began < self._offer_again_at:
            return LOOK_EVERY_SECONDS  # no longer: nobody else knocks, should the server go meanwhile
        try:
            self._connection.ask("late", late_body(records), seconds=ANSWER_SECONDS)
        except TokenRefused as error:
            self._link.refuse(str(error))
        except ServerAway as error:
            return self._leave_for_later(records, portion, error)
        except RequestRefused as error:
            try:
                self._make_do(records, error)
            except ServerAway as away:
                return self._leave_for_later(records, portion, away)
        else:
            portion.arrived()
            self._delivered += self._forget(records)
        return rest_after(monotonic() - began)

    def _leave_for_later(self, records: Sequence[Record], portion: Portion, error: ServerAway) -> float:
        """Return how many seconds to rest: whether the server is away is for the present to find out, history has time."""
        self._say_left(error)
        self._offer_again_at = monotonic() + max(error.retry_after_seconds, OFFER_AGAIN_SECONDS)
        # A server that takes the present is there: it stumbles over something of these.
        has_present = self._link.is_up and self._link.has_traded
        is_blamed = error.status not in PASSING or len(records) > 1
        if has_present and is_blamed and portion.refused(len(records)):
            self._let_go(records, error)
        return LOOK_EVERY_SECONDS

    def _say_left(self, error: ServerAway) -> None:
        if str(error) != self._said or monotonic() - self._said_at >= SAY_EVERY_SECONDS:
            self._said, self._said_at = str(error), monotonic()
            logger.warning("what waits was not taken and is offered again: %s", error)

    def _make_do(self, records: Sequence[Record], error: RequestRefused) -> None:
        """Let go of what the server does not take, or send less at a time, so that the rest gets through."""
        if error.status == TOO_LARGE and len(records) > 1:
            self._body_bytes //= 2
            return
        self._let_go(wrong_rows(records, error), error)

    def _let_go(self, records: Sequence[Record], error: Exception) -> None:
        self._refused += len(records)
        text = "%d late results were refused by the server and are lost, %d so far: %s"
        logger.error(text, len(records), self._refused, str(error)[:500])
        self._forget(records)

    def _forget(self, records: Sequence[Record]) -> int:
        """Return how many of them lay on disk."""
        self._desk.newest.told(records)
        return self._buffer.take(records)


def rest_after(took: float) -> float:
    """Return how many seconds to rest after a request that took so many: the longer, the busier is the server.

    From a second on half of the time is the present's, below it more and more of it history's.
    """
    return max(0.02, min(took, took * took))
