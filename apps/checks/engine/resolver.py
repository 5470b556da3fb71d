"""Names to addresses, without letting slow name servers hold up other probes.

The system's own resolver is asked (it alone knows the hosts file, search domains and what else an operator set up), in
threads, since it blocks. libcurl would do so too, but in at most twenty threads for everybody: twenty names whose server
never answers would stop all others. Here one zone gets a small share of the threads.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic, perf_counter

THREADS = 64
THREADS_PER_ZONE = 8
FRESH_SECONDS = 3.0  # less than the shortest interval: a check always looks up anew, only its neighbours share
KEPT = 10_000

Lookup = Callable[[str], tuple[str, ...]]


class NameNotFound(Exception):
    """The name has no address; the text is the resolver's reason."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The addresses of a name, and how long finding them took."""

    addresses: tuple[str, ...]
    took_us: int
    expires_at: float


def system_lookup(host: str) -> tuple[str, ...]:
    """Ask the system's resolver; raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


class HostResolver:
    """Looks names up for one event loop. Use from the loop's thread; a name being looked up is asked for once."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._loop = asyncio.get_running_loop()
        self._lookup = lookup
        self._fresh: dict[str, Answer] = {}
        self._asked: dict[str, asyncio.Future[Answer]] = {}
        self._zones: dict[str, tuple[int, deque[str]]] = {}  # threads busy with a zone, and its names that wait
        self._todo: deque[str] = deque()
        self._more = threading.Semaphore(0)
        self._threads = 0
        self._under_way = 0
        self._is_closed = False

    async def resolve(self, host: str) -> Answer:
        """Return the addresses of ``host`` or raise `NameNotFound`."""
        known = self._fresh.get(host)
        if known is not None and known.expires_at > monotonic():
            return known
        waiting = self._asked.get(host)
        if waiting is None:
            waiting = self._asked[host] = self._loop.create_future()
            waiting.add_done_callback(_retrieve)
            self._queue(host)
        return await asyncio.shield(waiting)  # one probe that gives up must not take the answer from the others

    def close(self) -> None:
        """Let the threads end. Those inside a lookup are left to it; they hold nothing of ours."""
        self._is_closed = True
        for _thread in range(self._threads):
            self._more.release()
        for waiting in self._asked.values():
            waiting.cancel()

    def _queue(self, host: str) -> None:
        zone = _zone(host)
        busy, names = self._zones.setdefault(zone, (0, deque()))
        if busy >= THREADS_PER_ZONE:
            names.append(host)
            return
        self._zones[zone] = busy + 1, names
        self._start(host)

    def _start(self, host: str) -> None:
        self._todo.append(host)
        self._under_way += 1
        if self._under_way > self._threads and self._threads < THREADS:
            self._threads += 1
            # A daemon, since a lookup cannot be stopped and must not hold up the end of the process.
            threading.Thread(target=self._work, name="resolver", daemon=True).start()
        self._more.release()

    def _work(self) -> None:
        while True:
            self._more.acquire()
            if self._is_closed:
                return
            host = self._todo.popleft()
            began = perf_counter()
            try:
                found: tuple[str, ...] | OSError | ValueError = self._lookup(host)
            except (OSError, ValueError) as error:  # a name that cannot be encoded is a ValueError
                found = error
            took_us = int((perf_counter() - began) * 1_000_000)
            try:
                self._loop.call_soon_threadsafe(self._answer, host, found, took_us)
            except RuntimeError:  # the loop has ended
                return

    def _answer(self, host: str, found: tuple[str, ...] | OSError | ValueError, took_us: int) -> None:
        self._under_way -= 1
        self._next_of(_zone(host))
        waiting = self._asked.pop(host, None)
        if waiting is None or waiting.done():
            return
        if isinstance(found, Exception) or not found:
            reason = getattr(found, "strerror", None) or str(found)
            waiting.set_exception(NameNotFound(reason))
            return
        answer = Answer(found, max(1, took_us), monotonic() + FRESH_SECONDS)
        if len(self._fresh) >= KEPT:
            self._fresh.clear()
        self._fresh[host] = answer
        waiting.set_result(answer)

    def _next_of(self, zone: str) -> None:
        busy, names = self._zones[zone]
        if names:
            self._start(names.popleft())
        elif busy == 1:
            del self._zones[zone]
        else:
            self._zones[zone] = busy - 1, names


def _zone(host: str) -> str:
    """Return the last two labels, which is about where one name server's duty begins."""
    return ".".join(host.rstrip(".").rsplit(".", 2)[-2:])


def _retrieve(future: asyncio.Future[Answer]) -> None:
    """Look at the error, so that an answer which nobody waits for any more is not reported as forgotten."""
    if not future.cancelled():
        future.exception()
