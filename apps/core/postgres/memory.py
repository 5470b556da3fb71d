"""What a transaction has read once and may want again, such as the tenant's plan."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

from django.db import connection

T = TypeVar("T")


def read_once(key: Hashable, read: Callable[[], T]) -> T:
    """Return ``read()``, asked once per transaction; outside of one it is asked each time."""
    memory = _memory()
    if not connection.in_atomic_block:
        return read()
    if key not in memory:
        memory[key] = read()
    return cast("T", memory[key])


def forget(key: Hashable) -> None:
    """Read it anew next time: this transaction has changed it."""
    _memory().pop(key, None)


def _memory() -> dict[Hashable, Any]:
    memory: dict[Hashable, Any] = connection.memory  # type: ignore[attr-defined]  # our own backend's
    return memory
