"""TCP and UDP servers that do exactly what a test wants."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ACCEPT_TURNS = 10  # of the event loop, from a connection's arrival to its `serve`
CLOSE_SECONDS = 30.0


@asynccontextmanager
async def talking(
    handler: Handler, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """Serve ``handler`` on loopback and yield the port; each connection is closed after its handler."""
    tasks: set[asyncio.Task[None]] = set()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        writers.add(writer)
        try:
            with suppress(OSError, ssl.SSLError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        # A server loses what it has accepted but not yet handed over when it is closed.
        for _turn in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        server.close()
        await _end(tasks, writers)


async def _end(tasks: set[asyncio.Task[None]], writers: set[asyncio.StreamWriter]) -> None:
    """End every connection: one left open is reported in the middle of another test."""
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for writer in writers:
        writer.transport.abort()  # closing waits until what is written has been read
    async with asyncio.timeout(CLOSE_SECONDS):
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)


def saying(*parts: bytes, then_waits: bool = False) -> Handler:
    """Return a handler that sends each part as its own segment, then closes or keeps silent."""

    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if then_waits:
            await asyncio.sleep(60)

    return speak


async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send without end."""
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Take the connection and never say a word."""
    await asyncio.sleep(60)


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes], list[bytes]]) -> None:
        self._answer = answer
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for part in self._answer(data):
            self._transport.sendto(part, addr)


@asynccontextmanager
async def answering(
    answer: Callable[[bytes], list[bytes]], *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """Answer each datagram on loopback with those that ``answer`` returns; yield the port."""
    transport, _protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Answering(answer), local_addr=(host, port)
    )
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
