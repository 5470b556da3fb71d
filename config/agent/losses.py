"""Turns that nobody ran since their time had passed before they could be started: counted, said in the log and told."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

logger = logging.getLogger(__name__)

SAY_EVERY_SECONDS = 60.0
MILLISECOND = timedelta(milliseconds=1)
MOST_MS = 2_147_483_647


@dataclass(frozen=True, slots=True)
class Tally:
    """How many turns were lost, and how late the latest start was."""

    lost: int = 0
    late_ms: int = 0

    def fields(self) -> dict[str, int]:
        """Return what the server is told."""
        return {"lost": self.lost, "late_ms": self.late_ms}


class Losses:
    """Counts since the last sign of life. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._untold = Tally()
        self._unsaid = Tally()
        self._said_at = float("-inf")

    def note(self, lost: int, late: timedelta) -> None:
        """Add lost turns and the lateness of a start; what is lost is said once a minute at most."""
        late_ms = min(max(0, late // MILLISECOND), MOST_MS)
        with self._lock:
            self._untold = _together(self._untold, lost, late_ms)
            self._unsaid = _together(self._unsaid, lost, late_ms)
            if not self._unsaid.lost or monotonic() - self._said_at < SAY_EVERY_SECONDS:
                return
            unsaid, self._unsaid, self._said_at = self._unsaid, Tally(), monotonic()
        logger.warning(
            "overloaded: %d turns were lost, since the next was due before they could be started (the latest start was "
            "%.1f s late). Fewer checks, longer intervals, a faster machine or another process with this token help.",
            unsaid.lost,
            unsaid.late_ms / 1_000,
        )

    def take(self) -> Tally:
        """Return what the server does not know yet and hold it for told: of two who tell at once, one alone gets it."""
        with self._lock:
            taken, self._untold = self._untold, Tally()
            return taken

    def put_back(self, tally: Tally) -> None:
        """Have what did not reach the server told another time."""
        with self._lock:
            self._untold = _together(self._untold, tally.lost, tally.late_ms)


def _together(tally: Tally, lost: int, late_ms: int) -> Tally:
    return Tally(tally.lost + lost, max(tally.late_ms, late_ms))
