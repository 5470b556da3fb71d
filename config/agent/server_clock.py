"""The server's time, by a clock that nobody sets: a wrong or stepping clock of this machine makes no wrong history."""

import threading
import time
from datetime import UTC, datetime, timedelta

from apps.core import clock

# Two clocks drift apart by less than this share of the time.
DRIFT = 100e-6
# A turn may start a moment early: timers have a grain.
EARLY = timedelta(milliseconds=50)
STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # other systems than Linux have the second only
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def steady_seconds() -> float:
    """Return seconds of a clock that is never set and goes on while the machine sleeps."""
    return time.clock_gettime(STEADY)


class ServerClock:
    """Estimates the server's time from the dates of its answers. Thread-safe.

    An answer was dated between asking and hearing it: its middle is the estimate, half of the time between the error.
    The best estimate stays until drift has made it worse than a new one; a date beyond both errors is a step and wins.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ahead: float | None = None  # the server's seconds since 1970 less our steady ones
        self._error = 0.0
        self._taken_at = 0.0
        self._is_trusted = False

    @property
    def is_known(self) -> bool:
        """Tell whether there is an estimate: once there is, it stays."""
        return self._ahead is not None

    @property
    def is_trusted(self) -> bool:
        """Tell whether the next answer's date has to agree with the estimate."""
        return self._is_trusted

    def now(self) -> datetime:
        """Return the server's time, or this machine's while no answer has come."""
        with self._lock:
            if self._ahead is None:
                return clock.now()
            return _instant(steady_seconds() + self._ahead)

    def take(self, issued_at: datetime, *, asked_at: float, heard_at: float) -> None:
        """Learn from an answer; both moments are `steady_seconds`."""
        ahead, error = issued_at.timestamp() - (asked_at + heard_at) / 2, (heard_at - asked_at) / 2
        with self._lock:
            worse = self._error + (heard_at - self._taken_at) * DRIFT
            is_better = self._ahead is None or error <= worse or abs(ahead - self._ahead) > error + worse
            if is_better or not self._is_trusted:
                self._ahead, self._error, self._taken_at = ahead, error, heard_at
            self._is_trusted = True

    def doubt(self) -> None:
        """Take the next answer's date as it comes. Until then the estimate stays: this machine's clock knows no better."""
        with self._lock:
            self._is_trusted = False


def corrected(started_at: datetime, *, due_at: datetime, shift: timedelta, now: datetime) -> datetime:
    """Return a start by this machine's clock as one by the server's: never later than ``now``, never before it was due.

    The bounds are for a clock that was set between the start and now.
    """
    moved = started_at + shift
    return moved if due_at - EARLY <= moved <= now else max(min(moved, now), min(due_at, now))


def _instant(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)
