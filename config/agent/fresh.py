"""Results on their way to the server in the present: what has just come in, and what is young after a short absence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from config.agent.buffer import MAX_AGE, Buffer
from config.agent.records import Record

logger = logging.getLogger(__name__)

MOST_IN_MEMORY = 20_000


@dataclass(slots=True)
class Pending:
    """A result that has not arrived; ``is_kept`` where it lies on disk too. It is news for ``news_for``, no longer."""

    record: Record
    news_for: timedelta
    is_kept: bool = False


class Fresh:
    """Holds each result until it has arrived or lies on disk and is no news any more. Not thread-safe."""

    def __init__(self, buffer: Buffer, news_for: Callable[[UUID], timedelta]) -> None:
        """``news_for`` tells for how long a check's result is the present to the server, which judges no older one.

        It is asked when the result comes: later the check may be forgotten here.
        """
        self._buffer = buffer
        self._news_for = news_for
        self._pending: list[Pending] = []
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._pending)

    def add(self, records: Iterable[Record]) -> None:
        self._pending += [Pending(record, min(self._news_for(record.check_id), MAX_AGE)) for record in records]

    def batch(self, count: int, max_bytes: int) -> list[Pending]:
        """Return the oldest, at most one of a check: each is judged by what the one before it left."""
        chosen: dict[object, Pending] = {}
        size = 0
        for pending in self._pending:
            if pending.record.check_id in chosen:
                continue
            size += len(pending.record.row) + 1
            if len(chosen) == count or (chosen and size > max_bytes):
                break
            chosen[pending.record.check_id] = pending
        return list(chosen.values())

    def arrived(self, batch: Sequence[Pending]) -> None:
        """Forget what the server has; meanwhile some of it may have gone to the disk, and more may have come in."""
        gone = {id(pending) for pending in batch}
        self._pending = [pending for pending in self._pending if id(pending) not in gone]

    def keep(self, *, now: datetime, is_known_time: bool = True) -> None:
        """Put onto disk what does not lie there yet, and let go of what is no news any more.

        Of several results of a check the last alone is news: an older one would page for what may be over.
        """
        unkept = [pending for pending in self._pending if not pending.is_kept]
        records = [pending.record for pending in unkept]
        if records and self._buffer.append(records, now=now if is_known_time else None):
            for pending in unkept:
                pending.is_kept = True
        newest = {pending.record.check_id: pending for pending in self._pending}
        self._pending = [
            pending
            for pending in self._pending
            if not pending.is_kept
            or (pending is newest[pending.record.check_id] and now - pending.record.due_at < pending.news_for)
        ]
        too_many = len(self._pending) - MOST_IN_MEMORY
        if too_many > 0:
            del self._pending[:too_many]
            self.dropped += too_many
            logger.error("%d results were lost: neither server nor disk took them; %d so far", too_many, self.dropped)
