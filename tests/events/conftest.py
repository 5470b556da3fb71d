"""Events of the tests' own, with handlers that the test chooses."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from apps.events.base import Event
from apps.events.domain import outbox, table


@dataclass(frozen=True, kw_only=True)
class Rang(Event):
    """A bell rang."""

    name = "tests.rang"

    bell_id: UUID


Handlers = dict[str, Callable[[Rang], None]]


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Handlers]:
    """The handlers of `Rang` by path; what a test puts here is called."""
    found: Handlers = {"first": lambda _event: None}
    monkeypatch.setattr(outbox, "event_table", lambda: {Rang: tuple(found)})
    monkeypatch.setattr(outbox, "event_classes", lambda: {Rang.name: Rang})
    monkeypatch.setattr(outbox, "handler_function", lambda path: found[path])
    yield found
    table.event_table.cache_clear()


@pytest.fixture
def hints(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Hints that were sent, instead of sending them."""
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(outbox, "hint", lambda task, *args, queue: sent.append((task, *args, queue)))
    return sent
