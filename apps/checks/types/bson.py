"""MongoDB's documents as bytes and back: what a probe says and hears, within bounds of size and depth."""

import struct
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 20
MAX_ENTRIES = 5_000
DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, BOOLEAN, NULL, INT32, INT64 = 1, 2, 3, 4, 5, 8, 10, 16, 18
# What a probe has no use for is passed over; its length is known.
SKIPPED = {6: 0, 7: 12, 9: 8, 17: 8, 19: 16, 127: 0, 255: 0}
TEXTS = {STRING, 13, 14}


class BadDocument(ValueError):
    """The bytes are no document, or one beyond the bounds."""


def encode(document: Mapping[str, Any]) -> bytes:
    """Return a document of texts, numbers, truths, bytes and documents."""
    body = b"".join(_entry(name, value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _entry(name: str, value: Any) -> bytes:
    key = name.encode() + b"\0"
    if isinstance(value, bool):
        return bytes([BOOLEAN]) + key + bytes([value])
    if isinstance(value, int):
        return bytes([INT32]) + key + struct.pack("<i", value)
    if isinstance(value, str):
        text = value.encode() + b"\0"
        return bytes([STRING]) + key + struct.pack("<i", len(text)) + text
    if isinstance(value, bytes):
        return bytes([BINARY]) + key + struct.pack("<iB", len(value), 0) + value
    return bytes([DOCUMENT]) + key + encode(value)


def decode(data: bytes) -> dict[str, Any]:
    """Return the document at the start of ``data``; raises `BadDocument`."""
    reader = _Reader(data)
    try:
        return reader.document(0)
    except (struct.error, UnicodeDecodeError) as error:
        raise BadDocument(str(error)) from error


class _Reader:
    """A place in the bytes, and how many entries were read before it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._entries = 0

    def document(self, depth: int) -> dict[str, Any]:
        begin = self._at
        size = self._number("<i")
        end = begin + size - 1
        if depth > MAX_DEPTH or size < 5 or end >= len(self._data) or self._data[end] != 0:
            raise BadDocument("document")
        found: dict[str, Any] = {}
        while self._at < end:
            self._entries += 1
            if self._entries > MAX_ENTRIES:
                raise BadDocument("entries")
            kind = self._take(1)[0]
            name = self._name()
            found[name] = self._value(kind, depth)
        if self._at != end:
            raise BadDocument("length")
        self._at += 1
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in TEXTS:
            return self._take(self._size()).rstrip(b"\0").decode()
        if kind == DOCUMENT:
            return self.document(depth + 1)
        if kind == ARRAY:
            return list(self.document(depth + 1).values())
        if kind == BINARY:
            size = self._size()
            return self._take(size + 1)[1:]
        if kind == BOOLEAN:
            return self._take(1) == b"\1"
        if kind in NUMBERS:
            return self._number(NUMBERS[kind])
        return self._passed_over(kind)

    def _passed_over(self, kind: int) -> None:
        if kind == 11:  # a regular expression: two names
            self._name()
            self._name()
        elif kind != NULL:
            if kind not in SKIPPED:
                raise BadDocument("type")
            self._take(SKIPPED[kind])

    def _size(self) -> int:
        size = self._number("<i")
        if size < 0:
            raise BadDocument("size")
        return int(size)

    def _number(self, shape: str) -> Any:
        return struct.unpack(shape, self._take(struct.calcsize(shape)))[0]

    def _name(self) -> str:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise BadDocument("name")
        return self._take(end + 1 - self._at)[:-1].decode()

    def _take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) != size:
            raise BadDocument("end")
        self._at += size
        return part


NUMBERS = {DOUBLE: "<d", INT32: "<i", INT64: "<q"}
