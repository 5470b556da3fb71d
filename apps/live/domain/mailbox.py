"""What waits to be sent to one socket: a few messages at most, so that a slow viewer costs nobody else anything."""

import asyncio
from collections import deque
from enum import Enum

MAILBOX_SIZE = 8


class Signal(Enum):
    """What a socket does instead of sending a waiting message."""

    CHECK_ACCESS = "check access"
    CATCH_UP = "catch up"


class Mailbox:
    """Filled by the hub without waiting, emptied by the socket at its own speed."""

    def __init__(self) -> None:
        self._letters: deque[str] = deque()
        self._signals: set[Signal] = set()
        self._waiter: asyncio.Future[None] | None = None

    def push(self, payload: str) -> None:
        """Put a message in; when there are too many, drop them all for one order to catch up."""
        if Signal.CATCH_UP in self._signals:
            return  # the resync that is due says this too
        if len(self._letters) < MAILBOX_SIZE:
            self._letters.append(payload)
            self._wake()
        else:
            self._letters.clear()
            self.signal(Signal.CATCH_UP)

    def signal(self, signal: Signal) -> None:
        """Have the socket do something before its next message."""
        self._signals.add(signal)
        self._wake()

    async def take(self) -> str | Signal:
        """Return the next thing to do, waiting for it if need be."""
        while True:
            if self._signals:
                return self._next_signal()
            if self._letters:
                return self._letters.popleft()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def _next_signal(self) -> Signal:
        first = Signal.CHECK_ACCESS if Signal.CHECK_ACCESS in self._signals else Signal.CATCH_UP
        self._signals.remove(first)
        return first

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
