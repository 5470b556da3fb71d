"""What a body says once its content coding is undone (RFC 9110 §8.4), within the bounds that a stranger's bytes need.

Nobody is asked for compressed answers, but whoever is not told that it does not suit may send one, and objects that are
stored compressed come as they are. zlib's two codings are undone; the rest of the registered ones are named as what cannot
be read (https://www.iana.org/assignments/http-parameters). Any other word says nothing, as browsers have it: servers
write "utf-8" or "none" there.
"""

import zlib
from collections.abc import Sequence

GZIP_MAGIC = b"\x1f\x8b"
GZIP, RAW_DEFLATE = 31, -15  # zlib's numbers for formats; some servers send the latter for "deflate"
READABLE = frozenset({"gzip", "x-gzip", "deflate"})
UNREADABLE = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip"})
MOST_CODINGS = 3  # one over the other
MOST_MEMBERS = 20  # of a gzip file; each costs a copy of all that follow. A MiB that bgzip packed has eighteen


class UnreadableCoding(Exception):
    """A body cannot be unpacked; ``is_known`` where that is the body's fault, not the coding's."""

    def __init__(self, coding: str, *, is_known: bool) -> None:
        super().__init__(coding)
        self.coding = coding
        self.is_known = is_known


def coding_of(header_lines: Sequence[bytes]) -> str:
    """Return how the last answer whose headers these are says that its body is packed."""
    found: list[str] = []
    for line in reversed(header_lines):
        if line.startswith(b"HTTP/"):
            break
        if line[:17].lower() == b"content-encoding:":
            found.append(line[17:].decode("utf-8", "replace").strip())
    return ", ".join(reversed(found))


def unpacked(body: bytes, coding: str, limit: int) -> bytes:
    """Return at most ``limit`` bytes of what ``body`` says; ``coding`` is the header's text. A body cut off says its part."""
    if not body:  # an answer to HEAD, say: its headers speak of what a GET would bring
        return body
    names = [name.strip().lower() for name in coding.split(",")]
    names = [name for name in names if name in READABLE or name in UNREADABLE]
    if len(names) > MOST_CODINGS:
        raise UnreadableCoding(", ".join(names[: MOST_CODINGS + 1]), is_known=False)
    for name in reversed(names):
        if name in UNREADABLE:
            raise UnreadableCoding(name, is_known=False)
        try:
            body = _inflated(body, limit) if name == "deflate" else _gunzipped(body, limit)
        except zlib.error as error:
            raise UnreadableCoding(name, is_known=True) from error
    return body


def attempt(body: bytes, coding: str, limit: int) -> bytes | tuple[str, bool]:
    """Return what `unpacked` does, or its refusal's coding and ``is_known``: to be kept, as each rule asks and trying is slow.

    The exception itself is nothing to keep: its traceback would hold whoever keeps it, and so the body, in a circle.
    """
    try:
        return unpacked(body, coding, limit)
    except UnreadableCoding as error:
        return error.coding, error.is_known


def _inflated(body: bytes, limit: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(body, limit)
    except zlib.error:
        return zlib.decompressobj(RAW_DEFLATE).decompress(body, limit)


def _gunzipped(body: bytes, limit: int) -> bytes:
    found = b""
    for _member in range(MOST_MEMBERS):
        stream = zlib.decompressobj(GZIP)
        found += stream.decompress(body, limit - len(found))
        body = stream.unused_data
        if not stream.eof or len(found) >= limit or not body.startswith(GZIP_MAGIC):
            return found
    raise zlib.error("too many members")
