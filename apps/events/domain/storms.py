"""Keeping one tenant's storm from taking all of a worker's threads: someone else's page must find one free at once."""

import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from uuid import UUID

# Two keep a processor busy: while one waits for PostgreSQL, the other one computes. More only get into each other's way.
STORM_THREADS = 2


class Storms:
    """Which tenants' storms the threads of this process are working on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: Counter[UUID] = Counter()

    @contextmanager
    def claiming(self) -> Iterator[list[UUID]]:
        """Give the tenants to leave out: their storms have threads enough. Call `begin` inside the block.

        Rivals: our own threads; they claim one after the other, so that each sees what the others work on.
        """
        with self._lock:
            yield [tenant_id for tenant_id in self._threads if self.is_crowded(tenant_id)]

    def begin(self, tenants: Collection[UUID]) -> None:
        """Count this thread among those that work on the tenants' storms, until `end`."""
        self._threads.update(tenants)

    def end(self, tenants: Collection[UUID]) -> None:
        """Take back what `begin` counted."""
        with self._lock:
            self._threads.subtract(tenants)
            self._threads += Counter()  # forget those that have none left

    def is_crowded(self, tenant_id: UUID) -> bool:
        """Tell whether no further thread shall turn to the tenant: those that do will look for more when they are done."""
        return self._threads[tenant_id] >= STORM_THREADS
