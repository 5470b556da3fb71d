"""A Redis that may be killed, and a real web server for real sockets."""

import asyncio
import json
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from apps.core import redis
from apps.live.domain import topics
from apps.live.domain.hub import hub
from apps.live.routing import websocket_application
from config.run.valkey import find_binary
from tests.peers.process import free_port

ORIGIN = "http://localhost"
PATIENCE_SECONDS = 60.0  # only a bound against hanging


class Valkey:
    """A server that keeps nothing, on a port that stays the same over restarts."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/3"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [find_binary(), "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--dir", self.home]
        self._process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
        with redis_py.Redis.from_url(self.url) as client:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while self._process.poll() is None and time.monotonic() < deadline:
                try:
                    client.ping()
                except redis_py.ConnectionError:
                    time.sleep(0.02)
                else:
                    return
        raise AssertionError("the test's own Redis did not start")

    def freeze(self) -> None:
        """Leave connections open and answer nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def valkey(tmp_path: Path, settings: Any) -> Iterator[Valkey]:
    """The test's own Redis, which the product uses too."""
    server = Valkey(tmp_path)
    server.start()
    settings.REDIS_URL = server.url
    redis.client.cache_clear()
    yield server
    redis.client().close()
    redis.client.cache_clear()
    server.kill()


@pytest.fixture
def open_topics() -> Iterator[None]:
    """`/ws/live/open/<slug>/` listens to `open:<slug>`; the slug `nowhere` does not exist."""
    topics.register("open", lambda _, slug: None if slug == "nowhere" else f"open:{slug}", is_public=True)
    yield
    topics.unregister("open")


@asynccontextmanager
async def serving() -> AsyncIterator[str]:
    """Serve the sockets with uvicorn in this event loop; yields the address."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(websocket_application(), lifespan="off", log_config=None, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await running
        await hub().aclose()


@pytest.fixture
async def address(valkey: Valkey, open_topics: None) -> AsyncIterator[str]:
    async with serving() as where:
        yield where


def dial(address: str, path: str, **more: Any) -> connect:
    """Connect as a page of our own host does."""
    return connect(f"{address}{path}", origin=more.pop("origin", ORIGIN), **more)


async def heard(connection: ClientConnection, timeout: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """Return the next message."""
    async with asyncio.timeout(timeout):
        message: dict[str, Any] = json.loads(await connection.recv())
        return message


async def heard_type(connection: ClientConnection, kind: str, timeout: float = PATIENCE_SECONDS) -> dict[str, Any]:
    """Return the next message of that type, passing over others."""
    async with asyncio.timeout(timeout):
        while (message := await heard(connection, timeout))["type"] != kind:
            pass
        return message
