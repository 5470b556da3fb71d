"""Pings gather for some milliseconds and are stored together; who sent one waits until it is committed."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import Error, close_old_connections, connection

from apps.checks.domain.heartbeat_sweep import SIGN_EVERY, give_sign_of_life
from apps.checks.domain.pings import Address, Fate, NewPing, PingStore, Stored
from apps.live.domain.publish import publish_many

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.02
MAX_BATCH = 500
MAX_BATCH_BYTES = 16 * 1_048_576
MAX_WAITING = 20_000
MAX_WAITING_BYTES = 64 * 1_048_576
# Longer than the statements' own bounds: the database's machine does not even say no.
STUCK_SECONDS = 12.0
ONE_BY_ONE_SECONDS = 5.0


class Unavailable(Exception):
    """The ping could not be stored; nobody may be told that it was."""


Waiting = tuple[NewPing, "asyncio.Future[Fate]"]


class PingBatches:
    """Takes pings on the event loop, stores them in a thread of its own."""

    def __init__(self) -> None:
        self._store = PingStore()
        self._database = ThreadPoolExecutor(1, thread_name_prefix="pings")
        self._waiting: list[Waiting] = []
        self._waiting_bytes = 0
        self._worker: asyncio.Task[None] | None = None
        self._signs: asyncio.Task[None] | None = None
        self._stuck: asyncio.Future[Any] | None = None

    async def stored(self, ping: NewPing) -> Fate:
        """Store a ping and return its fate once that is committed; raises `Unavailable`."""
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes + len(ping.body) > MAX_WAITING_BYTES:
            raise Unavailable
        future: asyncio.Future[Fate] = asyncio.get_running_loop().create_future()
        self._waiting.append((ping, future))
        self._waiting_bytes += len(ping.body)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def in_database(self, work: Any, *arguments: Any) -> Any:
        """Run work in the thread that holds the connection; raises `Unavailable` where the database cannot do it now."""
        if self._stuck is not None and not self._stuck.done():
            raise Unavailable
        running = asyncio.get_running_loop().run_in_executor(self._database, _attempt, work, *arguments)
        try:
            return await asyncio.wait_for(asyncio.shield(running), STUCK_SECONDS)
        except TimeoutError:
            self._stuck = running
            running.add_done_callback(lambda done: done.exception())  # nobody else looks at it
            raise Unavailable from None

    async def _work(self) -> None:
        while self._waiting:
            await asyncio.sleep(GATHER_SECONDS)
            batch = self._next_batch()
            try:
                stored: Stored | None = await self.in_database(_store_batch, self._store, [ping for ping, _ in batch])
            except Unavailable:
                stored = None
            for place, (_ping, future) in enumerate(batch):
                if not future.done():  # its sender may have gone
                    _settle(future, stored.fates[place] if stored else None)
            if stored and stored.changed:
                self._database.submit(_tell, stored)

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

    # --- The doors' sign of life ---

    def open(self) -> None:
        """Say from now on that pings can come in; a second call changes nothing."""
        if self._signs is None or self._signs.done():
            self._signs = asyncio.create_task(self._give_signs())

    async def _give_signs(self) -> None:
        while True:
            try:
                gap = await self.in_database(give_sign_of_life)
            except Unavailable:
                gap = None
            if gap:
                logger.warning("no ping could come in for %s; what was expected then is forgiven", gap)
            await asyncio.sleep(SIGN_EVERY.total_seconds())

    async def close(self) -> None:
        """Store what waits, and leave the database."""
        if self._signs:
            self._signs.cancel()
        if self._worker:
            await self._worker
        await asyncio.get_running_loop().run_in_executor(self._database, _leave)
        self._database.shutdown(wait=False)


def _leave() -> None:
    connection.close()  # looked up here: each thread has its own


def _settle(future: "asyncio.Future[Fate]", fate: Fate | None) -> None:
    if fate is None:
        future.set_exception(Unavailable())
    else:
        future.set_result(fate)


def _attempt(work: Any, *arguments: Any) -> Any:
    """Do work on this thread's connection; one that has died meanwhile gets a second try on a new one."""
    close_old_connections()
    try:
        return work(*arguments)
    except Error as error:
        if not _is_lost():
            logger.warning("pings wait: the database refused (%s)", error)
            raise Unavailable from error
    try:
        return work(*arguments)
    except Error as error:
        connection.close()
        logger.warning("pings wait for the database: %s", error)
        raise Unavailable from error


def _is_lost() -> bool:
    """Tell whether the connection has died, and drop it then."""
    if connection.connection is not None and connection.is_usable():
        return False
    connection.close()
    return True


def _store_batch(store: PingStore, pings: Sequence[NewPing]) -> Stored:
    """Store a batch; where the database refuses it as a whole, store each heartbeat's pings by themselves."""
    try:
        return store.store(pings)
    except Error:
        if _is_lost() or len(pings) == 1:
            raise
    fates: list[Fate | None] = [None] * len(pings)
    changed: dict[Any, set[Any]] = {}
    deadline = time.monotonic() + ONE_BY_ONE_SECONDS
    for places in _by_address(pings):
        try:
            stored = store.store([pings[place] for place in places]) if time.monotonic() < deadline else None
        except Error as error:
            logger.warning("pings of one heartbeat could not be stored: %s", error)
            continue
        for place, fate in zip(places, stored.fates if stored else (), strict=False):
            fates[place] = fate
        for tenant_id, check_ids in (stored.changed if stored else {}).items():
            changed.setdefault(tenant_id, set()).update(check_ids)
    return Stored(fates, changed)


def _by_address(pings: Sequence[NewPing]) -> Iterable[list[int]]:
    places: dict[Address, list[int]] = {}
    for place, ping in enumerate(pings):
        places.setdefault(ping.address, []).append(place)
    return places.values()


def _tell(stored: Stored) -> None:
    publish_many({f"tenant:{tenant}": [f"check:{one}" for one in checks] for tenant, checks in stored.changed.items()})
