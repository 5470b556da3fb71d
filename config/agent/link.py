"""Whether the server can be reached, and what is said when that changes."""

from __future__ import annotations

import logging
import random
import threading
from time import monotonic

from config.agent.errors import ServerAway

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
# For so long nothing is missing that was claimed ahead; a busy server mostly answers within it.
PATIENCE_SECONDS = 1.5
# So long after an absence what the server had to let pass by is no sign of overload.
SETTLING_SECONDS = 60.0


class Link:
    """What the threads know of the server. Down at first; ``stop`` is set for good when the token is refused.

    ``is_behind`` is true from losing the server until everything that waited has arrived.
    """

    def __init__(self, stop: threading.Event, *, is_behind: bool) -> None:
        self.stop = stop
        self.is_up = False
        self.is_behind = is_behind
        self.falls = 0  # how often there was something new to tell as history
        # Since the server came back, or answers again: what is old waits until the present is told, and the last result of
        # each check until after that; then the server makes the turns again.
        self.has_traded = self.has_told_newest = False
        self.refusal = ""
        self._lock = threading.Lock()
        self._down_since = monotonic()
        self._reason = ""
        self._was_up = False
        self._failures = 0
        self._pause_seconds = 0.0
        self._asked_at: float | None = None
        self._up_since = monotonic()

    # --- how quickly it answers ---------------------------------------------------------------------------------------

    def asked(self) -> None:
        """Note that the prober wants an answer from now on, unless it waits for one already."""
        with self._lock:
            if self._asked_at is None:
                self._asked_at = monotonic()

    def answered(self) -> None:
        with self._lock:
            self._asked_at = None

    def leaves_us_alone(self) -> bool:
        """Tell whether the prober has to make its turns itself: the server is away, or does not answer in time.

        What a late answer offers may have been probed by then, so that from now on all of it is told as history too.
        """
        with self._lock:
            if not self.is_up:
                return True
            if self._asked_at is None or monotonic() - self._asked_at < PATIENCE_SECONDS:
                return False
            self._fall()
            self.has_traded = self.has_told_newest = False
            return True

    @property
    def is_settled(self) -> bool:
        """Tell whether the server has been there for a while, and everything that waited for it has arrived."""
        return self.is_up and not self.is_behind and monotonic() - self._up_since >= SETTLING_SECONDS

    # --- whether it is there ------------------------------------------------------------------------------------------

    def came_up(self, *, waiting: int) -> None:
        with self._lock:
            if self.is_up:
                return
            self.is_up, self._failures, self._asked_at = True, 0, None
            self._up_since = monotonic()
            if self._was_up:
                away = monotonic() - self._down_since
                logger.info("the server is back after %.0f s; %d results wait for it", away, waiting)
            else:
                logger.info("connected; %d results wait from before", waiting)
            self._was_up, self._reason = True, ""

    def went_down(self, error: ServerAway, *, checks: int = 0) -> None:
        """Note a failure. Each reason is said once."""
        with self._lock:
            if self.is_up:
                self._fall()
                self.is_up, self._down_since = False, monotonic()
                self.has_traded = self.has_told_newest = False
                logger.warning(
                    "the server is away (%s): %d checks go on here, their results wait on disk", error, checks
                )
            elif str(error) != self._reason:
                logger.warning("the server is away: %s", error)
            self._reason = str(error)
            self._failures += 1
            longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._failures, 10))
            # Jitter, so that agents which lost the server together do not all come back at once.
            self._pause_seconds = max(error.retry_after_seconds, random.uniform(longest / 2, longest))  # noqa: S311

    def next_pause(self) -> float:
        """Return how many seconds to wait before the next try."""
        return self._pause_seconds

    def fall_behind(self) -> None:
        with self._lock:
            self._fall()

    def caught_up(self, falls: int) -> bool:
        """Note that nothing waited any more; return False where something has come since ``falls`` was read."""
        with self._lock:
            if falls != self.falls:
                return False
            self.is_behind = False
            return True

    def _fall(self) -> None:
        self.is_behind = True
        self.falls += 1

    def refuse(self, reason: str) -> None:
        """End the agent: nobody takes its results any more."""
        if not self.refusal:
            self.refusal = reason
            logger.error("stopping: %s", reason)
        self.stop.set()
