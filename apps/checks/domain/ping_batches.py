"""Pings gather for some milliseconds and are stored together; who sent one waits until it is committed."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.db import Error, close_old_connections, connection

from apps.checks.domain.heartbeat_sweep import give_sign_of_life
from apps.checks.domain.ping_doors import SIGN_EVERY, Door
from apps.checks.domain.pings import Address, Fate, NewPing, PingStore, Stored
from apps.core import clock
from apps.live.domain.publish import publish_many

logger = logging.getLogger(__name__)

# A transaction costs as much as some fifty pings in it: while several come, they wait for more, but never for nobody.
QUIET_SECONDS, BUSY_SECONDS = 0.01, 0.1
LULL_SECONDS = 0.02
BUSY_FROM = 4
# Viewers are told this often at most; the browser fetches once a second anyhow.
TELL_SECONDS = 0.25
# How often the connection is looked at: is it too old, has it died? One that dies meanwhile costs a second try.
LOOK_SECONDS = 5.0
MAX_BATCH = 500
MAX_BATCH_BYTES = 16 * 1_048_576
MAX_WAITING = 20_000
MAX_WAITING_BYTES = 64 * 1_048_576
# Longer than the statements' own bounds: the database's machine does not even say no.
STUCK_SECONDS = 12.0
ONE_BY_ONE_SECONDS = 5.0


class Unavailable(Exception):
    """The ping could not be stored; nobody may be told that it was."""


Settle = Callable[[Fate | None], None]  # None: it could not be stored
Waiting = tuple[NewPing, Settle]
Changed = dict[Any, set[Any]]  # checks by tenant


class PingBatches:
    """Takes pings on the event loop, stores them in a thread of its own."""

    def __init__(self) -> None:
        self._store = PingStore()
        self._database = ThreadPoolExecutor(1, thread_name_prefix="pings")
        self._looked_at = float("-inf")
        self._waiting: list[Waiting] = []
        self._waiting_bytes = 0
        self._is_busy = False
        self._worker: asyncio.Task[None] | None = None
        self._signs: asyncio.Task[None] | None = None
        self._stuck: asyncio.Future[Any] | None = None
        self._untold: Changed = {}

    async def stored(self, ping: NewPing) -> Fate:
        """Store a ping and return its fate once that is committed; raises `Unavailable`."""
        future: asyncio.Future[Fate | None] = asyncio.get_running_loop().create_future()
        self.put(ping, lambda fate: None if future.done() else future.set_result(fate))  # its sender may have gone
        fate = await future
        if fate is None:
            raise Unavailable
        return fate

    def put(self, ping: NewPing, settle: Settle) -> None:
        """Store a ping; ``settle`` is called on the event loop once that is committed. Raises `Unavailable`."""
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + len(ping.body) > MAX_WAITING_BYTES:
            raise Unavailable
        self._waiting.append((ping, settle))
        self._waiting_bytes += len(ping.body)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())

    async def in_database(self, work: Any, *arguments: Any) -> Any:
        """Run work in the thread that holds the connection; raises `Unavailable` where the database cannot do it now."""
        if self._stuck is not None and not self._stuck.done():
            raise Unavailable
        running = asyncio.get_running_loop().run_in_executor(self._database, self._attempt, work, *arguments)
        try:
            return await asyncio.wait_for(asyncio.shield(running), STUCK_SECONDS)
        except TimeoutError:
            self._stuck = running
            running.add_done_callback(lambda done: done.exception())  # nobody else looks at it
            raise Unavailable from None

    def _attempt(self, work: Any, *arguments: Any) -> Any:
        """Do work on this thread's connection; one that has died meanwhile gets a second try on a new one."""
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            close_old_connections()
            self._looked_at = time.monotonic()
        used = connection.connection
        try:
            return work(*arguments)
        except Error as error:
            if not _is_lost(used):
                logger.warning("pings wait: the database refused (%s)", error)
                raise Unavailable from error
        try:
            return work(*arguments)
        except Error as error:
            connection.close()
            logger.warning("pings wait for the database: %s", error)
            raise Unavailable from error

    async def _work(self) -> None:
        while self._waiting:
            await self._gather()
            batch = self._next_batch()
            self._is_busy = len(batch) >= BUSY_FROM
            try:
                stored: Stored | None = await self.in_database(_store_batch, self._store, [ping for ping, _ in batch])
            except Unavailable:
                stored = None
            except Exception:  # whatever it was: those who wait are told, and the next ones are served
                logger.exception("a batch of pings could not be stored")
                stored = None
            for place, (_ping, settle) in enumerate(batch):
                _settled(settle, stored.fates[place] if stored else None)
            if stored and stored.changed:
                self._tell_soon(stored.changed)

    async def _gather(self) -> None:
        """Wait for more pings: a moment, or while many come as long as they do."""
        if not self._is_busy:
            await asyncio.sleep(QUIET_SECONDS)
            return
        for _part in range(round(BUSY_SECONDS / LULL_SECONDS)):
            before = len(self._waiting)
            await asyncio.sleep(LULL_SECONDS)
            if len(self._waiting) == before:
                return

    def _next_batch(self) -> list[Waiting]:
        """Take the first ones in line, as far as one transaction should carry them."""
        count, size = 0, 0
        for ping, _future in self._waiting[:MAX_BATCH]:
            if count and size + len(ping.body) > MAX_BATCH_BYTES:
                break
            count, size = count + 1, size + len(ping.body)
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        self._waiting_bytes -= size
        return batch

    # --- Live viewers ---

    def _tell_soon(self, changed: Changed) -> None:
        if not self._untold:
            asyncio.get_running_loop().call_later(TELL_SECONDS, self._tell)
        _merge(self._untold, changed)

    def _tell(self) -> None:
        untold, self._untold = self._untold, {}
        if untold:
            self._database.submit(_publish, untold)

    # --- The door's sign of life ---

    def open(self, door: Door) -> None:
        """Say from now on that pings can come in by that door; a second call changes nothing."""
        if self._signs is None or self._signs.done():
            self._signs = asyncio.create_task(self._give_signs(door))

    async def _give_signs(self, door: Door) -> None:
        watch, step = clock.StepWatch(), timedelta(0)
        while True:
            try:
                step += watch.step()
                gap = await self.in_database(give_sign_of_life, door, step)
                step = timedelta(0)
            except Unavailable:
                gap = None
            except Exception:  # a door without a sign of life would have nobody judged, until a restart
                logger.exception("the ping door %s could not give its sign of life", door)
                gap = None
            if gap:
                logger.warning("no ping could come in by %s for %s; what was expected then is forgiven", door, gap)
            await asyncio.sleep(SIGN_EVERY.total_seconds())

    async def close(self) -> None:
        """Store what waits, and leave the database."""
        if self._signs:
            self._signs.cancel()
        if self._worker:
            await self._worker
        self._tell()
        await asyncio.get_running_loop().run_in_executor(self._database, _leave)
        self._database.shutdown(wait=False)


