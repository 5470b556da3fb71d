"""The ping lane: a plain ping is answered on its socket; whatever else comes in goes to the web server behind.

A web server's machinery for one request (a task, events, a scope, lists of headers) costs several times what a ping needs.
The lane takes no more than what it sees whole and simple at first sight. All else, a long text in pieces as much as a page,
is handed over with its bytes, and `consumers.PingDoor` knows pings, too: so the lane may always say "not mine".
"""

import asyncio
import re
from collections.abc import MutableSet
from dataclasses import dataclass
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, Protocol

import httptools

from apps.checks.domain.ping_dialects import BARE, DIALECTS, Asked, Dialect, Wording, dialect_of, ip_of
from apps.checks.domain.ping_reception import Reception

PREFIXES = tuple(dialect.prefix.encode() for dialect in DIALECTS)
BARE_PATH = re.compile(BARE.PATH.pattern.encode() + rb"[ ?]")
LONGEST_METHOD = 8
WITH_BODY = frozenset({"POST", "PUT"})
# A job's requests differ from each other in no more than the first line, and a thousand jobs' requests hardly more. So the
# fields behind a line as simple as this are parsed once.
PLAIN_LINE = re.compile(rb"(GET|HEAD) (/[\w./~-]*)(?:\?([\w.~%+:=&-]*))? HTTP/1\.1\r\n")
LONGEST_KNOWN = 512


class Proxies(Protocol):
    """Whose word about a sender's address counts."""

    def __contains__(self, host: Any) -> bool: ...

    def get_trusted_client_address(self, forwarded_for: str) -> tuple[str, int]: ...


class Server(Protocol):
    """What the lane asks of the web server behind it."""

    connections: MutableSet[Any]  # each can be told to `shutdown()`
    idle_seconds: float
    proxies: Proxies | None

    def date(self) -> bytes:
        """Return the date field of an answer, with its line's end."""
        ...

    def take_over(self) -> asyncio.Protocol:
        """Return the web server's own protocol for a new connection."""
        ...


class PingLane(asyncio.Protocol):
    """One connection, for as long as nothing but plain pings comes over it."""

    __slots__ = ("_idle", "_is_busy", "_is_last", "_peer", "_pending", "_reception", "_server", "_transport")
    _transport: asyncio.Transport

    def __init__(self, reception: Reception, server: Server) -> None:
        self._reception = reception
        self._server = server
        self._is_busy = self._is_last = False
        self._pending = b""
        self._idle: asyncio.TimerHandle | None = None

    # --- What the event loop calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # asyncio's word for a socket one can write to
        peer = transport.get_extra_info("peername")
        self._peer = ip_of(peer[0]) if peer else None
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._is_busy:  # it does not wait for the answer: that is the web server's art
            self._pending += data
            self._transport.pause_reading()
            return
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        seen = look_at(data)
        if seen is None:
            self._hand_over(data)
            return
        self._is_busy = True
        dialect, request = seen
        asked = request.asked(self._peer, self._server.proxies)
        self._reception.take(dialect, asked, partial(self._answer, request))

    def eof_received(self) -> bool:
        return self._is_busy  # who has only finished speaking still listens

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)

    # --- What the web server calls ---

    def shutdown(self) -> None:
        """Answer what was asked, and nothing more."""
        self._is_last = True
        if not self._is_busy:
            self._transport.close()

    # --- Its own ---

    def _answer(self, request: "Request", wording: Wording) -> None:
        self._is_busy = False
        if self._transport.is_closing():
            return
        stays = request.stays and not self._is_last
        line, rest = _rendered(wording, is_head=request.method == "HEAD", stays=stays)
        self._transport.write(line + self._server.date() + rest)
        if not stays:
            self._transport.close()
        elif self._pending:
            self._transport.resume_reading()
            self._hand_over(self._pending)
        else:
            self._idle = asyncio.get_running_loop().call_later(self._server.idle_seconds, self._transport.close)

    def _hand_over(self, data: bytes) -> None:
        self._server.connections.discard(self)
        protocol = self._server.take_over()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(data)


@dataclass(slots=True)
class Fields:
    """What of a request's header fields a ping is made of."""

    agent: str
    bearer: str
    forwarded: list[bytes]
    stays: bool


