"""Reminders to do work now. PostgreSQL remembers the work itself, so a lost hint costs seconds, never work."""

import logging
import time
from typing import Any

from celery import current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)
PAUSE_AFTER_FAILURE_SECONDS = 1.0
_silent_until = 0.0


def hint(task: str, *args: Any, queue: str, expires_seconds: float | None = 60) -> bool:
    """Ask the workers of ``queue`` to run ``task`` now; return whether the broker took it.

    While the broker is away hints are dropped for a second at a time, so that its absence slows nobody down.
    """
    global _silent_until
    if time.monotonic() < _silent_until:
        return False
    try:
        current_app.send_task(task, args=args, queue=queue, expires=expires_seconds, ignore_result=True, retry=False)
    except (OperationalError, RedisError, OSError) as error:
        _silent_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
        logger.warning("no hint for %s: the broker is away (%s)", task, error)
        return False
    return True
