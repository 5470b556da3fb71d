"""Fan-out of one change to many sockets: the hub against Channels' own Redis layers, on the same server.

    python -m bench.live_fanout [sockets] [rounds]

Prints, per way: CPU-seconds of the web process and of Redis per 1,000 deliveries, p50 and p99 of the time from publishing
to arrival, messages lost; and the ratio of each layer to the hub.
"""

import argparse
import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings

from apps.live.domain.publish import publish
from config.run.valkey import find_binary

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
PEERS = {"pubsub": RedisPubSubChannelLayer, "core": RedisChannelLayer}
WAYS = ("hub", *PEERS)


@dataclass(frozen=True)
class Figures:
    """What one way cost."""

    web_seconds: float
    redis_seconds: float
    delays: list[float]
    expected: int

    @property
    def cost(self) -> float:
        """CPU-seconds of web process and Redis per 1,000 deliveries."""
        return (self.web_seconds + self.redis_seconds) / len(self.delays) * 1_000 if self.delays else float("inf")

    def delay_at(self, share: float) -> float:
        """Return the delay (milliseconds) that this share of the deliveries does not exceed."""
        return sorted(self.delays)[min(int(len(self.delays) * share), len(self.delays) - 1)] * 1_000


# --- The viewers' side --------------------------------------------------------------------------------------------------


class Viewer(asyncio.Protocol):
    """A browser reduced to the bytes: notes when each message arrived."""

    def __init__(self, arrivals: dict[str, list[float]], greeted: asyncio.Semaphore) -> None:
        self._arrivals, self._greeted = arrivals, greeted
        self._buffer = b""
        self._is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        request = (
            f"GET /ws/live/open/bench/ HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        transport.write(request.encode())  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._buffer += data
        if not self._is_open:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            assert b" 101 " in head, head
            self._is_open, self._buffer = True, rest
        for payload in self._frames():
            self._note(json.loads(payload), now)

    def _frames(self) -> Iterator[bytes]:
        while len(self._buffer) >= 2:
            length, start = self._buffer[1] & 127, 2
            if length == 126:
                length, start = int.from_bytes(self._buffer[2:4], "big"), 4
            if len(self._buffer) < start + length:
                return
            frame, self._buffer = self._buffer[start : start + length], self._buffer[start + length :]
            yield frame

    def _note(self, message: dict[str, object], now: float) -> None:
        if message["type"] in ("hello", "resync"):
            self._greeted.release()
        for one in message.get("ids", ()) if message["type"] == "delta" else ():  # type: ignore[attr-defined]
            self._arrivals.setdefault(one, []).append(now)


# --- The measurement ----------------------------------------------------------------------------------------------------


async def measure(
    way: str, sockets: int, rounds: int, web: psutil.Process, redis: psutil.Process, port: int
) -> Figures:
    """Open the sockets, publish once per round, wait for the stragglers."""
    loop = asyncio.get_running_loop()
    arrivals: dict[str, list[float]] = {}
    greeted = asyncio.Semaphore(0)
    transports = []
    for _ in range(sockets):
        transport, _ = await loop.create_connection(lambda: Viewer(arrivals, greeted), "127.0.0.1", port)
        transports.append(transport)
    for _ in range(sockets):
        await asyncio.wait_for(greeted.acquire(), 60)
    await asyncio.sleep(2)

    say = _publisher(way)
    before, sent = (_cpu(web), _cpu(redis)), {}
    for _ in range(rounds):
        one = f"check:{secrets.token_hex(16)}"
        sent[one] = time.monotonic()
        await say(one)
        await asyncio.sleep(1.2)
    await asyncio.sleep(8 if way == "core" else 2)
    delays = [at - sent[one] for one, ats in arrivals.items() if one in sent for at in ats]
    for transport in transports:
        transport.abort()
    return Figures(_cpu(web) - before[0], _cpu(redis) - before[1], delays, sockets * rounds)


def _publisher(way: str) -> Callable[[str], Awaitable[object]]:
    """Return how the product, or one who uses a layer, says that something changed."""
    if way == "hub":
        return lambda one: asyncio.to_thread(publish, "open:bench", [one])
    layer = PEERS[way](hosts=[settings.REDIS_URL])

    def say(one: str) -> Awaitable[object]:
        payload = json.dumps({"type": "delta", "epoch": "0" * 16, "first": 10**12, "n": 10**12, "ids": [one]})
        awaitable: Awaitable[object] = layer.group_send("bench", {"type": "changed", "payload": payload})
        return awaitable

    return say


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int, **environment: str) -> Iterator[psutil.Process]:
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    try:
        _wait_for(port)
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"nothing listens on {port}")


def run_way(way: str, sockets: int, rounds: int, redis: psutil.Process) -> Figures:
    """Measure one way with a web process of its own, and print its line."""
    port = _free_port()
    command = [sys.executable, "-m", "bench.live_server"]
    with _running(command, port, BENCH_WAY=way, PORT=str(port), REDIS_URL=settings.REDIS_URL) as web:
        figures = asyncio.run(measure(way, sockets, rounds, web, redis, port))
    print(
        f"{way:<7}{figures.cost:7.3f} CPU-s per 1,000 (web {figures.web_seconds:.2f}, Redis {figures.redis_seconds:.2f})"
        f"   p50 {figures.delay_at(0.5):7.1f} ms   p99 {figures.delay_at(0.99):7.1f} ms"
        f"   {len(figures.delays)} of {figures.expected} arrived",
        flush=True,
    )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sockets", nargs="?", type=int, default=1_000)
    parser.add_argument("rounds", nargs="?", type=int, default=10)
    options = parser.parse_args()
    port = _free_port()
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    with tempfile.TemporaryDirectory() as folder:
        command = [str(find_binary()), "--port", str(port), "--save", "", "--dir", folder]
        with _running(command, port) as redis:
            ran = {way: run_way(way, options.sockets, options.rounds, redis) for way in WAYS}
    for way in PEERS:
        cheaper, sooner = ran[way].cost / ran["hub"].cost, ran[way].delay_at(0.99) / ran["hub"].delay_at(0.99)
        print(f"ratio {way} : hub = {cheaper:.1f} in CPU, {sooner:.1f} in p99")


if __name__ == "__main__":
    main()
