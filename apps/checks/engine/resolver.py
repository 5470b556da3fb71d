"""Names to addresses, without letting slow name servers hold up other probes.

The system's own resolver is asked (it alone knows the hosts file, search domains and what else an operator set up), in
threads, since it blocks. libcurl would do so too, but in at most twenty threads for everybody: twenty names whose server
never answers would stop all others. Here one domain gets a small share of the threads, and a smaller one the fewer are
left. Domains are counted as their owners are (https://publicsuffix.org), so that customers of one host share nothing.
"""

import asyncio
import errno
import socket
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from math import inf
from time import monotonic, perf_counter

from apps.checks.engine.witnesses import Found, Lookup, Witnesses, is_definite
from apps.checks.types import owners
from apps.core.http.failures import OWN_ERRORS, Failure

THREADS = 64
THREADS_PER_ZONE = 8
ZONES_AT_ONCE = 4  # that are given what one lookup's end leaves free
FREE_PER_SHARE = 4  # one zone may take this part of the threads that are free: a handful of zones never takes them all
FRESH_SECONDS = 3.0  # less than the shortest interval: a check always looks up anew, only its neighbours share
KEPT = 10_000

# A lookup that takes longer has us look whether others are answered.
SLOW_SECONDS = 0.5


class NameNotFound(Exception):
    """The name has no address; the text is the resolver's reason."""


class LookupFailed(Exception):
    """The resolver gave no answer for the name; ``is_ours``: nor for any other. The text is its reason."""

    def __init__(self, reason: str, *, is_ours: bool = False) -> None:
        super().__init__(reason)
        self.is_ours = is_ours


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


@dataclass(slots=True)
class _Zone:
    """A domain of one owner: how many of its names are being looked up, and those that wait."""

    busy: int = 0
    names: deque[str] = field(default_factory=deque)
    slow_at: float = -inf  # when a lookup last ended that had taken long (monotonic)


