"""How often a heartbeat may be pinged, and a stranger may guess. Counted in this process alone: a ping must stay cheap."""

import time
from collections.abc import Hashable
from dataclasses import dataclass, field

MAX_KEYS = 100_000


@dataclass(slots=True)
class Bound:
    """So many a minute in the long run, so many at once, for each key."""

    per_minute: float
    burst: int
    _arrivals: dict[Hashable, float] = field(default_factory=dict)

    def spend(self, key: Hashable) -> bool:
        """Count one use; return whether it was within the bound. What is refused costs nothing."""
        now, interval = time.monotonic(), 60 / self.per_minute
        arrival = max(self._arrivals.get(key, 0.0), now) + interval
        if arrival - now > interval * self.burst:
            return False
        if len(self._arrivals) >= MAX_KEYS:
            self._forget(now)
        self._arrivals[key] = arrival
        return True

    def is_spent(self, key: Hashable) -> bool:
        """Tell whether the next use would be refused, without counting one."""
        now, interval = time.monotonic(), 60 / self.per_minute
        return max(self._arrivals.get(key, 0.0), now) + interval - now > interval * self.burst

    def _forget(self, now: float) -> None:
        self._arrivals = {key: arrival for key, arrival in self._arrivals.items() if arrival > now}
        if len(self._arrivals) >= MAX_KEYS:  # that many are busy: better to let some pass than to run out of memory
            self._arrivals.clear()
