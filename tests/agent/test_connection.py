"""The connection: what it believes, what it refuses, and how it takes a server that misbehaves."""

import gzip
import json
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from apps.checks.domain.wire_fields import dump
from config.agent.connection import Connection
from config.agent.errors import RequestRefused, ServerAway, TokenRefused
from config.agent.server_clock import ServerClock
from tests.agent.stand_in import Call, Misbehaviour, StandIn, serving
from tests.peers.certificates import tls_files
from tests.peers.process import free_port
from tests.peers.tls_front import tls_front
from tests.peers.web import answer, saying
from tests.peers.web import serving as serving_web

BODY = dump({"failed_controls": [], "buffered": 0})


@pytest.fixture
def server() -> StandIn:
    return StandIn()


@pytest.fixture
def connection(server: StandIn) -> Iterator[Connection]:
    with serving(server) as url:
        made = Connection(url, server.token, ServerClock())
        yield made
        made.close()


def reason(connection: Connection, server: StandIn, misbehaviour: Misbehaviour, verb: str = "health") -> str:
    server.misbehave = misbehaviour
    with pytest.raises(ServerAway) as caught:
        connection.ask(verb, BODY)
    return str(caught.value)


def test_one_connection_serves_many_questions(connection: Connection, server: StandIn) -> None:
    for _question in range(5):
        assert connection.ask("health", BODY) == {}

    assert (server.connections, len(server.calls)) == (1, 5)
    assert len({call.nonce for call in server.calls}) == 5


def test_the_key_stays_at_home(connection: Connection, server: StandIn) -> None:
    connection.ask("health", BODY)

    assert server.calls[0].headers["Authorization"] == f"Bearer {server.token.bearer}"
    assert server.calls[0].headers["Obsera-Agent-Version"] == "0.1.0"


def test_large_bodies_are_compressed(connection: Connection, server: StandIn) -> None:
    connection.ask("late", dump({"results": [["x" * 30_000]]}))
    connection.ask("health", BODY)

    assert [call.is_compressed for call in server.calls] == [True, False]
    assert server.calls[0].fields == {"results": [["x" * 30_000]]}


def test_an_answer_signed_by_another_key_is_refused(connection: Connection, server: StandIn) -> None:
    other = Ed25519PrivateKey.generate()

    assert "does not come from the server" in reason(connection, server, lambda call: call.answer(key=other))


def test_an_answer_without_signature_is_refused(connection: Connection, server: StandIn) -> None:
    assert "refused" in reason(connection, server, lambda call: (200, {}, call.answer()[2]))
    assert "refused" in reason(connection, server, lambda call: (200, {"Obsera-Signature": "é?"}, call.answer()[2]))


def test_an_answer_to_another_question_is_refused(connection: Connection, server: StandIn) -> None:
    connection.ask("health", BODY)
    old = server.calls[0].answer()

    assert "does not come from" in reason(connection, server, lambda _call: old)  # a replay: its nonce is spent
    assert "does not come from" in reason(connection, server, lambda call: call.answer(verb="trade"))


def test_an_altered_answer_is_refused(connection: Connection, server: StandIn) -> None:
    def alter(call: Call) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = call.answer()
        return status, headers, body.replace(b'"region":7', b'"region":8')

    server.misbehave = alter
    with pytest.raises(ServerAway, match="does not come from"):
        connection.ask("trade", dump({"results": [], "limit": 0}))


def test_an_answer_of_another_time_is_refused(connection: Connection, server: StandIn) -> None:
    connection.ask("health", BODY)

    for minutes in (-6, 6):
        at = server.now() + timedelta(minutes=minutes)
        assert "clock" in reason(connection, server, lambda call, at=at: call.answer(at=at))


def test_a_clock_of_the_server_that_is_set_back_shuts_nobody_out(server: StandIn) -> None:
    """That an answer is new is proven by its nonce alone: see `test_an_answer_to_another_question_is_refused`."""
    clock = ServerClock()
    with serving(server) as url:
        connection = Connection(url, server.token, clock)
        connection.ask("health", BODY)

        server.ahead = timedelta(minutes=-4)
        assert connection.ask("health", BODY) == {}

        began = time.monotonic()
        connection.ask("health", BODY)
        assert abs(clock.now() - server.now()) <= timedelta(seconds=time.monotonic() - began)
        connection.close()


