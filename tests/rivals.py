"""Rivals: several workers doing the same at the same moment."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

from django.db import connection, connections, transaction


def at_once(work: Callable[[], object], *, workers: int) -> None:
    """Run ``work`` in threads that start together, each with a connection of its own; raise what any of them raised."""
    start = threading.Barrier(workers)

    def one() -> None:
        start.wait(timeout=60)
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(one) for _ in range(workers)]:
            done.result(timeout=300)


# Within a transaction the list of connections stays as it was first read: one that is just being made would never be seen.
ANEW = "SELECT pg_stat_clear_snapshot()"
WAITING = """
SELECT count(*) FROM pg_locks AS lock
JOIN pg_stat_activity AS backend USING (pid)
WHERE NOT lock.granted AND backend.datname = current_database()
"""


def until_somebody_waits(*, at_most_seconds: float = 120) -> None:
    """Return once another connection waits for a lock; fail when none does."""
    ends_at = time.monotonic() + at_most_seconds
    while time.monotonic() < ends_at:
        with connection.cursor() as cursor:
            cursor.execute(ANEW)
            cursor.execute(WAITING)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


@contextmanager
def meanwhile(
    scope: AbstractContextManager[object], first: Callable[[], object], then: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Run ``first`` and ``then`` in one transaction of another thread, inside the scope; it goes on to ``then`` and its end
    only when the block waits for it. Raises what they raised."""
    is_done = threading.Event()

    def work() -> None:
        try:
            with scope, transaction.atomic():
                first()
                is_done.set()
                until_somebody_waits()
                then()
        finally:
            is_done.set()
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        assert is_done.wait(30)
        yield
        working.result(timeout=60)
