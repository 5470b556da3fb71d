"""Asking a service once, as the engine does."""

import threading
from typing import Any

from apps.checks.engine.job import ProbeJob
from apps.checks.types.base import Outcome
from apps.checks.types.registry import CHECK_TYPES
from tests.checks.engine.probing import probe_all
from tests.peers.web import Handler


async def ask(kind: str, *, timeout: float = 10, allow_private: bool = True, **config: Any) -> Outcome:
    """Probe one service once."""
    wanted = CHECK_TYPES.get(kind).Config(**config)
    wanted.clean()
    outcomes = await probe_all([ProbeJob("one", kind, wanted, timeout, allow_private)])
    return outcomes["one"]


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
