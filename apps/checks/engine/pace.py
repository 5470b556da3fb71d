"""When probes start: on time, and after a delay not all at once, or they would make each other look slow."""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

TICK_SECONDS = 0.01
MOST_PER_TICK = 25  # 2,500 a second: about what one core can probe


class Pace:
    """Calls ``start(what)`` at each one's time, within a tick. Use from the loop's thread."""

    def __init__(self, start: Callable[[Any], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = start
        self._waiting: list[tuple[float, int, Any]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = float("inf")
        self._next_tick = 0.0

    def add(self, what: Any, *, at: float) -> None:
        """Have ``what`` started at the loop's time ``at``, or as soon as the pace allows."""
        heappush(self._waiting, (at, next(self._order), what))
        if max(at, self._next_tick) < self._rings_at:
            self._set_timer()

    def close(self) -> None:
        """Start nothing more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = max(self._waiting[0][0], self._next_tick)
        self._timer = self._loop.call_at(self._rings_at, self._tick)

    def _tick(self) -> None:
        self._timer, self._rings_at = None, float("inf")
        now = self._loop.time()
        self._next_tick = now + TICK_SECONDS
        try:
            for _place in range(MOST_PER_TICK):
                if not self._waiting or self._waiting[0][0] > now:
                    break
                self._start(heappop(self._waiting)[2])
        finally:  # one that cannot be started must not keep the others
            if self._waiting:
                self._set_timer()
