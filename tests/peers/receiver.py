"""An HTTP server whose answers are scripted, and which remembers every request."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Heard:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass(frozen=True)
class Say:
    """One answer; ``hangs`` keeps the line open without a word until the server closes."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False
    delay_seconds: float = 0.0


Script = Callable[[int, Heard], Say]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512  # many probes begin at one moment, and a connection that finds no room costs them a second

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the game."""


class Receiver:
    """Answers with ``script(number, request)``; numbers count from 1."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.script = script
        self.heard: list[Heard] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler_class())
        self._scheme = "https" if tls else "http"
        if tls:
            # Each shakes hands in its own thread, or one who never does would keep all others waiting.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def hear(self, heard: Heard) -> Say:
        with self._lock:
            self.heard.append(heard)
            number = len(self.heard)
        return self.script(number, heard)

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                say = receiver.hear(Heard(self.command, self.path, headers, body, time.monotonic()))
                receiver.closing.wait(60 if say.hangs else say.delay_seconds)
                if say.hangs:
                    return
                self.send_response(say.status)
                for name, value in {"Content-Length": str(len(say.body)), **say.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(say.body)

            do_GET = do_POST  # noqa: N815

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        return Handler


@contextmanager
def listening(script: Script | Say = Say(), tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver for the block."""
    receiver = Receiver(script if callable(script) else lambda _number, _heard: script, tls)
    try:
        yield receiver
    finally:
        receiver.close()
