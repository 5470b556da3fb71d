"""Results as they lie on disk: one checksummed record each, so that a torn or damaged one is known for what it is."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from apps.checks.domain.agent_wire import encode_results
from apps.checks.domain.results import NewResult
from apps.checks.domain.wire_fields import to_wire_time
from config.agent.server_clock import EPOCH

# Length of the row, checksum of all that follows, due at (microseconds since 1970), check.
HEADER = struct.Struct(">IIQ16s")
CHECKED_FROM = 8
MAX_ROW_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Record:
    """A result as the wire has it, and what tells its turn."""

    check_id: UUID
    due_at: datetime
    row: bytes

    def packed(self) -> bytes:
        """Return the bytes for the disk."""
        header = HEADER.pack(len(self.row), 0, to_wire_time(self.due_at), self.check_id.bytes)
        checked = header[CHECKED_FROM:] + self.row
        return header[:4] + struct.pack(">I", zlib.crc32(checked)) + checked


def record_of(result: NewResult) -> Record:
    """Return the record of a result whose times are the server's; raises ValueError for what JSON cannot say."""
    row = json.dumps(encode_results([result])[0], separators=(",", ":"), allow_nan=False)
    return Record(result.check_id, result.due_at, row.encode())


def unpacked(data: bytes) -> Iterator[tuple[Record, int]]:
    """Yield the sound records from the beginning, each with where it ends; the first that is not sound ends it."""
    place, whole = 0, memoryview(data)
    while place + HEADER.size <= len(data):
        length, checksum, due_us, check_id = HEADER.unpack_from(data, place)
        end = place + HEADER.size + length
        if length > MAX_ROW_BYTES or end > len(data) or zlib.crc32(whole[place + CHECKED_FROM : end]) != checksum:
            return
        due_at = EPOCH + timedelta(microseconds=due_us)
        yield Record(UUID(bytes=check_id), due_at, bytes(whole[place + HEADER.size : end])), end
        place = end
