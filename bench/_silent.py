"""A target that takes every connection and never says a word: a process of its own, whose time counts for nobody."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench._product import PROJECT


class Silence(asyncio.Protocol):
    """Listens, and keeps what it thinks to itself."""


@contextmanager
def silent_target() -> Iterator[str]:
    """Yield the address of a server that accepts and never answers."""
    process = subprocess.Popen([sys.executable, "-m", "bench._silent"], cwd=PROJECT, stdout=subprocess.PIPE)
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"  # type: ignore[union-attr]
    finally:
        process.kill()
        process.wait()


async def _listen() -> None:
    server = await asyncio.get_running_loop().create_server(Silence, "127.0.0.1", 0, backlog=4_096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_listen())