class HostResolver:
    """Looks names up for one event loop. Use from the loop's thread; a name being looked up is asked for once."""

    def __init__(self, lookup: Lookup = system_lookup) -> None:
        self._loop = asyncio.get_running_loop()
        self._lookup = lookup
        self._fresh: dict[str, Answer] = {}
        self._asked: dict[str, asyncio.Future[Answer]] = {}
        self._wanted: Counter[str] = Counter()  # how many probes wait for a name
        self._zones: dict[str, _Zone] = {}
        self._in_line: dict[str, _Zone] = {}  # those with names that wait, in the order in which they are served
        self._begun: dict[str, float] = {}  # when a thread took a name up (monotonic); written by that thread
        self._behind_own: set[str] = set()  # names before which as many of their zone came as it may have at once
        self._todo: deque[str] = deque()
        self._more = threading.Semaphore(0)
        self._threads = 0
        self._under_way = 0
        self._is_closed = False
        self._witnesses = Witnesses(self._loop, lookup)
        owners.load()  # now, not beside probes
        self._slow: dict[str, asyncio.TimerHandle] = {}  # what becomes suspicious unless it is answered soon
        self._heard: tuple[tuple[str, float], tuple[str, float]] = (
            ("", -inf),
            ("", -inf),
        )  # the last two zones, and when

    async def resolve(self, host: str) -> Answer:
        """Return the addresses of ``host`` or raise `NameNotFound` or `LookupFailed`."""
        known = self._fresh.get(host)
        if known is not None and known.expires_at > monotonic():
            return known
        self._wanted[host] += 1
        waiting = self._asked.get(host)
        if waiting is None:
            waiting = self._asked[host] = self._loop.create_future()
            waiting.add_done_callback(_retrieve)
            self._slow[host] = self._loop.call_later(SLOW_SECONDS, self._witnesses.look)
            self._queue(host)
        began = monotonic()
        try:
            return await asyncio.shield(waiting)  # one probe that gives up must not take the answer from the others
        except LookupFailed as failure:
            is_ours = failure.is_ours or (
                not self._has_heard_since(began, besides=host) and await self._witnesses.all_fail()
            )
            raise LookupFailed(str(failure), is_ours=is_ours) from failure
        finally:
            self._wanted[host] -= 1
            if not self._wanted[host]:
                del self._wanted[host]

    def why_late(self, host: str, *, since: float) -> Failure:
        """Say of a lookup that has taken too long, from that (monotonic) moment on, whose fault that is."""
        if self._stood_in_line(host, since) and not self._is_zones_doing(host, since):
            return Failure("own_fault", {"detail": "lookups of names wait in line"}, is_ours=True)
        if not self._has_heard_since(since, besides=host) and self._witnesses.seem_dead:
            return Failure("resolver_failure", {"host": host, "detail": "timeout"}, is_ours=True)
        return Failure("dns_timeout", {"host": host})

    def _stood_in_line(self, host: str, since: float) -> bool:
        """Tell whether nobody has asked for a name, or so late that its servers had less time than it waited for us."""
        if host not in self._asked:
            return False
        begun = self._begun.get(host)
        return begun is None or begun - since > monotonic() - begun

    def _is_zones_doing(self, host: str, since: float) -> bool:
        """Tell whether a name that stood in line would have done so without other zones: behind slow ones of its own.

        As many as a zone may have at most came before it, so that a zone whose servers are dead is not excused by the
        line that they make. Whoever came sooner waits since others took the threads. That is ours, even while the one
        lookup that its zone was left with hangs: nobody asked this name's servers, which may be others (a delegation).
        """
        if host not in self._behind_own:
            return False
        name, latest = _zone(host), monotonic() - SLOW_SECONDS
        begun = self._begun.copy()  # threads write to it meanwhile
        hangs = any(at < latest and _zone(other) == name for other, at in begun.items())
        return hangs or self._zones[name].slow_at >= since

    def close(self) -> None:
        """Let the threads end. Those inside a lookup are left to it; they hold nothing of ours."""
        self._is_closed = True
        for timer in self._slow.values():
            timer.cancel()
        self._witnesses.close()
        for _thread in range(self._threads):
            self._more.release()
        for waiting in self._asked.values():
            waiting.cancel()

    def _queue(self, host: str) -> None:
        name = _zone(host)
        zone = self._zones.setdefault(name, _Zone())
        if zone.busy + len(zone.names) >= THREADS_PER_ZONE:
            self._behind_own.add(host)
        zone.names.append(host)
        self._fill(name, zone)

    def _fill(self, name: str, zone: _Zone) -> None:
        """Start what waits of a zone, up to its share, which is never less than one; what is left goes to the line's end."""
        self._in_line.pop(name, None)
        while zone.names and zone.busy < max(1, min(THREADS_PER_ZONE, (THREADS - self._under_way) // FREE_PER_SHARE)):
            host = zone.names.popleft()
            if host not in self._wanted:  # all have given up: a thread would hang for nobody
                self._drop(host)
            elif self._has_thread():
                zone.busy += 1
                self._start(host)
            else:
                self._refuse(host)
        if zone.names:
            self._in_line[name] = zone
        elif not zone.busy:
            del self._zones[name]

    def _drop(self, host: str) -> asyncio.Future[Answer]:
        self._behind_own.discard(host)
        self._slow.pop(host).cancel()
        return self._asked.pop(host)

    def _refuse(self, host: str) -> None:
        waiting = self._drop(host)
        if not waiting.done():
            waiting.set_exception(LookupFailed("no thread can be started", is_ours=True))

    def _has_thread(self) -> bool:
        """See to a thread for one more name; without a new one, those there are must do. Tell whether there is any."""
        if self._under_way >= self._threads and self._threads < THREADS:
            try:
                # A daemon, since a lookup cannot be stopped and must not hold up the end of the process.
                threading.Thread(target=self._work, name="resolver", daemon=True).start()
            except RuntimeError:  # the machine has no room for it now; the next name tries again
                return self._threads > 0
            self._threads += 1
        return True

    def _start(self, host: str) -> None:
        self._under_way += 1
        self._todo.append(host)
        self._more.release()

    def _work(self) -> None:
        while True:
            self._more.acquire()
            if self._is_closed:
                return
            host = self._todo.popleft()
            self._begun[host] = monotonic()
            began = perf_counter()
            try:
                found: Found = self._lookup(host)
            except (OSError, ValueError) as error:  # a name that cannot be encoded is a ValueError
                found = error
            except Exception as error:  # noqa: BLE001 - a thread that ended here would keep the name and its place
                found = OSError(errno.ENOMEM, type(error).__name__)
            took_us = int((perf_counter() - began) * 1_000_000)
            try:
                self._loop.call_soon_threadsafe(self._answer, host, found, took_us)
            except RuntimeError:  # the loop has ended
                return

    def _answer(self, host: str, found: Found, took_us: int) -> None:
        self._under_way -= 1
        self._begun.pop(host, None)
        self._behind_own.discard(host)
        if took_us > SLOW_SECONDS * 1_000_000:
            self._zones[_zone(host)].slow_at = monotonic()
        if timer := self._slow.pop(host, None):
            timer.cancel()
        if is_definite(found):
            self._hear(host)
        waiting = self._asked.pop(host, None)
        if waiting is not None and not waiting.done():
            self._tell(host, waiting, found, took_us)
        self._next_of(_zone(host))  # at last: whatever becomes of others, this name is done with

    def _tell(self, host: str, waiting: asyncio.Future[Answer], found: Found, took_us: int) -> None:
        if isinstance(found, Exception) or not found:
            reason = getattr(found, "strerror", None) or str(found)
            is_answer = is_definite(found)
            waiting.set_exception(NameNotFound(reason) if is_answer else LookupFailed(reason, is_ours=_is_own(found)))
            return
        answer = Answer(found, max(1, took_us), monotonic() + FRESH_SECONDS)
        if len(self._fresh) >= KEPT:
            self._fresh.clear()
        self._fresh[host] = answer
        waiting.set_result(answer)

    def _hear(self, host: str) -> None:
        """Remember that the resolver answered. What stands in a hosts file has mostly no dot, and comes from no resolver."""
        zone, (last, before) = _zone(host), self._heard
        if "." in zone:
            self._heard = (zone, monotonic()), (before if last[0] == zone else last)

    def _has_heard_since(self, moment: float, *, besides: str) -> bool:
        """Tell whether a name of another zone was answered since then."""
        return any(at >= moment and zone != _zone(besides) for zone, at in self._heard)

    def _next_of(self, name: str) -> None:
        zone = self._zones[name]
        zone.busy -= 1
        self._fill(name, zone)
        for other in list(islice(self._in_line, ZONES_AT_ONCE)):  # one of theirs may hang, and end nothing
            self._fill(other, self._in_line[other])


@lru_cache(maxsize=KEPT)
def _zone(host: str) -> str:
    """Return the domain that a name's owner holds: about where one name server's duty begins."""
    return owners.domain_of(host) or host.rstrip(".").lower()


def _is_own(found: Found) -> bool:
    """Tell whether a lookup failed for want of something on this machine, so that nobody was asked."""
    if isinstance(found, socket.gaierror):
        return found.errno == socket.EAI_MEMORY
    return isinstance(found, OSError) and found.errno in OWN_ERRORS


def _retrieve(future: asyncio.Future[Answer]) -> None:
    """Look at the error, so that an answer which nobody waits for any more is not reported as forgotten."""
    if not future.cancelled():
        future.exception()
