"""The one Redis client of a process. Redis only ever reminds: callers treat its absence as "slower", never as "lost"."""

from functools import cache

import redis
from django.conf import settings


@cache
def client() -> redis.Redis:
    """Return the shared client (thread-safe; raw bytes; a second to connect, two to answer)."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=1, socket_timeout=2, health_check_interval=30
    )
