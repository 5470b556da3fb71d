"""Say that something changed: best effort, after the commit, one Redis round trip for any number of topics."""

import logging
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from functools import partial

from django.db import connection, transaction
from redis.exceptions import RedisError

from apps.core import redis
from apps.live.domain import wire

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_TRIES = 1.0
MAX_TOPICS_OWED = 5_000
SEQUENCE_SECONDS = 2 * 24 * 3600

# A sequence begins at the server's clock in milliseconds, so that one that was evicted or expired never counts through
# old numbers again. The epoch tells a Redis that lost everything from one that did not. Both scripts begin alike.
_BEGIN = """
redis.call('SET', KEYS[1], ARGV[1], 'NX')
local epoch = redis.call('GET', KEYS[1])
local start = redis.call('TIME')[1] .. '000'
"""
_PUBLISH = f"""{_BEGIN}
local messages = {{}}
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], start, 'NX')
  local n = redis.call('INCR', KEYS[i])
  redis.call('EXPIRE', KEYS[i], ARGV[2])
  messages[#messages + 1] = '[' .. string.format('%.0f', n) .. ',' .. ARGV[i + 2] .. ']'
end
return redis.call('PUBLISH', ARGV[3], '{{"e":"' .. epoch .. '","m":[' .. table.concat(messages, ',') .. ']}}')
"""
READ_NUMBERS = f"""{_BEGIN}
local answer = {{epoch}}
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], start, 'NX', 'EX', ARGV[2])
  answer[i] = redis.call('GET', KEYS[i])
end
return answer
"""


def publish(topic: str, ids: Iterable[str]) -> None:
    """Tell a topic's viewers that these ids (`check:<uuid>`, `outage:*`) changed; never raises.

    Inside a transaction it is said after the commit, so that nobody fetches the row before it can be seen.
    """
    publish_many({topic: ids})


def publish_many(changes: Mapping[str, Iterable[str]]) -> None:
    """Tell several topics in one round trip; see `publish`."""
    said = {topic: wire.condensed(ids) for topic, ids in changes.items()}
    said = {topic: ids for topic, ids in said.items() if ids}
    if not said:
        return
    if connection.in_atomic_block:
        transaction.on_commit(partial(_publisher.send, said), robust=True)
    else:
        _publisher.send(said)


def script_arguments(*more: str | int) -> list[str | int]:
    """Return what both scripts take first: an epoch for a Redis without one, and how long an idle sequence is kept."""
    return [secrets.token_hex(8), SEQUENCE_SECONDS, *more]


class Publisher:
    """Sends at once; what Redis did not take is owed, and sent by a thread of its own as soon as Redis is back.

    So no caller waits for a dead Redis more than once, and what changed while it restarted still reaches the browsers.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owed: dict[str, frozenset[str]] = {}
        self._debtor: threading.Thread | None = None

    def send(self, said: Mapping[str, frozenset[str]]) -> None:
        with self._lock:
            if self._is_in_debt():
                self._owe(said)
                return
        try:
            _run_script(said)
        except (RedisError, OSError) as error:
            logger.warning("live updates wait for Redis: %s", error)
            self._borrow(said)

    def _borrow(self, said: Mapping[str, frozenset[str]]) -> None:
        with self._lock:
            self._owe(said)
            if not self._is_in_debt():
                self._debtor = threading.Thread(target=self._pay_back, name="live-publisher", daemon=True)
                self._debtor.start()

    def _is_in_debt(self) -> bool:
        return self._debtor is not None and self._debtor.is_alive()  # a thread does not survive a fork

    def _owe(self, said: Mapping[str, frozenset[str]]) -> None:
        for topic, ids in said.items():
            if topic in self._owed or len(self._owed) < MAX_TOPICS_OWED:
                self._owed[topic] = wire.condensed(self._owed.get(topic, frozenset()) | ids)

    def _pay_back(self) -> None:
        while True:
            time.sleep(SECONDS_BETWEEN_TRIES)
            with self._lock:
                owed, self._owed = self._owed, {}
            try:
                _run_script(owed)
            except (RedisError, OSError):
                with self._lock:
                    self._owe(owed)
                continue
            with self._lock:
                if not self._owed:  # rival: a sender that owes just now; the lock parts us
                    self._debtor = None
                    return


def _run_script(said: Mapping[str, frozenset[str]]) -> None:
    client = redis.client()
    channel = wire.channel(client.connection_pool.connection_kwargs.get("db", 0))
    client.register_script(_PUBLISH)(
        keys=[wire.EPOCH_KEY, *(wire.sequence_key(topic) for topic in said)],
        args=script_arguments(channel, *(wire.publication(topic, ids) for topic, ids in said.items())),
    )


_publisher = Publisher()
