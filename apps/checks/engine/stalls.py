"""Noticing that this process itself stood still: what its probes missed meanwhile says nothing of their targets.

A machine that swaps, is paused by its host or starves of CPU lets every timeout under way run out at once. Without this
watch a second of that would look like an outage of everything.
"""

import asyncio

LOOK_EVERY_SECONDS = 0.25
STALL_SECONDS = 1.0


class StallWatch:
    """Looks at the clock four times a second. Use from the loop's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._last_end = float("-inf")
        self._timer = self._loop.call_later(LOOK_EVERY_SECONDS, self._look)
        self._looks_at = self._loop.time() + LOOK_EVERY_SECONDS

    def close(self) -> None:
        self._timer.cancel()

    def has_stalled_since(self, began: float) -> bool:
        """Tell whether the loop stood still at some time after its time ``began``."""
        self._notice()  # timers of one moment run in any order: the look that is due may come after the one who asks
        return self._last_end > began

    def _notice(self) -> None:
        now = self._loop.time()
        if now - self._looks_at > STALL_SECONDS:
            self._last_end = now

    def _look(self) -> None:
        self._notice()
        self._looks_at = self._loop.time() + LOOK_EVERY_SECONDS
        self._timer = self._loop.call_later(LOOK_EVERY_SECONDS, self._look)
