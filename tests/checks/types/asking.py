"""Asking a service once, as the engine does."""

import threading
import time
from collections.abc import Callable
from typing import Any

from apps.checks.engine.job import ProbeJob
from apps.checks.types.base import Outcome
from apps.checks.types.registry import CHECK_TYPES
from tests.checks.engine.probing import PATIENCE, probe_all
from tests.peers.web import Handler


async def ask(kind: str, *, timeout: float = PATIENCE, allow_private: bool = True, **config: Any) -> Outcome:
    """Probe one service once."""
    wanted = CHECK_TYPES.get(kind).Config(**config)
    wanted.clean()
    outcomes = await probe_all([ProbeJob("one", kind, wanted, timeout, allow_private)])
    return outcomes["one"]


def await_end(has_ended: Callable[[], bool]) -> None:
    """Wait until a server has ended something by itself, however busy the machine is."""
    deadline = time.monotonic() + 2 * PATIENCE
    while not has_ended():
        assert time.monotonic() < deadline, "it goes on"
        time.sleep(0.05)


def flooding(chunk: bytes, stopped: threading.Event, *, first: bytes = b"") -> Handler:
    """Return a handler that never stops talking."""

    def flood(connection: Any, _request: bytes) -> None:
        connection.sendall(first)
        while not stopped.is_set():
            connection.sendall(chunk)

    return flood


def reciting(said: bytes) -> Handler:
    """Return a handler that says its piece at once, whatever it is asked, and listens until the other side leaves."""

    def recite(connection: Any, _request: bytes) -> None:
        connection.sendall(said)
        while connection.recv(65_536):
            pass

    return recite
