"""The other ends of a benchmark: targets that flip, a Slack-shaped receiver."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class _Server:
    """A loopback server in a thread of its own."""

    def __init__(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 15

            def do_HEAD(self) -> None:
                status, body = server.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()

            def do_GET(self) -> None:
                status, body = server.answer(self.path)
                self._send(status, body)

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = server.receive(self.path, dict(self.headers.items()), raw)
                self._send(status, body)

            def _send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # the product is killed in the middle of requests: that is the point

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, path: str) -> tuple[int, bytes]:
        return 404, b""

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        return 404, b""


class FlipTarget(_Server):
    """Answers 200 or, for paths that are broken, 503; remembers when a broken path was first asked."""

    def __init__(self) -> None:
        super().__init__()
        self._broken: set[str] = set()
        self.first_failures: dict[str, float] = {}
        self.delay_seconds = 0.0
        self.hits = 0

    def answer(self, path: str) -> tuple[int, bytes]:
        self.hits += 1
        time.sleep(self.delay_seconds)
        if path in self._broken:
            self.first_failures.setdefault(path, time.time())
            return 503, b"broken"
        return 200, b"ok"

    def break_path(self, path: str) -> None:
        self.first_failures.pop(path, None)
        self._broken.add(path)

    def mend_path(self, path: str) -> None:
        self._broken.discard(path)

    def mend_all(self) -> None:
        self._broken.clear()

    @contextmanager
    def flipping(self, paths: int, *, every_seconds: float) -> Iterator[None]:
        """Flip each of ``/0`` … once every ``every_seconds``, in an order of chance, until the block ends."""
        stop = threading.Event()
        chance = random.Random(1)

        def flip() -> None:
            order: list[int] = []
            while not stop.wait(every_seconds / paths):
                order = order or chance.sample(range(paths), paths)
                self._broken.symmetric_difference_update({f"/{order.pop()}"})

        thread = threading.Thread(target=flip, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@dataclass(frozen=True, slots=True)
class Received:
    """One accepted message."""

    at: float
    key: str
    payload: Any


class SlackSink(_Server):
    """Takes incoming-webhook messages; refuses every n-th with 500."""

    def __init__(self, *, fail_every: int = 0) -> None:
        super().__init__()
        self.url += "/services/T000/B000/XXXX"
        self._fail_every = fail_every
        self._lock = threading.Lock()
        self._count = 0
        self.refused = 0
        self.received: list[Received] = []

    def receive(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        with self._lock:
            self._count += 1
            if self._fail_every and self._count % self._fail_every == 0:
                self.refused += 1
                return 500, b"server_error"
            self.received.append(Received(time.time(), headers.get("Idempotency-Key", ""), json.loads(body)))
        return 200, b"ok"

    def accepted_by_key(self) -> Counter[str]:
        return Counter(message.key for message in self.received)