def test_a_wrong_clock_of_this_machine_is_no_hindrance() -> None:
    server, clock = StandIn(), ServerClock()
    server.ahead = timedelta(hours=3)
    with serving(server) as url:
        connection = Connection(url, server.token, clock)

        began = time.monotonic()
        assert connection.ask("health", BODY) == {}

        error = abs(clock.now() - server.now())
        assert error <= timedelta(seconds=time.monotonic() - began)  # no more than asking and looking took
        connection.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((301, {"Location": "https://obsera.example/"}, b""), "redirects to https://obsera.example/"),
        ((404, {}, b"not here"), "check --server"),
        ((500, {}, b"<html>"), "answered 500"),
        ((401, {}, b"<html>Sign in"), "answered 401"),
        ((401, {}, b'{"code": "unheard_of"}'), "answered 401"),
    ],
)
def test_other_answers_mean_that_the_server_is_away(
    connection: Connection, server: StandIn, answer: tuple[int, dict[str, str], bytes], said: str
) -> None:
    assert said in reason(connection, server, lambda _call: answer)


def test_a_server_that_asks_for_patience_gets_it(connection: Connection, server: StandIn) -> None:
    server.misbehave = lambda _call: (429, {"Retry-After": "17"}, b"{}")

    with pytest.raises(ServerAway) as caught:
        connection.ask("health", BODY)

    assert caught.value.retry_after_seconds == 17.0


@pytest.mark.parametrize("code", ["token_unknown", "token_revoked"])
def test_a_refused_token_is_told_apart(connection: Connection, server: StandIn, code: str) -> None:
    server.misbehave = lambda _call: (401, {}, json.dumps({"code": code}).encode())

    with pytest.raises(TokenRefused):
        connection.ask("health", BODY)


def test_a_refused_request_tells_its_fields(connection: Connection, server: StandIn) -> None:
    said = {"errors": {"results[3].verdict": ["must be a whole number"]}}
    server.misbehave = lambda _call: (400, {}, json.dumps(said).encode())

    with pytest.raises(RequestRefused) as caught:
        connection.ask("trade", BODY)

    assert (caught.value.status, caught.value.errors) == (400, said["errors"])


def test_a_huge_answer_is_broken_off(connection: Connection, server: StandIn) -> None:
    bomb = gzip.compress(b" " * 50_000_000)

    assert "larger than" in reason(connection, server, lambda _call: (200, {}, b" " * 9_000_000))
    assert "larger than" in reason(connection, server, lambda _call: (200, {"Content-Encoding": "gzip"}, bomb))


def test_a_slow_server_has_so_much_time(connection: Connection, server: StandIn) -> None:
    over = threading.Event()
    server.misbehave = lambda call: (over.wait(60), call.answer())[1]
    began = time.monotonic()

    with pytest.raises(ServerAway, match="timed out"):
        connection.ask("health", BODY, seconds=0.5)

    assert time.monotonic() - began < 30
    over.set()


def test_a_server_that_is_not_there_is_away(server: StandIn) -> None:
    connection = Connection(f"http://127.0.0.1:{free_port()}", server.token, ServerClock())

    with pytest.raises(ServerAway, match=r"[Cc]onnect"):
        connection.ask("health", BODY)
    connection.close()


def test_tls_is_verified_by_the_named_roots(server: StandIn, tmp_path: Path) -> None:
    authority = trustme.CA()
    files = tls_files(authority, tmp_path)
    tls = trustme_context(authority)
    with serving(server) as url, tls_front(int(url.rpartition(":")[2]), tls) as port:
        trusted = Connection(
            f"https://localhost:{port}", server.token, ServerClock(), named_ca_file=str(files.authority)
        )
        unknown = Connection(f"https://localhost:{port}", server.token, ServerClock())

        assert trusted.ask("health", BODY) == {}
        with pytest.raises(ServerAway, match="certificate"):
            unknown.ask("health", BODY)
        trusted.close()
        unknown.close()


def trustme_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def test_the_systems_proxy_is_used(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving_web(saying(answer(502))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        connection = Connection("https://obsera.example", server.token, ServerClock())
        with pytest.raises(ServerAway):
            connection.ask("health", BODY)
        connection.close()

    asked = proxy.asked[0]
    assert asked.startswith(b"CONNECT obsera.example:443 HTTP/1.1\r\n")
    assert server.token.secret.encode() not in asked
