"""Rate limits by the generic cell rate algorithm: a smooth rate with a burst, in one number per key.

Redis keeps the number for all processes. While Redis is away each process counts for itself, so that its absence
neither opens the gates nor closes them.
"""

import logging
import math
import threading
import time
from dataclasses import dataclass

from redis.exceptions import RedisError

from apps.core import redis

logger = logging.getLogger(__name__)
PREFIX = "obsera:rate:"
PAUSE_AFTER_FAILURE_SECONDS = 1.0
MAX_LOCAL_KEYS = 10_000

# Keeps the "theoretical arrival time" in microseconds of Redis' own clock: the hosts' clocks need not agree.
SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local arrival = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + interval
local wait = arrival - interval * burst - now
if wait > 0 then return {0, 0, wait, arrival - interval - now} end
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1)
return {1, math.floor(-wait / interval), 0, arrival - now}
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many a minute in the long run, so many at once."""

    per_minute: float
    burst: int

    @property
    def interval_us(self) -> float:
        return 60_000_000 / self.per_minute


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether this one may pass, and what to tell the caller."""

    is_allowed: bool
    limit: int
    remaining: int
    retry_after_seconds: int
    reset_seconds: int

    def headers(self) -> dict[str, str]:
        """Return the RateLimit fields (draft-ietf-httpapi-ratelimit-headers, version 3) and Retry-After where it helps."""
        fields = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset_seconds),
        }
        return fields if self.is_allowed else {**fields, "Retry-After": str(self.retry_after_seconds)}


class _LocalCounter:
    """The same algorithm in this process's memory."""

    def __init__(self) -> None:
        self._arrivals: dict[str, float] = {}
        self._lock = threading.Lock()

    def spend(self, key: str, limit: Limit) -> tuple[int, int, float, float]:
        now = time.monotonic() * 1_000_000
        with self._lock:
            if len(self._arrivals) > MAX_LOCAL_KEYS:
                self._arrivals = {name: arrival for name, arrival in self._arrivals.items() if arrival > now}
            arrival = max(self._arrivals.get(key, 0), now) + limit.interval_us
            wait = arrival - limit.interval_us * limit.burst - now
            if wait > 0:
                return 0, 0, wait, arrival - limit.interval_us - now
            self._arrivals[key] = arrival
        return 1, math.floor(-wait / limit.interval_us), 0, arrival - now


_local = _LocalCounter()
_local_until = 0.0


def spend(key: str, limit: Limit) -> Verdict:
    """Count one use of ``key`` and say whether it may pass. Never raises."""
    allowed, remaining, wait, reset = _shared(key, limit) or _local.spend(key, limit)
    return Verdict(
        is_allowed=bool(allowed),
        limit=limit.burst,
        remaining=int(remaining),
        retry_after_seconds=math.ceil(wait / 1_000_000),
        reset_seconds=math.ceil(reset / 1_000_000),
    )


def _shared(key: str, limit: Limit) -> tuple[int, int, float, float] | None:
    global _local_until  # one breaker per process
    if time.monotonic() < _local_until:
        return None
    try:
        answer = redis.client().eval(SCRIPT, 1, PREFIX + key, str(limit.interval_us), str(limit.burst))
    except (RedisError, OSError) as error:
        _local_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
        logger.warning("counting rates in this process only: Redis is away (%s)", error)
        return None
    allowed, remaining, wait, reset = answer
    return allowed, remaining, wait, reset
