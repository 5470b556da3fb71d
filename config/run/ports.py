"""Loopback ports: is one free, and which free one did a service get last time."""

from __future__ import annotations

import socket
from pathlib import Path

from config.run.private_files import write_private

LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """True when a server could listen on the port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # A server may reuse a port in TIME_WAIT, so the probe must not count that as taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def is_answering(port: int, host: str = LOOPBACK, timeout: float = 0.5) -> bool:
    """True when something accepts connections on the port."""
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return True
    except OSError:
        return False


def any_free() -> int:
    """A port that is free at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def remembered(path: Path) -> int:
    """The port written in the file while it is still free, else a new one, then remembered."""
    text = path.read_text(encoding="utf-8").strip() if path.exists() else ""
    if text.isdigit() and is_free(int(text)):
        return int(text)
    port = any_free()
    write_private(path, f"{port}\n")
    return port
