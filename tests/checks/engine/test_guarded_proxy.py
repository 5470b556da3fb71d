"""The proxy between a browser and the world: its end, and what it knows of pages that did not come."""

import asyncio
import socket
from contextlib import closing
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

from apps.checks.engine.guarded_proxy import GuardedProxy
from apps.checks.engine.network import LoopNetwork
from apps.checks.engine.resolver import HostResolver, system_lookup
from apps.checks.engine.walking import Errand, Walker
from apps.checks.types.base import ProbeFailure, Walk
from apps.checks.types.journeys import parse_steps


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


class _Error(Exception):
    """An error of the browser's."""

    __module__ = "playwright.stand_in"


class _Page(SimpleNamespace):
    """A browser's page of which an address brings nothing, or an answer from where it led to."""

    url = "about:blank"

    def set_default_timeout(self, _milliseconds: float) -> None:
        return None


@pytest.mark.parametrize(
    ("led_to", "known", "code"),
    [
        ("", ("a.example", 80), "connect_refused"),
        ("", ("a.example", 443), "connect_refused"),
        ("", ("b.example", 80), "browser_step"),
        ("http://a.example:8080/", ("a.example", 8080), "connect_refused"),
        ("http://a.example/", ("a.example", 8080), "status_mismatch"),
    ],
    ids=["not reached", "not reached where it led to", "another's", "proxy's own answer", "a part of the page"],
)
async def test_page_that_did_not_come_is_explained_by_its_own_place(
    led_to: str, known: tuple[str, int], code: str
) -> None:
    async def goto(_url: str, **_options: str) -> Any:
        if led_to:
            return SimpleNamespace(url=led_to, status=502)
        raise _Error("net::ERR_TUNNEL_CONNECTION_FAILED")

    async def new_page() -> Any:
        return _Page(goto=goto)

    errand = Errand(parse_steps(["goto http://a.example/"]), {}, Walk(), monotonic() + 60)
    with pytest.raises(ProbeFailure) as caught:
        await Walker(errand, {known: ProbeFailure("connect_refused")}).walk(SimpleNamespace(new_page=new_page))

    assert caught.value.code == code
