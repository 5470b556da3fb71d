"""The example service that a newcomer may break: answers 200, or 503 while a file says so.

Its page has a button that breaks and mends it. Called as `python -m config.run.example FD`; the supervisor keeps its socket open.
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


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Example service</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; text-align: center; }}
button {{ font: inherit; padding: .75rem 2rem; border-radius: .5rem; cursor: pointer; }}
</style>
<main>
<h1>{sentence}</h1>
<form method="post"><button name="wanted" value="{wanted}">{button}</button></form>
<p>It is watched every ten seconds: see the overview and the status page change.</p>
</main>
"""


class ExampleHandler(BaseHTTPRequestHandler):
    """One page, with one button."""

    protocol_version = "HTTP/1.1"
    # A client that sends nothing must not hold a thread for ever.
    timeout = 10

    def do_GET(self) -> None:
        if broken_file().exists():
            status, words = HTTPStatus.SERVICE_UNAVAILABLE, ("The example service is broken.", "mend", "Mend it")
        else:
            status, words = HTTPStatus.OK, ("The example service works.", "break", "Break it")
        body = PAGE.format(sentence=words[0], wanted=words[1], button=words[2]).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self) -> None:
        wanted = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 1_000))
        # A page of another origin may not press the button.
        if self.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        if b"break" in wanted:
            broken_file().touch()
        else:
            broken_file().unlink(missing_ok=True)
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

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
