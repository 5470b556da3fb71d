"""Identifiers: UUID version 7 (RFC 9562) for rows, so that new rows land at the right edge of an index; random tokens for secrets."""

import secrets
import threading
import time
import zlib
from uuid import UUID

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


_lock = threading.Lock()
_last = 0


def uuid7() -> UUID:
    """Return a UUIDv7: 48 bits of Unix milliseconds, 12 bits that count within one, 62 random bits.

    Ids of one process are in the order they were made, also within a millisecond and while the clock stands or steps back
    (RFC 9562, section 6.2, method 1): rows made together can be sorted by id.
    """
    global _last
    with _lock:
        _last = max((time.time_ns() // 1_000_000) << 12, _last + 1)
        stamp = _last
    value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62)
    return UUID(int=value)


def is_uuid(text: str) -> bool:
    """Tell whether a text is a UUID, with or without its hyphens."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))


def new_token(prefix: str) -> str:
    """Return ``prefix`` + 33 random base-62 characters (196 bits) + 6 characters of CRC-32, so that scanners can spot a leak."""
    body = prefix + "".join(secrets.choice(BASE62) for _ in range(33))
    return body + _base62(zlib.crc32(body.encode()), 6)


def has_valid_checksum(token: str) -> bool:
    """Tell a mistyped or foreign token from one of ours without asking the database."""
    return len(token) > 39 and token[-6:] == _base62(zlib.crc32(token[:-6].encode()), 6)
