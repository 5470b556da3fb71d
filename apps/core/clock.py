"""The one door to the time."""

import time
from datetime import UTC, datetime, timedelta

YEARS = range(1970, 2200)  # far from where calendars end, whatever is added and in whichever time zone
# More than a clock is slewed between two looks; less than what anybody would notice.
STEPPED = timedelta(seconds=5)


def now() -> datetime:
    """Return this instant in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the one place


def steady() -> float:
    """Return seconds on a clock that nobody can set, and which goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class StepWatch:
    """Notices when this machine's clock is set: it then moves otherwise than the one that nobody can set."""

    def __init__(self) -> None:
        self._ahead = self._look()

    @staticmethod
    def _look() -> float:
        return now().timestamp() - steady()

    def step(self) -> timedelta:
        """Return by how much the clock was set since the last look; zero where it ran by itself."""
        before, self._ahead = self._ahead, self._look()
        step = timedelta(seconds=self._ahead - before)
        return step if abs(step) > STEPPED else timedelta(0)
