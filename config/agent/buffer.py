"""Results that wait on disk while the server is away, and survive whatever happens to this process.

Segments of append-only records in one folder; the oldest is read first and deleted when all of it has been taken. How far a
segment has been taken is not written down: after a crash some of it is offered again, which the server stores once.

Every append ends with fdatasync, so what was appended survives the machine's failure too; of an append under way a torn tail
may be left, which is cut off at the next start. A segment is never appended to by another process than the one that made it.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from uuid import UUID

from config.agent.errors import SHORTAGES, AgentError
from config.agent.records import Record, unpacked

logger = logging.getLogger(__name__)

MEBIBYTE = 1_048_576
SEGMENT_BYTES = 2 * MEBIBYTE
# The server takes nothing older than 65 minutes; what would be on its way at that age is not sent. After half an hour alone
# at full load that leaves it half an hour to take what waits beside what is new.
MAX_AGE = timedelta(minutes=64, seconds=30)
SUFFIX = ".results"
SAY_EVERY_SECONDS = 60.0


@dataclass(slots=True)
class Segment:
    """A file of records: how many are in it and how many of them have been taken."""

    path: Path
    size: int = 0
    records: int = 0
    taken: int = 0
    newest: datetime | None = None

    @property
    def waiting(self) -> int:
        return max(0, self.records - self.taken)

    def note_newest(self, records: Sequence[Record]) -> None:
        """Remember how young the segment is."""
        self.newest = max([*(record.due_at for record in records), *([self.newest] if self.newest else [])])


class Buffer:
    """First in, first out, bounded by bytes and age; what does not fit any more goes oldest first and is counted.

    Thread-safe: one thread appends, another takes.
    """

    def __init__(self, folder: Path, *, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._segment_bytes = min(SEGMENT_BYTES, max(max_bytes // 8, 4_096))
        self._lock = threading.Lock()
        self._segments: deque[Segment] = deque()
        self._last_number = 0  # of a segment here, whether it is still kept, could be read and be deleted or not
        self._writing: int | None = None  # the descriptor of the last segment, while it is ours to append to
        self._head: list[Record] = []  # what of the first segment has not been taken
        self.dropped = 0
        self._said_dropped = 0
        self._said_at = self._said_failing_at = self._said_unread_at = float("-inf")
        # Up to which turn each check has been measured, of what lay here at the start and still waits.
        self.measured_until: dict[UUID, datetime] = {}
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._held = lock_folder(folder)
        try:
            self._open_all()
        except BaseException:
            os.close(self._held)
            raise

    @property
    def waiting(self) -> int:
        """Return how many results wait."""
        return sum(segment.waiting for segment in self._segments.copy())

    @property
    def size(self) -> int:
        """Return how many bytes the segments have."""
        return sum(segment.size for segment in self._segments.copy())

    def append(self, records: Sequence[Record], *, now: datetime | None = None) -> bool:
        """Keep records on disk; return False, and say so, where the disk is full or fails: none of them is kept then.

        ``now`` is the server's time where it is known: what is too old by it goes.
        """
        with self._lock:
            data = b"".join(record.packed() for record in records)
            if now is not None:
                self._drop_old_segments(now)
            self._make_room(len(data))
            segment = self._writable()
            try:
                _write_all(self._descriptor(segment), data)
            except OSError as error:
                self._take_back(segment)
                self._say_failing(error)
                return False
            segment.size += len(data)
            segment.records += len(records)
            segment.note_newest(records)
            if segment is self._segments[0] and self._head:
                self._head += records
            return True

    def peek(self, count: int, max_bytes: int, *, now: datetime) -> list[Record]:
        """Return the oldest records that are young enough to be taken, as many as fit; they stay until `take`.

        An empty list though something waits says that it cannot be read for now.
        """
        with self._lock:
            self._drop_old(now)
            if not self._load_head():
                return []
            chosen: list[Record] = []
            size = 0
            for record in self._head[:count]:
                size += len(record.row) + 1
                if chosen and size > max_bytes:
                    break
                chosen.append(record)
            return chosen

    def take(self, records: Sequence[Record]) -> int:
        """Forget records that `peek` returned, since they have arrived; return how many of them were here still."""
        with self._lock:
            # Rival: an append that needed room and has dropped some of them meanwhile.
            left = {id(record) for record in records}
            before = len(self._head)
            self._head = [record for record in self._head if id(record) not in left]
            taken = before - len(self._head)
            if self._segments:
                self._segments[0].taken += taken
            self._drop_if_empty()
            return taken

    def close(self) -> None:
        with self._lock:
            self._stop_writing()
            os.close(self._held)

    # --- opening ------------------------------------------------------------------------------------------------------

    def _open_all(self) -> None:
        """Open every segment. One that cannot be read is left where it lies: the agent is needed more than it is."""
        unread: list[OSError] = []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if not path.stem.isdecimal():
                continue  # nobody's but whoever put it there
            self._last_number = max(self._last_number, int(path.stem))
            try:
                data = path.read_bytes()
            except OSError as error:
                if error.errno in SHORTAGES:
                    raise
                unread.append(error)
            else:
                self._open(Segment(path), data)
        if unread:
            text = "%d files of kept results cannot be read and are left out, the first: %s"
            logger.error(text, len(unread), unread[0])

    def _open(self, segment: Segment, data: bytes) -> None:
        for record, segment.size in unpacked(data):
            segment.records += 1
            segment.note_newest([record])
            known = self.measured_until.get(record.check_id, record.due_at)
            self.measured_until[record.check_id] = max(known, record.due_at)
        with contextlib.suppress(OSError):  # what cannot be cut or deleted is not read; the next start tries again
            if segment.size < len(data):
                logger.warning("%d bytes of a record that was not finished were cut off", len(data) - segment.size)
                os.truncate(segment.path, segment.size)
            if not segment.records:
                segment.path.unlink()
        if segment.records:
            self._segments.append(segment)

    # --- writing ------------------------------------------------------------------------------------------------------

    def _writable(self) -> Segment:
        """Return the segment to append to: the last if it is ours and has room, else a new one."""
        last = self._segments[-1] if self._segments else None
        if last is not None and self._writing is not None and last.size < self._segment_bytes:
            return last
        self._stop_writing()
        self._last_number += 1
        made = Segment(self.folder / f"{self._last_number:020}{SUFFIX}")
        self._segments.append(made)
        return made

    def _descriptor(self, segment: Segment) -> int:
        if self._writing is None:
            self._writing = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return self._writing

    def _stop_writing(self) -> None:
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None

    def _take_back(self, segment: Segment) -> None:
        """Cut off what of a failed append has been written."""
        try:
            if self._writing is not None:
                os.ftruncate(self._writing, segment.size)
        except OSError as error:
            logger.error("%s cannot be cut to its sound part: %s", segment.path.name, error.strerror)  # noqa: TRY400
            self._stop_writing()  # the next append begins another
        if not segment.records:
            self._discard(segment)

    # --- bounds -------------------------------------------------------------------------------------------------------

    def _make_room(self, needed: int) -> None:
        while self._segments and self.size + needed > self._max_bytes:
            self._drop_first()
        self._say_dropped("since the buffer is full")

    def _drop_old(self, now: datetime) -> None:
        self._drop_old_segments(now)
        oldest = now - MAX_AGE
        if self._load_head() and self._head[0].due_at < oldest:
            young = [record for record in self._head if record.due_at >= oldest]
            self.dropped += len(self._head) - len(young)
            self._segments[0].taken += len(self._head) - len(young)
            self._head = young
            self._drop_if_empty()
        self._say_dropped("since they are too old for the server")

    def _drop_old_segments(self, now: datetime) -> None:
        oldest = now - MAX_AGE
        while self._segments and (newest := self._segments[0].newest) is not None and newest < oldest:
            self._drop_first()
        self._say_dropped("since they are too old for the server")

    def _say_failing(self, error: OSError) -> None:
        if monotonic() - self._said_failing_at > SAY_EVERY_SECONDS:
            self._said_failing_at = monotonic()
            logger.error("results cannot be kept in %s: %s", self.folder, error.strerror)

    def _say_dropped(self, reason: str) -> None:
        if self.dropped > self._said_dropped and monotonic() - self._said_at > SAY_EVERY_SECONDS:
            lost, self._said_dropped, self._said_at = self.dropped - self._said_dropped, self.dropped, monotonic()
            logger.warning("%d kept results were dropped %s, oldest first; %d so far", lost, reason, self.dropped)

    def _drop_first(self) -> None:
        first = self._segments[0]
        self.dropped += first.waiting
        self._discard(first)

    def _drop_if_empty(self) -> None:
        if self._segments and not self._segments[0].waiting:
            self._discard(self._segments[0])

    def _discard(self, segment: Segment) -> None:
        if segment is self._segments[-1]:
            self._stop_writing()
        if segment is self._segments[0]:
            self._head = []
        self._segments.remove(segment)
        with contextlib.suppress(OSError):  # what cannot be deleted is offered again after a restart, and stored once
            segment.path.unlink()
        if not self._segments:
            self.measured_until.clear()

    def _load_head(self) -> bool:
        """Read what of the first segment has not been taken; return whether anything can be had."""
        while self._segments and not self._head:
            first = self._segments[0]
            if first.waiting:
                read = self._read(first)
                if read is None:
                    return False
                self._head = read[first.taken :]
                lost = first.records - len(read)
                first.records = len(read)
                self.dropped += max(lost, 0)  # damaged since they were written
            self._drop_if_empty()
        return bool(self._head)

    def _read(self, segment: Segment) -> list[Record] | None:
        """Return what of a segment can still be read: a disk that fails takes no more with it than lies there.

        None where it has to be looked at another time.
        """
        try:
            data = segment.path.read_bytes()
        except OSError as error:
            is_passing = error.errno in SHORTAGES
            if not is_passing or monotonic() - self._said_unread_at > SAY_EVERY_SECONDS:
                self._said_unread_at = monotonic()
                logger.error("kept results cannot be read from %s: %s", segment.path, error.strerror)  # noqa: TRY400
            return None if is_passing else []
        return [record for record, _end in unpacked(data[: segment.size])]


def lock_folder(folder: Path, *, patience_seconds: float = 2.0) -> int:
    """Hold the folder for this process alone: two writers would number their segments alike.

    ``patience_seconds`` is for who tidies there at this moment (`config.agent.former`) and is gone at once.
    """
    held, ends_at = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600), monotonic() + patience_seconds
    try:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if monotonic() >= ends_at:
                    text = (
                        f"--state-dir: another process of this agent uses {folder}. Give each one a folder of its own."
                    )
                    raise AgentError(text) from error
                sleep(0.05)
            else:
                return held
    except BaseException:
        os.close(held)
        raise


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
    os.fdatasync(descriptor)