def _settled(settle: Settle, fate: Fate | None) -> None:
    """Tell one sender; the others of its batch hear of their pings even if that fails."""
    try:
        settle(fate)
    except Exception:
        logger.exception("the sender of a ping could not be told of its fate")


def _leave() -> None:
    connection.close()  # looked up here: each thread has its own


def _is_lost(used: Any) -> bool:
    """Tell whether the connection that work used has died, and drop it then; Django may have made a new one meanwhile."""
    if used is not None and connection.connection is not used:
        return True
    if connection.connection is not None and connection.is_usable():
        return False
    connection.close()
    return True


def _store_batch(store: PingStore, pings: Sequence[NewPing]) -> Stored:
    """Store a batch; where it fails as a whole, store each heartbeat's pings by themselves."""
    used = connection.connection
    try:
        return store.store(pings)
    except Exception as error:
        if len(pings) == 1 or (isinstance(error, Error) and _is_lost(used)):
            raise
        logger.warning("pings that came together are stored one by one: %r", error)
    fates: list[Fate | None] = [None] * len(pings)
    changed: Changed = {}
    deadline = time.monotonic() + ONE_BY_ONE_SECONDS
    for places in _by_address(pings):
        try:
            stored = store.store([pings[place] for place in places]) if time.monotonic() < deadline else None
        except Exception as error:
            known = isinstance(error, Error)
            logger.warning("pings of one heartbeat could not be stored: %r", error, exc_info=not known)
            continue
        for place, fate in zip(places, stored.fates if stored else (), strict=False):
            fates[place] = fate
        _merge(changed, stored.changed if stored else {})
    return Stored(fates, changed)


def _by_address(pings: Sequence[NewPing]) -> Iterable[list[int]]:
    places: dict[Address, list[int]] = {}
    for place, ping in enumerate(pings):
        places.setdefault(ping.address, []).append(place)
    return places.values()


def _merge(into: Changed, more: Changed) -> None:
    for tenant_id, check_ids in more.items():
        into.setdefault(tenant_id, set()).update(check_ids)


def _publish(changed: Changed) -> None:
    publish_many({f"tenant:{tenant}": [f"check:{one}" for one in checks] for tenant, checks in changed.items()})
