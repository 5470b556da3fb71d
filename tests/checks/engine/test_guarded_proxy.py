"""The proxy between a browser and the world: its end."""

import asyncio
import socket
from contextlib import closing

import pytest

from apps.checks.engine.guarded_proxy import GuardedProxy
from apps.checks.engine.network import LoopNetwork
from apps.checks.engine.resolver import HostResolver, system_lookup


@pytest.mark.parametrize("turns", range(6))
async def test_closing_ends_connections_that_are_just_arriving(turns: int) -> None:
    """Whether the event loop has accepted it, made its transport or begun to serve it."""
    resolver = HostResolver(system_lookup)
    proxy = GuardedProxy(LoopNetwork(resolver, timeout_seconds=5, allow_private=True), max_bytes=1_000)
    port = await proxy.start()
    with closing(socket.create_connection(("127.0.0.1", port))) as arriving:
        arriving.setblocking(False)
        for _turn in range(turns):
            await asyncio.sleep(0)

        await proxy.close()

        async with asyncio.timeout(10):
            with pytest.raises(ConnectionError):
                await _read_to_the_end(arriving)
    resolver.close()


async def _read_to_the_end(connection: socket.socket) -> None:
    """Raise ConnectionError at the other side's end, however it comes."""
    if not await asyncio.get_running_loop().sock_recv(connection, 1):
        raise ConnectionResetError
