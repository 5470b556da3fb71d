"""Reading an HTTP/1.1 answer as it arrives, bounded in every direction."""

from httptools import HttpParserError, HttpResponseParser

from apps.core.http.bodies import BodyRoom

# What libcurl allows as well.
MAX_HEADER_BYTES = 300_000
MAX_HEADERS = 5_000
WITHOUT_BODY = frozenset({204, 304})
SWITCHING = 101


class PlainAnswer:
    """One answer. Feed it what arrives; it is complete, too much, or beyond understanding (`HttpParserError`)."""

    __slots__ = (
        *("status", "http_version", "content_type", "coding", "location"),
        *("body", "is_truncated", "is_flood", "is_crowded", "is_complete"),
        *("_bodies", "_parser", "_is_head", "_room", "_header_bytes", "_headers", "_has_headers", "_has_length"),
    )

    def __init__(self, *, is_head: bool, max_bytes: int, bodies: BodyRoom) -> None:
        self.status = 0
        self.http_version = ""
        self.content_type = self.coding = self.location = b""
        self.body: bytes | bytearray = b""
        self.is_truncated = self.is_flood = self.is_crowded = self.is_complete = False
        self._bodies = bodies
        self._is_head = is_head
        self._room = max_bytes
        self._header_bytes = self._headers = 0
        self._has_headers = self._has_length = False
        self._parser = HttpResponseParser(self)

    @property
    def is_over(self) -> bool:
        """Tell that nothing more needs to be read."""
        return self.is_complete or self.is_truncated or self.is_flood or self.is_crowded

    def feed(self, data: bytes) -> None:
        """Take what has arrived; raises `HttpParserError` for what is not plain HTTP."""
        room = self._room
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            # Bytes after the end are the server's affair: what was asked for is here.
            if not self.is_over:
                raise
        if self._has_headers and self._room < room:  # more of the body has come
            self._header_bytes = 0
        elif not self.is_complete:  # headers; or trailers and what may stand beside a chunk's length, without an end
            self._header_bytes += len(data)
            self.is_flood = self._header_bytes > MAX_HEADER_BYTES or self._headers > MAX_HEADERS

    def end(self) -> bool:
        """Take the end of the connection; tell whether the answer may end so."""
        if self._has_headers and not self._has_length:
            self.is_complete = True
        return self.is_over

    @property
    def has_begun(self) -> bool:
        """Tell whether the status is known, be it that the headers are not complete."""
        return bool(self._parser.get_status_code())

    def forget(self) -> None:
        """Let go of the parser, which holds this object, and of the body's room: the last thing to be asked of it."""
        self._bodies.give(len(self.body))
        del self._parser

    # What the parser calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers += 1
        if self._has_headers:  # a trailer, or another answer in the same breath: neither says what this one is
            return
        size = len(name)
        if size == 12 and name.lower() == b"content-type":
            self.content_type = value
        elif size == 8 and name.lower() == b"location":
            self.location = value
        elif size == 16 and name.lower() == b"content-encoding":
            self.coding += b", " + value if self.coding else value
        elif (size == 14 and name.lower() == b"content-length") or (
            size == 17 and name.lower() == b"transfer-encoding"
        ):
            self._has_length = True

    def on_headers_complete(self) -> None:
        if self._has_headers:
            return
        status = self._parser.get_status_code()
        if status < 200 and status != SWITCHING:  # such as "103 Early Hints": the answer itself is still to come
            self.content_type = self.coding = self.location = b""
            self._has_length = False
            return
        self.status = status
        self.http_version = self._parser.get_http_version()
        self._has_headers = True
        if self._is_head or status in WITHOUT_BODY or status == SWITCHING:
            self.is_complete = True

    def on_body(self, part: bytes) -> None:
        if self.is_over:
            return
        self._room -= len(part)
        if self._room < 0:
            part = part[: self._room]
            self.is_truncated = True
        self.is_crowded = not self._bodies.take(len(part))
        if not self.body:
            self.body = part  # mostly the whole of it
            return
        if not isinstance(self.body, bytearray):
            self.body = bytearray(self.body)
        self.body += part  # a list of parts would cost 20 times as much where they have two bytes each

    def on_message_complete(self) -> None:
        if self._has_headers:
            self.is_complete = True
