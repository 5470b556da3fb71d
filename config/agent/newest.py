"""The last result of each check that went on alone: told first when the server is back, so that it goes on from there."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from config.agent.buffer import MAX_AGE
from config.agent.records import Record


class Newest:
    """Thread-safe: one thread notes, another tells."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[UUID, Record] = {}

    def __len__(self) -> int:
        return len(self._records)

    def note(self, records: Iterable[Record]) -> None:
        with self._lock:
            self._records.update((record.check_id, record) for record in records)

    def peek(self, count: int, max_bytes: int, *, now: datetime) -> list[Record]:
        """Return some, as many as fit; they stay until `told`. What is too old for the server is news no more."""
        chosen: list[Record] = []
        size = 0
        with self._lock:
            self._records = {key: each for key, each in self._records.items() if each.due_at >= now - MAX_AGE}
            for record in self._records.values():
                size += len(record.row) + 1
                if len(chosen) == count or (chosen and size > max_bytes):
                    break
                chosen.append(record)
        return chosen

    def told(self, records: Sequence[Record]) -> None:
        """Forget those for which there is none newer by now."""
        with self._lock:
            for record in records:
                if self._records.get(record.check_id) is record:
                    del self._records[record.check_id]
