"""Rivals: several workers doing the same at the same moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connections


def at_once(work: Callable[[], object], *, workers: int) -> None:
    """Run ``work`` in threads that start together, each with a connection of its own; raise what any of them raised."""
    start = threading.Barrier(workers)

    def one() -> None:
        start.wait(timeout=10)
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(one) for _ in range(workers)]:
            done.result(timeout=60)