@dataclass(slots=True)
class Request:
    """One whole plain request."""

    method: str
    path: str
    query: str
    fields: Fields
    body: bytes = b""

    @property
    def stays(self) -> bool:
        return self.fields.stays

    def asked(self, peer: str | None, proxies: Proxies | None) -> Asked:
        """Return what a dialect reads."""
        fields = self.fields
        return Asked(
            method=self.method,
            path=self.path,
            query=self.query,
            source_ip=self._source(peer, proxies) if fields.forwarded and proxies is not None else peer,
            agent=fields.agent,
            bearer=fields.bearer,
            body=self.body,
        )

    def _source(self, peer: str | None, proxies: Proxies) -> str | None:
        if peer not in proxies:
            return peer
        host, _port = proxies.get_trusted_client_address(b", ".join(self.fields.forwarded).decode("latin-1"))
        return ip_of(host) if host else peer


def look_at(data: bytes) -> tuple[Dialect, Request] | None:
    """Return whose ping these bytes are; None where they are anything but one whole plain ping."""
    path = data.find(b" ", 0, LONGEST_METHOD) + 1
    if not (data.startswith(PREFIXES, path) or BARE_PATH.match(data, path)):
        return None
    request = met_before(data) or parsed(data)
    dialect = dialect_of(request.path) if request else None
    return (dialect, request) if dialect and request else None


def met_before(data: bytes) -> Request | None:
    """Return the request of a sender whose header fields we know; None where it is not as simple as that."""
    line = PLAIN_LINE.match(data)
    rest = data[line.end() :] if line else b""
    if line is None or len(rest) > LONGEST_KNOWN or not rest.endswith(b"\r\n\r\n") or b"authorization" in rest.lower():
        return None  # memory keeps no secrets
    fields = _known_fields(rest)
    if fields is None:
        return None
    method, path, query = line.groups(b"")
    return Request(method.decode("ascii"), path.decode("ascii"), query.decode("ascii"), fields)


@lru_cache(maxsize=1_000)
def _known_fields(rest: bytes) -> Fields | None:
    """Parse what follows a first line; None where that is anything but the fields of one request without a body."""
    request = parsed(b"GET / HTTP/1.1\r\n" + rest)
    return request.fields if request else None


def parsed(data: bytes) -> Request | None:
    """Let the parser see a request; None where it is not one, or more than one."""
    seen = _Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    path, _mark, query = seen.url.partition(b"?")
    version = parser.get_http_version()
    # One that has begun behind it, be it with a single byte, must not be lost.
    if (seen.begins, seen.ends) != (1, 1) or not version.startswith("1.") or b"%" in path or not path.isascii():
        return None
    method = parser.get_method().decode("ascii")
    return Request(
        method=method,
        path=path.decode("ascii"),
        query=query.decode("latin-1"),
        # HTTP/1.0 clients that want to stay say so in a way of their own.
        fields=seen.fields(may_stay=version == "1.1"),
        body=seen.body if method in WITH_BODY else b"",
    )


class _Seen:
    """A request as the parser calls it out."""

    __slots__ = ("_agent", "_authorization", "_forwarded", "_stays", "begins", "body", "ends", "url")

    def __init__(self) -> None:
        self._stays = True
        self.url = self.body = self._agent = self._authorization = b""
        self._forwarded: list[bytes] = []
        self.begins = self.ends = 0

    def on_message_begin(self) -> None:
        self.begins += 1

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"user-agent":
            self._agent = value
        elif name == b"authorization":
            self._authorization = value
        elif name == b"x-forwarded-for":
            self._forwarded.append(value)
        elif name == b"connection" and b"close" in value.lower():
            self._stays = False

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.ends += 1

    def fields(self, *, may_stay: bool) -> Fields:
        scheme, _space, bearer = self._authorization.partition(b" ")
        return Fields(
            agent=self._agent.decode("latin-1").replace("\x00", ""),
            bearer=bearer.strip().decode("latin-1") if scheme.lower() == b"bearer" else "",
            forwarded=self._forwarded,
            stays=self._stays and may_stay,
        )


@lru_cache(maxsize=256)
def _rendered(wording: Wording, *, is_head: bool, stays: bool) -> tuple[bytes, bytes]:
    """Return an answer's first line, and all that follows its date."""
    fields = [
        (b"content-length", str(len(wording.body)).encode()),
        (b"cache-control", b"no-store"),
        *wording.headers,
        *(() if stays else ((b"connection", b"close"),)),
    ]
    head = b"".join(b"%b: %b\r\n" % field for field in fields)
    line = f"HTTP/1.1 {wording.status} {HTTPStatus(wording.status).phrase}\r\n"
    return line.encode("ascii"), head + b"\r\n" + (b"" if is_head else wording.body)
