"""The hub: one Redis subscription of this process, fanned out to its own sockets from memory."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import redis.asyncio
from django.conf import settings
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from apps.live.domain import wire
from apps.live.domain.feed import Delta, Feed, Seen
from apps.live.domain.publish import READ_NUMBERS, script_arguments

logger = logging.getLogger(__name__)

SLICE = 250
BEAT_SECONDS = 25.0
SILENCE_SECONDS = 5.0
ANSWER_SECONDS = 2.0
FIRST_BACKOFF_SECONDS = 0.1
LAST_BACKOFF_SECONDS = 3.0


class Unanswered(Exception):
    """Redis is there and did not answer in time: the socket had better come again."""


class Listener(Protocol):
    """A socket as the hub sees it; neither call may wait."""

    def push(self, payload: str) -> None: ...
    def check_access(self) -> None: ...


class Hub:
    """Topic → sockets of this process. Every method belongs to the event loop that it was made on."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._epoch = ""
        self._feeds: dict[str, Feed] = {}
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_connected = False
        self._was_tried = asyncio.Event()
        self._reading = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._client: redis.asyncio.Redis | None = None
        self._heard_since = 0.0

    async def join(self, topic: str, listener: Listener, seen: Seen) -> None:
        """Add a socket and greet it with what it missed, or say `stalled` while Redis is away; may raise `Unanswered`."""
        self._start()
        feed = await self._feed(topic)
        self._listeners[topic].add(listener)
        if feed is None or feed.n is None:
            listener.push(wire.stalled())
        else:
            missed = feed.missed(seen, self._epoch, _now())
            listener.push(wire.hello(epoch=self._epoch, n=feed.n, ids=missed))

    def standing(self, topic: str) -> str:
        """Return what brings a socket back into step that lost messages: `resync`, or `stalled` while Redis is away."""
        feed = self._feeds.get(topic)
        if feed is None or feed.n is None:
            return wire.stalled()
        return wire.resync(epoch=self._epoch, n=feed.n)

    def leave(self, topic: str, listener: Listener) -> None:
        """Forget a socket."""
        listeners = self._listeners[topic]
        listeners.discard(listener)
        if not listeners:
            del self._listeners[topic]

    async def aclose(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    # --- Listening ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="live-hub")

    async def _run(self) -> None:
        beats = asyncio.create_task(self._beat(), name="live-beat")
        try:
            await self._listen_for_ever()
        finally:
            beats.cancel()

    async def _listen_for_ever(self) -> None:
        backoff = FIRST_BACKOFF_SECONDS
        while True:
            try:
                async with self._subscription() as messages:
                    backoff = FIRST_BACKOFF_SECONDS
                    await self._listen(messages)
            except (RedisError, OSError) as error:
                self._lose(error)
            except Exception as error:
                logger.exception("the live hub stumbled")
                self._lose(error)
            await asyncio.sleep(random.uniform(backoff / 2, backoff))  # noqa: S311 -- spreads processes, hides nothing
            backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)

    def _connect(self) -> redis.asyncio.Redis:
        """Return a client without retries: redis-py would subscribe again in silence and hide what was lost."""
        return redis.asyncio.Redis.from_url(
            self._url,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=ANSWER_SECONDS,
            socket_timeout=ANSWER_SECONDS,
        )

    @asynccontextmanager
    async def _subscription(self) -> AsyncIterator[PubSub]:
        """Subscribe, wait for Redis to confirm, then bring every topic up to date: nothing can slip in between."""
        async with self._connect() as client, client.pubsub() as messages:
            await messages.subscribe(wire.channel(client.connection_pool.connection_kwargs.get("db", 0)))
            confirmation = await messages.get_message(timeout=ANSWER_SECONDS)
            if confirmation is None or confirmation["type"] != "subscribe":
                raise TimeoutError("Redis did not confirm the subscription")
            self._client = client
            await self._resync()
            self._is_connected = True
            self._was_tried.set()
            yield messages

    async def _listen(self, messages: PubSub) -> None:
        is_asked = False
        while True:
            message = await messages.get_message(timeout=SILENCE_SECONDS)
            if message is None:
                if is_asked:
                    raise TimeoutError("Redis fell silent")
                await messages.ping()
            elif message["type"] == "message":
                await self._hear(message["data"])
            is_asked = message is None

    async def _hear(self, data: bytes) -> None:
        try:
            epoch, messages = wire.parse(data)
        except ValueError:
            logger.warning("ignored a live message that nobody of us wrote")
            return
        if epoch != self._epoch:
            await self._resync()
            return
        now = _now()
        for heard in messages:
            feed = self._feeds.setdefault(heard.topic, Feed(complete_since=self._heard_since))
            delta = feed.hear(heard, now)
            if delta is not None:
                self._send(heard.topic, delta)
            elif feed.held is not None:
                self._flush_later(heard.topic, feed)
            if wire.ACCESS in heard.ids:
                for listener in self._listeners.get(heard.topic, ()):
                    listener.check_access()

    def _lose(self, error: Exception) -> None:
        self._client = None
        self._was_tried.set()
        if self._is_connected:
            logger.warning("the live hub lost Redis: %s", error)
            self._is_connected = False
            for topic in self._listeners:
                self._push(topic, wire.stalled())

    # --- Numbers --------------------------------------------------------------------------------------------------

    async def _resync(self) -> None:
        """Begin anew at Redis's numbers, and have every browser of this process fetch everything."""
        self._feeds.clear()
        self._heard_since = _now()
        while True:  # sockets may join while Redis answers
            topics = [topic for topic in self._listeners if topic not in self._feeds]
            self._epoch, numbers = await self._read_numbers(topics)
            for topic, n in zip(topics, numbers, strict=True):
                self._feeds[topic] = Feed(complete_since=self._heard_since)
                self._feeds[topic].count_from(n)
                self._push(topic, self.standing(topic))
            if self._listeners.keys() <= self._feeds.keys():
                return

    async def _feed(self, topic: str) -> Feed | None:
        """Return the topic's feed with a number, or None while Redis is away."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._was_tried.wait()
                async with self._reading:  # a crowd asks once per topic, and not all at the same time
                    return await self._numbered_feed(topic)
        except (RedisError, OSError) as error:
            if self._is_connected:
                raise Unanswered(topic) from error
            return None

    async def _numbered_feed(self, topic: str) -> Feed:
        feed = self._feeds.get(topic)
        if self._is_connected and feed is not None and feed.n is not None:
            return feed
        epoch, numbers = await self._read_numbers([topic])
        if epoch != self._epoch:
            await self._resync()
        feed = self._feeds.setdefault(topic, Feed(complete_since=self._heard_since))
        feed.count_from(numbers[0])
        return feed

    async def _read_numbers(self, topics: list[str]) -> tuple[str, list[int]]:
        if self._client is None:
            raise TimeoutError("Redis is away")
        keys = [wire.EPOCH_KEY, *(wire.sequence_key(topic) for topic in topics)]
        answer: list[Any] = await self._client.register_script(READ_NUMBERS)(keys=keys, args=script_arguments())
        epoch, *numbers = answer
        return epoch.decode(), [int(n) for n in numbers]

    # --- Fan-out --------------------------------------------------------------------------------------------------

    def _flush_later(self, topic: str, feed: Feed) -> None:
        if topic not in self._timers:
            self._timers[topic] = asyncio.get_running_loop().call_at(feed.next_at, self._flush, topic)

    def _flush(self, topic: str) -> None:
        del self._timers[topic]
        feed = self._feeds.get(topic)
        delta = feed.release(_now()) if feed is not None else None
        if delta is not None:
            self._send(topic, delta)

    def _send(self, topic: str, delta: Delta) -> None:
        if topic not in self._listeners:
            return
        if delta.is_everything:
            self._push(topic, wire.resync(epoch=self._epoch, n=delta.last))
        else:
            self._push(topic, wire.delta(epoch=self._epoch, first=delta.first, n=delta.last, ids=delta.ids))

    def _push(self, topic: str, payload: str) -> None:
        self._push_slice(tuple(self._listeners.get(topic, ())), payload)

    def _push_slice(self, listeners: tuple[Listener, ...], payload: str) -> None:
        """Wake some sockets now and the rest after whatever else waits: a crowd on one page must not hold up requests."""
        for listener in listeners[:SLICE]:
            listener.push(payload)
        if len(listeners) > SLICE:
            asyncio.get_running_loop().call_soon(self._push_slice, listeners[SLICE:], payload)

    async def _beat(self) -> None:
        """Keep quiet lines open, and forget topics that nobody watches and nothing happened on."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            now = _now()
            for topic, feed in list(self._feeds.items()):
                feed.forget(now)
                if topic in self._listeners:
                    if feed.n is not None and feed.held is None and self._is_connected:
                        self._push(topic, wire.beat(epoch=self._epoch, n=feed.n))
                elif not feed.recent and topic not in self._timers:
                    del self._feeds[topic]


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of this process (of the running event loop)."""
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = Hub(settings.REDIS_URL)
    return _hubs[loop]


def _now() -> float:
    return asyncio.get_running_loop().time()
