"""A server that is about to leave says so by a GOAWAY frame, and still answers what it has taken on (RFC 9113, section 6.8).

The `h2` library ends the connection at any GOAWAY. So those that leave our call alone are taken out before it sees them.
"""

import struct

HEAD = 9
GOAWAY = 7
# A last stream, an error code, and words for people.
LAST_AND_CODE = struct.Struct("!II")
LONGEST = 4_096
NO_ERROR = 0
STREAM_BITS = 0x7FFF_FFFF
# A server says it twice: that it will leave, then after which call.
MOST = 4


class Goodbyes:
    """Takes graceful goodbyes out of what a server sends; ``stream`` is our only call."""

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._held = b""  # the beginning of a frame that may be a goodbye
        self._passing = 0  # bytes left of a frame that is none
        self._taken_out = 0

    def taken_out(self, data: bytes) -> bytes:
        """Return what came, without graceful goodbyes; the beginning of a frame may be held back until more comes."""
        left = self._held + data
        kept = bytearray()
        while left:
            if not self._passing:
                size = self._size_of_next(left)
                if size is None:
                    break
                if self._is_graceful(left[:size]):
                    left = left[size:]
                    continue
                self._passing = size
            kept += left[: self._passing]
            left, self._passing = left[self._passing :], max(0, self._passing - len(left))
        self._held = left
        return bytes(kept)

    def _size_of_next(self, left: bytes) -> int | None:
        """Return how long the next frame is; None where more of it is needed to judge it."""
        if len(left) < HEAD:
            return None
        size = HEAD + int.from_bytes(left[:3])
        is_short = left[3] == GOAWAY and size <= HEAD + LONGEST
        return None if is_short and len(left) < size else size

    def _is_graceful(self, frame: bytes) -> bool:
        if frame[3] != GOAWAY or len(frame) < HEAD + LAST_AND_CODE.size or any(frame[5:HEAD]):
            return False
        if len(frame) > HEAD + LONGEST or self._taken_out >= MOST:
            return False
        last, code = LAST_AND_CODE.unpack_from(frame, HEAD)
        if code != NO_ERROR or last & STREAM_BITS < self._stream:
            return False
        self._taken_out += 1
        return True
