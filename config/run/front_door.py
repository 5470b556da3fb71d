"""The product's listening sockets, and whether it answers behind them."""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess

from config.run.errors import RunError
from config.run.given import given

DEFAULT_PORT = 8000
BACKLOG = 512
HIGHEST_PORT = 65535


def chosen_port() -> int:
    """$PORT, or 8000."""
    text = given("PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= HIGHEST_PORT:
        raise RunError(
            f"PORT={text} is not a port number (1 to {HIGHEST_PORT}).", mend=f"make run PORT={DEFAULT_PORT + 1}"
        )
    return int(text)


def open_listeners(port: int) -> list[socket.socket]:
    """Sockets on $HOST, or on both loopback addresses since browsers try either for `localhost`."""
    host = os.environ.get("HOST")
    if host:
        return [_listen(host, port)]
    listeners = [_listen("127.0.0.1", port)]
    if _has_ipv6_loopback():
        listeners.append(_listen("::1", port))
    return listeners


def _has_ipv6_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except PermissionError as error:
        listener.close()
        raise RunError(f"port {port} may only be opened by root.", mend=f"make run PORT={DEFAULT_PORT}") from error
    except OSError as error:
        listener.close()
        raise RunError(
            f"port {port} on {host} cannot be used: {_holder(port) or error.strerror}.",
            mend=f"make run PORT={port + 1 if port < HIGHEST_PORT else DEFAULT_PORT}",
        ) from error
    return listener


def _holder(port: int) -> str:
    """Who listens on the port, when the machine's tools can tell."""
    try:
        output = subprocess.run(
            ["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True, check=False
        ).stdout
    except OSError:
        return ""
    found = re.search(r'users:\(\("([^"]+)",pid=(\d+)', output)
    return f"it is taken by {found[1]} (process {found[2]})" if found else ""


def is_ready(port: int) -> bool:
    """True when /readyz answers and does not say that something is missing.

    An installation for other host names refuses ours with 400 or redirects to https: it answers, which is enough.
    """
    connection = http.client.HTTPConnection(os.environ.get("HOST") or "127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status < http.client.INTERNAL_SERVER_ERROR
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
