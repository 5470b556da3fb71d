"""Finished renderings, kept for a while: first in this process, then in Redis for all, else made anew.

A rendering is named by its page's version, so a change is seen at once; 30 seconds bound what no version tells, such as
the growing length of an outage. Without Redis each process keeps its own.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from django.core.cache import cache

SHARED_SECONDS = 20
OWN_SECONDS = 10
MAX_KEPT_HERE = 500


@dataclass(frozen=True, slots=True)
class Rendering:
    """Bytes ready to send, and their ETag."""

    body: bytes
    etag: str


def rendering(body: str) -> Rendering:
    encoded = body.encode()
    return Rendering(encoded, f'"{sha256(encoded).hexdigest()[:32]}"')


class Shelf:
    """The renderings of this process."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Rendering]] = {}
        # A crowd that hears of the same change makes one rendering, not a hundred; few locks serve many names.
        self._locks = tuple(threading.Lock() for _ in range(64))

    def take(self, name: str, make: Callable[[], str]) -> Rendering:
        """Return the rendering of that name, making it where none is kept."""
        if kept := self._fresh(name):
            return kept
        with self._locks[hash(name) % len(self._locks)]:
            if kept := self._fresh(name):
                return kept
            found: Rendering | None = cache.get(name)
            if found is None:
                found = rendering(make())
                cache.set(name, found, SHARED_SECONDS)
            self._keep(name, found)
            return found

    def clear(self) -> None:
        self._kept.clear()

    def _fresh(self, name: str) -> Rendering | None:
        until, kept = self._kept.get(name, (0.0, None))
        return kept if until > time.monotonic() else None

    def _keep(self, name: str, kept: Rendering) -> None:
        if len(self._kept) >= MAX_KEPT_HERE:
            now = time.monotonic()
            fresh = {key: entry for key, entry in list(self._kept.items()) if entry[0] > now}
            self._kept = fresh if len(fresh) < MAX_KEPT_HERE else {}
        self._kept[name] = (time.monotonic() + OWN_SECONDS, kept)


shelf = Shelf()
