"""A WebSocket server of the `websockets` library, and one that breaks its rules."""

import base64
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.peers.web import Handler

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Socket:
    """A running server: where it is, what it was told, how its connections ended."""

    url: str
    requests: list[Any] = field(default_factory=list)
    received: list[str | bytes] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)


Talk = Callable[[ServerConnection, Socket], Awaitable[None]]


async def echo(connection: ServerConnection, seen: Socket) -> None:
    """Send each message back."""
    async for message in connection:
        seen.received.append(message)
        await connection.send(message)


@asynccontextmanager
async def websocket_server(
    talk: Talk = echo, *, tls: ssl.SSLContext | None = None, subprotocols: tuple[str, ...] = ()
) -> AsyncIterator[Socket]:
    """Serve ``talk`` on loopback."""
    seen = Socket("")

    async def handle(connection: ServerConnection) -> None:
        seen.requests.append(connection.request)
        await talk(connection, seen)
        await connection.wait_closed()
        seen.ended.append(connection.close_code or 0)

    names = [Subprotocol(name) for name in subprotocols] or None
    async with serve(handle, "127.0.0.1", 0, ssl=tls, subprotocols=names) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        seen.url = f"{'wss' if tls else 'ws'}://{'localhost' if tls else '127.0.0.1'}:{port}"
        yield seen


def shaken(*frames: bytes, goes_on: Callable[[socket.socket], None] | None = None) -> Handler:
    """Return a handler that shakes hands properly and then sends these raw bytes."""

    def handle(connection: socket.socket, request: bytes) -> None:
        lines = request.split(b"\r\n")
        key = next(line.partition(b":")[2].strip() for line in lines if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + b"".join(frames)
        )
        if goes_on is not None:
            goes_on(connection)

    return handle
