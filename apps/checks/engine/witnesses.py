"""Whether a lookup that failed is the fault of the name's own servers, or of the resolver that we ask.

The resolver tells both in the same words: "try again". So names are asked for that every working resolver has an answer
to, be it that they have no address. While none of these is answered, nothing that fails is held against anybody.
"""

import asyncio
import socket
import threading
from collections.abc import Callable
from math import inf
from time import monotonic

Lookup = Callable[[str], tuple[str, ...]]
Found = tuple[str, ...] | OSError | ValueError

# Large domains, which a resolver has mostly at hand. The dot at the end keeps search domains out.
NAMES = ("com.", "net.", "org.")
# What says of a name that it has no address. All else says that nobody could be asked, or gave no usable answer.
NO_ADDRESS = frozenset(
    {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None), getattr(socket, "EAI_ADDRFAMILY", None)}
)
# A look is good for so long: shorter than any retry, so that each try is judged by a look of its own.
FRESH_SECONDS = 2.0
# A working resolver answers these within milliseconds.
PATIENCE_SECONDS = 1.0


def is_definite(found: Found) -> bool:
    """Tell whether a lookup told something of the name, if only that it has no address."""
    if isinstance(found, socket.gaierror):
        return found.errno in NO_ADDRESS
    return not isinstance(found, OSError)  # a name that cannot be encoded has none either


class Witnesses:
    """Looks at the witnesses when asked, one look at a time, in a thread of its own: all others may be stuck."""

    def __init__(self, loop: asyncio.AbstractEventLoop, lookup: Lookup) -> None:
        self._loop = loop
        self._lookup = lookup
        self._began = self._ended = -inf
        self._all_failed = False
        self._look: asyncio.Future[None] | None = None

    def look(self) -> None:
        """See to it that there is a fresh look, or one under way."""
        if self._look is None and monotonic() - self._ended > FRESH_SECONDS:
            try:
                threading.Thread(target=self._work, name="resolver-witnesses", daemon=True).start()
            except RuntimeError:  # a machine that has no room for a thread hears nobody
                self._end(all_failed=True)
                return
            self._look, self._began = self._loop.create_future(), monotonic()  # before it ends: that comes by the loop

    async def all_fail(self) -> bool:
        """Tell whether none of the witnesses is answered; may take as long as the resolver's own patience."""
        self.look()
        if self._look is not None:
            await asyncio.shield(self._look)
        return self._all_failed

    @property
    def seem_dead(self) -> bool:
        """Tell, without waiting, whether none of the witnesses is answered, or has not been for too long."""
        if self._look is not None:
            return monotonic() - self._began > PATIENCE_SECONDS
        return self._all_failed and monotonic() - self._ended <= FRESH_SECONDS

    def close(self) -> None:
        """Let go. A thread inside a lookup is left to it; it holds nothing of ours."""
        if self._look is not None:
            self._look.cancel()

    def _work(self) -> None:
        all_failed = not any(self._is_answered(name) for name in NAMES)
        try:
            self._loop.call_soon_threadsafe(self._end, all_failed)
        except RuntimeError:  # the loop has ended
            return

    def _is_answered(self, name: str) -> bool:
        try:
            return is_definite(self._lookup(name))
        except (OSError, ValueError) as error:
            return is_definite(error)
        except Exception:  # noqa: BLE001 - such as want of memory; a look that never ended would stand for ever
            return False

    def _end(self, all_failed: bool) -> None:
        self._all_failed, self._ended = all_failed, monotonic()
        look, self._look = self._look, None
        if look is not None and not look.done():
            look.set_result(None)
