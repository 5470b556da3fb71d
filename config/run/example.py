"""The example service that a newcomer may break: answers 200, or 503 while a file says so.

Called as `python -m config.run.example FD`; the supervisor keeps its socket open.
"""

from __future__ import annotations

import socket
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from config.run.paths import var_folder
from config.run.ports import LOOPBACK, remembered

BACKLOG = 64


def broken_file() -> Path:
    """While this file exists the service is down."""
    return var_folder() / "run" / "example-is-broken"


def open_listener() -> socket.socket:
    """The example's socket, on the port it had last time when that is free."""
    return socket.create_server((LOOPBACK, remembered(var_folder() / "run" / "example-port")), backlog=BACKLOG)


def address(listener: socket.socket) -> str:
    return f"http://{LOOPBACK}:{listener.getsockname()[1]}/"


class ExampleHandler(BaseHTTPRequestHandler):
    """One sentence in plain text."""

    protocol_version = "HTTP/1.1"
    # A client that sends nothing must not hold a thread for ever.
    timeout = 10

    def do_GET(self) -> None:
        is_broken = broken_file().exists()
        status = HTTPStatus.SERVICE_UNAVAILABLE if is_broken else HTTPStatus.OK
        body = b"The example service is broken.\n" if is_broken else b"The example service works.\n"
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the names are the standard library's

    def log_message(self, *_: object) -> None:
        """Stay silent: a probe every ten seconds is no news."""


def main(descriptors: list[str]) -> None:
    """Serve on the inherited socket."""
    with ThreadingHTTPServer((LOOPBACK, 0), ExampleHandler, bind_and_activate=False) as server:
        server.socket.close()
        server.socket = socket.socket(fileno=int(descriptors[0]))
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
