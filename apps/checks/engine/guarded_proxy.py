"""An HTTP proxy on loopback for one browser probe: what it cannot pass, the browser cannot reach.

Every name is looked up here and every address judged, then the connection goes to that very address: a page can neither
rebind a name nor name an address in some odd spelling. It serves CONNECT (https, WebSockets) and plain HTTP.
"""

import asyncio
import re
import socket
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from apps.checks.engine.stream import connect_failure, speaking_for_all
from apps.checks.types.base import Network, ProbeFailure
from apps.core.http.failures import OWN_ERRORS
from apps.core.http.guard import forbidden_reason
from apps.core.http.urls import BadUrl, check_url

MAX_HEAD = 65_536
CHUNK = 65_536
CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 1.0
REST_SECONDS = 0.5
MAX_ADDRESSES = 3  # that are tried of one name
HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\s]+):(\d{1,5})")
# What concerns this connection alone, not the server's.
OWN_HEADERS = (b"proxy-", b"connection:", b"keep-alive:")


class TooMuch(Exception):
    """The probe has moved as many bytes as it may."""


class GuardedProxy:
    """Serve from `start` to `close`; ``failures`` tells by host and port why nobody was reached."""

    def __init__(self, net: Network, *, max_bytes: int) -> None:
        self._net = net
        self._room = max_bytes
        # An asyncio server loses a connection that it has accepted but not yet handed over when it is closed.
        self._listener: socket.socket | None = None
        self._unserved: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.failures: dict[tuple[str, int], ProbeFailure] = {}
        self.reached: list[str] = []
        self.is_exhausted = False

    async def start(self) -> int:
        """Listen on loopback and return the port."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)
        port: int = self._listener.getsockname()[1]
        return port

    async def close(self) -> None:
        """Close every connection, those that are just arriving too."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in self._unserved:
            connection.close()
        for writer in self._writers:
            writer.transport.abort()  # closing waits until what is written is read, and nobody reads any more
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _peer = listener.accept()
        except OSError as error:
            if error.errno in OWN_ERRORS and not isinstance(error, BlockingIOError):
                self._rest(listener)
            return
        connection.setblocking(False)
        self._unserved.add(connection)
        task = asyncio.ensure_future(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _rest(self, listener: socket.socket) -> None:
        """Accept nothing for a while: the next try would fail at once, and cost every other probe its time."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        loop.call_later(REST_SECONDS, self._listen_again, listener)

    def _listen_again(self, listener: socket.socket) -> None:
        if listener.fileno() >= 0:  # not closed meanwhile
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    async def _serve(self, connection: socket.socket) -> None:
        self._unserved.discard(connection)
        reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_HEAD)
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
                await self._pass_on(reader, writer)
        except TooMuch:
            self.is_exhausted = True
        finally:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        request_line, *lines = head[:-4].split(b"\r\n")
        method, target, *_version = (*request_line.decode("latin-1").split(" "), "")
        try:
            host, port, onward = (
                _connect_target(target) if method == "CONNECT" else _plain_target(method, target, lines)
            )
            far_reader, far_writer = await self._connect(host, port)
        except BadUrl:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            return
        except ProbeFailure as failure:
            self.failures[plain_host(host), port] = failure
            writer.write(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        self.failures.pop((plain_host(host), port), None)  # no longer what is the matter with it
        self._writers.add(far_writer)
        try:
            if method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            far_writer.write(onward)
            await _both(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            far_writer.close()

    async def _connect(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        addresses, _ms = await self._net.resolve(host)  # the guard: it returns allowed addresses only, or fails
        failed: list[ProbeFailure] = []
        for ip in addresses[:MAX_ADDRESSES]:
            # Again, now that the port is known: an agent's allow-list may name ports.
            if reason := forbidden_reason(ip, allow_private=True, port=port):
                failed.append(ProbeFailure("address_forbidden", {"address": ip, "reason": reason}))
                continue
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    made = await asyncio.open_connection(ip, port)
            except TimeoutError:
                failed.append(ProbeFailure("connect_timeout"))
            except OSError as error:
                failed.append(connect_failure(error, ip))
            else:
                self.reached.append(ip)
                return made
        raise speaking_for_all(failed)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            self._room -= len(data)
            if self._room < 0:
                raise TooMuch
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def _both(*directions: Coroutine[Any, Any, None]) -> None:
    """Run both directions to their ends; one that fails ends the other."""
    tasks = [asyncio.ensure_future(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    if any(isinstance(end, TooMuch) for end in ended):
        raise TooMuch


def plain_host(host: str) -> str:
    """Return a host in one spelling, whoever wrote it."""
    bare = host.strip("[]").lower()
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare


def _connect_target(target: str) -> tuple[str, int, bytes]:
    match = HOST_AND_PORT.fullmatch(target)
    if match is None:
        raise BadUrl("malformed", target[:60])
    return match[1], int(match[2]), b""


def _plain_target(method: str, target: str, lines: Iterable[bytes]) -> tuple[str, int, bytes]:
    parsed = check_url(target)
    if parsed.scheme != "http":
        raise BadUrl("bad_scheme", target[:60])
    path = parsed.url.split("/", 3)[3]
    kept = [line for line in lines if not line.lower().startswith(OWN_HEADERS)]
    head = [f"{method} /{path} HTTP/1.1".encode("latin-1"), *kept, b"Connection: close"]
    return parsed.host, parsed.port, b"\r\n".join(head) + b"\r\n\r\n"
