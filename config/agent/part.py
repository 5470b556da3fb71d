"""The agent's threads: whatever one of them stumbles over ends all, so that nothing goes on half."""

from __future__ import annotations

import logging
import threading

logger = logging.getLogger(__name__)


class Part(threading.Thread):
    """A thread that does `work` and, should that fail, sets ``stop`` for everybody."""

    def __init__(self, name: str, stop: threading.Event) -> None:
        super().__init__(name=name)
        self._stop_all = stop
        self.has_failed = False

    def work(self) -> None:
        """Do what the thread is for, until told to stop."""
        raise NotImplementedError

    def run(self) -> None:
        try:
            self.work()
        except Exception:
            self.has_failed = True
            logger.exception("a fault of the agent")
            self._stop_all.set()
