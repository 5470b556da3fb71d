"""Counting queries."""

from collections.abc import Callable

from django.db import connection
from django.test.utils import CaptureQueriesContext


def queries_of(work: Callable[[], object]) -> int:
    """Return how many queries a second run of ``work`` takes; the first fills what is kept for good."""
    work()
    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)
