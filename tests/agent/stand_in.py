"""A server as an agent sees it: it signs as the real one does, and misbehaves where a test says so.

What it is for is what the real server never does: wrong signatures, replays, redirects, floods. That both fit together is shown
by `test_whole.py`.
"""

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from apps.checks.domain.agent_wire import (
    NO_TENANT,
    AgentToken,
    OfferedTurn,
    OpenSettings,
    encode_settings,
    encode_turns,
    public_key_of,
    seal_answer,
)
from apps.checks.domain.turns import ClaimedTurn
from apps.core import clock

Misbehaviour = Callable[["Call"], tuple[int, Mapping[str, str], bytes]]


class Call:
    """One request, and the honest answer to it."""

    def __init__(self, server: "StandIn", verb: str, headers: Mapping[str, str], body: bytes) -> None:
        self.server = server
        self.verb = verb
        self.headers = headers
        self.is_compressed = headers.get("Content-Encoding") == "gzip"
        self.fields = json.loads(gzip.decompress(body) if self.is_compressed else body)

    @property
    def nonce(self) -> str:
        return self.headers["Obsera-Nonce"]

    def answer(self, *, verb: str = "", nonce: str = "", at: datetime | None = None, key: Any = None) -> Any:
        """Return status, headers and body, with whatever a test wants to be wrong."""
        body, signature = seal_answer(
            key or self.server.key,
            verb or self.verb,
            nonce or self.nonce,
            self.server.honest(self.verb, self.fields),
            at=at or self.server.now(),
        )
        return 200, {"Obsera-Signature": signature}, body


class StandIn:
    """Remembers what it was asked. ``misbehave`` answers in its place."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.token = AgentToken(uuid4(), "s" * 43, public_key_of(self.key))
        self.ahead = timedelta()
        self.calls: list[Call] = []
        self.connections = 0
        self.shut_the_door: Callable[[], None] = lambda: None  # to new connections; those that are open stay
        self.misbehave: Misbehaviour | None = None
        self.turns: list[OfferedTurn] = []
        self.skipped = 0
        self.is_all: bool | None = True  # what it says of its turns; None: nothing, as earlier releases
        self.settings: dict[UUID, OpenSettings] = {}
        self.unreadable: list[UUID] = []  # checks whose settings it cannot open
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return clock.now() + self.ahead

    def offer(
        self,
        *,
        due_in: float = 0.0,
        interval: int = 10,
        timeout_seconds: int = 20,
        kind: str = "http",
        **public: Any,
    ) -> OfferedTurn:
        """Have a turn of a new check claimed next."""
        check_id = uuid4()
        self.settings[check_id] = OpenSettings(1, kind, public or {"url": "http://127.0.0.1:9/"}, {})
        due_at = self.now() + timedelta(seconds=due_in)
        made = turn_of(check_id, due_at, interval=interval, starts_in=due_in, timeout_seconds=timeout_seconds)
        self.turns.append(made)
        return made

    def honest(self, verb: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Return what a server says that has nothing to hide."""
        with self._lock:
            if verb == "trade":
                turns, self.turns = self.turns[: fields["limit"]], self.turns[fields["limit"] :]
                said = {} if self.is_all is None else {"is_all": self.is_all and len(turns) < fields["limit"]}
                return {"region": 7, "beat_seconds": 1.0, "turns": encode_turns(turns), "skipped": self.skipped, **said}
            if verb == "settings":
                known = {check_id: self.settings.get(UUID(check_id)) for check_id in fields["checks"]}
                opened = encode_settings({UUID(key): one for key, one in known.items() if one})
                return {"settings": opened, "unreadable": [check_id.hex for check_id in self.unreadable]}
            return {"stored": len(fields["results"])} if verb == "late" else {}

    def asked(self, verb: str) -> list[dict[str, Any]]:
        return [call.fields for call in self.calls if call.verb == verb]

    def results(self, *verbs: str) -> list[tuple[UUID, int]]:
        """Return check and turn of every result that came in by one of these verbs."""
        rows = [row for call in self.calls if call.verb in verbs for row in call.fields["results"]]
        return [(UUID(row[0]), row[1]) for row in rows]

    def _called(self, verb: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        call = Call(self, verb, headers, body)
        if self.misbehave is not None:
            return self.misbehave(call)
        self.calls.append(call)
        answer: tuple[int, Mapping[str, str], bytes] = call.answer()
        return answer


def turn_of(
    check_id: UUID, due_at: datetime, *, interval: int = 10, starts_in: float = 0.0, timeout_seconds: int = 5
) -> OfferedTurn:
    turn = ClaimedTurn(
        check_id=check_id,
        tenant_id=NO_TENANT,
        region_id=7,
        version=1,
        due_at=due_at,
        starts_in_seconds=starts_in,
        timeout_seconds=timeout_seconds,
        allows_private=True,
    )
    return OfferedTurn(turn, interval)


@contextmanager
def serving(server: StandIn, *, port: int = 0) -> Iterator[str]:
    """Serve on loopback until the block ends; every connection is cut then."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            server.connections += 1
            links.append(self.connection)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, answer = server._called(self.path.removeprefix("/agent/v1/"), dict(self.headers), body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients give up in the middle: that is the point

    links: list[Any] = []

    def shut_the_door() -> None:
        http.shutdown()
        http.server_close()

    http = Quiet(("127.0.0.1", port), Handler)
    server.shut_the_door = shut_the_door
    threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        shut_the_door()
        for link in links:
            try:
                link.shutdown(2)
            except OSError:
                continue


def await_true(condition: Callable[[], bool], *, seconds: float = 180.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)
