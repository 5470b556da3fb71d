"""gRPC health checks against grpcio's own server, and against one that breaks the rules."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import hpack
import pytest
import trustme
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from hypothesis import given
from hypothesis import strategies as st

from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.grpc import GrpcCheck, GrpcConfig, Malformed, framed, health_request, health_status
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask
from tests.peers.grpc_health import Status, grpc_server
from tests.peers.process import free_port
from tests.peers.web import answer, saying, serving

SERVE = "shop.v1.Cart"


async def check(port: int, **config: Any) -> Outcome:
    return await ask("grpc", **{"host": "127.0.0.1", "port": port, "uses_tls": False, **config})


async def test_serving_server() -> None:
    with grpc_server() as server:
        outcome = await check(server.port)

    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.SUCCESS, "", 200)
    assert outcome.details == {"grpc_status": "OK", "status": "SERVING"}
    assert set(outcome.details) == set(GrpcCheck.facts)
    assert (outcome.remote_ip, outcome.tls_ms) == ("127.0.0.1", None)
    assert server.calls == [{"method": "/grpc.health.v1.Health/Check", "user-agent": "Obsera/0.1"}]


@pytest.mark.parametrize(
    ("status", "verdict", "code", "name"),
    [
        (Status.SERVING, Verdict.SUCCESS, "", "SERVING"),
        (Status.NOT_SERVING, Verdict.FAILURE, "grpc_not_serving", "NOT_SERVING"),
        (Status.UNKNOWN, Verdict.FAILURE, "grpc_not_serving", "UNKNOWN"),
    ],
)
async def test_service_by_name(status: int, verdict: Verdict, code: str, name: str) -> None:
    with grpc_server() as server:
        server.health.set(SERVE, status)
        outcome = await check(server.port, service=SERVE)

    assert (outcome.verdict, outcome.error_code, outcome.details["status"]) == (verdict, code, name)
    assert dict(outcome.error_values) == ({"status": name} if code else {})


async def test_unknown_service() -> None:
    with grpc_server() as server:
        outcome = await check(server.port, service="no.such.Service")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "grpc_unknown_service")
    assert outcome.error_values == {"service": "no.such.Service"}
    assert outcome.details == {"grpc_status": "NOT_FOUND"}


async def test_server_without_health_service() -> None:
    with grpc_server(has_health=False) as server:
        outcome = await check(server.port)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "grpc_no_health")


async def test_metadata_lets_in() -> None:
    with grpc_server(token="Bearer right") as server:
        right = await check(server.port, metadata={"Authorization": "Bearer right", "x-trace": "7"})
        wrong = await check(server.port, metadata={"authorization": "Bearer wrong"})

    assert right.verdict == Verdict.SUCCESS
    assert server.calls[0]["x-trace"] == "7"
    assert (wrong.error_code, wrong.error_values) == (
        "grpc_status",
        {"status": "UNAUTHENTICATED", "message": "Wer da? 100%"},
    )


async def test_tls(authority: trustme.CA, trusted: None) -> None:
    with grpc_server(authority=authority) as server:
        outcome = await check(server.port, host="localhost", uses_tls=True)
        by_name = await check(server.port, uses_tls=True, authority="localhost")
        other_name = await check(server.port, uses_tls=True)

    assert outcome.verdict == Verdict.SUCCESS
    assert outcome.tls_ms is not None
    assert outcome.cert_expires_at is not None
    assert by_name.verdict == Verdict.SUCCESS
    assert other_name.error_code == "tls_name_mismatch"


async def test_certificate_of_nobody(authority: trustme.CA) -> None:
    with grpc_server(authority=authority) as server:
        outcome = await check(server.port, host="localhost", uses_tls=True)
        unverified = await check(server.port, host="localhost", uses_tls=True, verify_tls=False)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "tls_unknown_issuer")
    assert unverified.verdict == Verdict.SUCCESS


async def test_mutual_tls(authority: trustme.CA, trusted: None) -> None:
    issued = authority.issue_cert("client.example")
    with grpc_server(authority=authority, asks_certificate=True) as server:
        known = await check(
            server.port,
            host="localhost",
            uses_tls=True,
            client_certificate=issued.cert_chain_pems[0].bytes().decode(),
            client_key=issued.private_key_pem.bytes().decode(),
        )
        unknown = await check(server.port, host="localhost", uses_tls=True)

    assert known.verdict == Verdict.SUCCESS
    assert unknown.verdict == Verdict.FAILURE
    assert len(server.calls) == 1


async def test_plain_call_of_an_encrypted_server_and_the_other_way_round(authority: trustme.CA) -> None:
    with grpc_server(authority=authority) as server:
        plain = await check(server.port)
    with grpc_server() as server:
        encrypted = await check(server.port, uses_tls=True)

    assert (plain.verdict, encrypted.verdict) == (Verdict.FAILURE, Verdict.FAILURE)
    assert encrypted.error_code == "tls_failed"


async def test_server_without_http2(server_tls: ssl.SSLContext, trusted: None) -> None:
    with serving(saying(answer()), tls=server_tls, listens=False) as web:
        outcome = await check(web.port, host="localhost", uses_tls=True)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "grpc_no_http2")


async def test_private_address_is_refused_without_the_right() -> None:
    with grpc_server() as server:
        outcomes = [
            await ask("grpc", host=host, port=server.port, uses_tls=False, allow_private=False)
            for host in ("127.0.0.1", "localhost", "0x7f.1", "[::ffff:127.0.0.1]", "2130706433")
        ]

    assert {outcome.error_code for outcome in outcomes} == {"address_forbidden"}
    assert server.calls == []


async def test_nobody_there() -> None:
    outcome = await check(free_port())

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "connect_refused")


async def test_silent_server_runs_into_the_timeout() -> None:
    with serving(lambda _connection, _request: web.stopped.wait(60) and None, listens=False) as web:
        outcome = await ask("grpc", host="127.0.0.1", port=web.port, uses_tls=False, timeout=2)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "timeout")


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(*pairs: tuple[str, str], ends: bool = False) -> bytes:
    return frame(1, 5 if ends else 4, 1, hpack.Encoder().encode(list(pairs), huffman=False))


SETTINGS = frame(4, 0, 0, b"")
OK = headers((":status", "200"), ("content-type", "application/grpc"))
DONE = headers(("grpc-status", "0"), ends=True)


def data(body: bytes) -> bytes:
    return frame(0, 0, 1, body)


@pytest.mark.parametrize(
    ("said", "code", "values"),
    [
        (answer(), "wrong_protocol", {"answer": "HTTP/1.1"}),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "wrong_protocol", {"answer": "SSH-2.0-O"}),
        (b"", "empty_response", {}),
        (SETTINGS, "connection_lost", {}),
        (SETTINGS + OK + data(framed(b"\x08\x01"))[:12], "connection_lost", {}),
        (
            SETTINGS + headers((":status", "503"), ("content-type", "text/html"), ends=True),
            "status_mismatch",
            {"status": "503", "expected": "200"},
        ),
        (
            SETTINGS + headers((":status", "200"), ("content-type", "text/html"), ends=True),
            "grpc_broken",
            {"detail": "text/html"},
        ),
        (
            SETTINGS + OK + data(framed(b"\x08\x01")) + frame(0, 1, 1, b""),
            "grpc_broken",
            {"detail": "grpc-status"},
        ),
        (SETTINGS + OK + DONE, "grpc_broken", {"detail": "message frame"}),
        (SETTINGS + OK + data(b"\x01\x00\x00\x00\x02\x08\x01") + DONE, "grpc_broken", {"detail": "message frame"}),
        (SETTINGS + OK + data(b"\x00\xff\xff\xff\xff\x08\x01") + DONE, "grpc_broken", {"detail": "message frame"}),
        (SETTINGS + OK + data(framed(b"\xff" * 20)) + DONE, "grpc_broken", {"detail": "number"}),
        (SETTINGS + OK + data(framed(b"\x0f\x01")) + DONE, "grpc_broken", {"detail": "wire type"}),
        (SETTINGS + OK + data(framed(b"\x12\x09a")) + DONE, "grpc_broken", {"detail": "message cut short"}),
        (SETTINGS + OK + data(framed(b"\x08\x63")) + DONE, "grpc_not_serving", {"status": "99"}),
        (SETTINGS + OK + data(b"x" * 16_000) + data(b"x" * 16_000) + DONE, "answer_too_large", {"limit": 16_384}),
        (SETTINGS + frame(3, 0, 1, struct.pack(">I", 7)), "grpc_ended", {"detail": "REFUSED_STREAM"}),
        (SETTINGS + frame(7, 0, 0, struct.pack(">II", 0, 11)), "grpc_ended", {"detail": "ENHANCE_YOUR_CALM"}),
        # it leaves without our call, or at once, or says so and does not keep to it
        (SETTINGS + frame(7, 0, 0, struct.pack(">II", 0, 0)), "grpc_ended", {"detail": "NO_ERROR"}),
        (SETTINGS + frame(7, 0, 0, struct.pack(">II", 1, 2)), "grpc_ended", {"detail": "INTERNAL_ERROR"}),
        (SETTINGS + frame(7, 0, 0, struct.pack(">II", 1, 0)), "connection_lost", {}),
        (
            SETTINGS
            + headers((":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "99"), ends=True),
            "grpc_status",
            {"status": "99", "message": "–"},
        ),
    ],
)
async def test_wrong_answers_are_named(said: bytes, code: str, values: dict[str, Any]) -> None:
    with serving(saying(said)) as web:
        outcome = await check(web.port)

    assert (outcome.verdict, outcome.error_code, dict(outcome.error_values)) == (Verdict.FAILURE, code, values)


async def test_end_of_the_connection_right_after_the_answer_is_no_fault() -> None:
    whole = SETTINGS + OK + data(framed(b"\x08\x01")) + DONE + frame(7, 0, 0, struct.pack(">II", 1, 0))
    with serving(saying(whole)) as web:
        outcome = await check(web.port)

    assert outcome.verdict == Verdict.SUCCESS


def goodbye(last: int, code: int = 0, words: bytes = b"") -> bytes:
    return frame(7, 0, 0, struct.pack(">II", last, code) + words)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(SETTINGS + goodbye(1) + OK + data(framed(b"\x08\x01")) + DONE, id="before the answer"),
        pytest.param(SETTINGS + OK + goodbye(1) + data(framed(b"\x08\x01")) + DONE, id="within"),
        pytest.param(
            SETTINGS + goodbye(2**31 - 1, words=b"max_age") + OK + goodbye(1) + data(framed(b"\x08\x01")) + DONE,
            id="told twice",
        ),
    ],
)
async def test_server_that_leaves_after_our_call_is_heard_to_the_end(said: bytes) -> None:
    with serving(saying(said)) as web:
        outcome = await check(web.port)

    assert (outcome.verdict, outcome.error_code, outcome.details["status"]) == (Verdict.SUCCESS, "", "SERVING")


def _flood(part: bytes, stopped: threading.Event, first: bytes = b"") -> Callable[[socket.socket, bytes], None]:
    def flood(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(SETTINGS + first)
        while not stopped.is_set():
            connection.sendall(part)

    return flood


BOMB = b"\x40\x01a\x7f\x80\x1f" + b"b" * 4_095  # a long header, kept in the table
HUGE = frame(1, 0, 1, BOMB) + frame(9, 0, 1, b"\xbe" * 16_000)  # then told again sixteen thousand times


@pytest.mark.parametrize(
    ("first", "part"),
    [
        (b"", frame(6, 0, 0, b"8 bytes.")),
        (b"", goodbye(1)),
        (b"", SETTINGS),
        (b"", frame(8, 0, 0, struct.pack(">I", 1))),
        (OK, data(b"")),
        (b"", HUGE),
        (frame(1, 0, 1, b"\x88"), frame(9, 0, 1, b"")),
        (b"", frame(200, 0, 0, b"unknown")),
        (b"", b"\xff" * 65_536),
    ],
    ids=["pings", "goodbyes", "settings", "windows", "empty data", "header bomb", "continuations", "unknown", "bytes"],
)
async def test_floods_end_soon(first: bytes, part: bytes) -> None:
    stopped = threading.Event()
    try:
        with serving(_flood(part, stopped, first)) as web:
            began = time.process_time()
            outcome = await check(web.port)
            spent = time.process_time() - began
            stopped.set()
    finally:
        stopped.set()

    assert outcome.verdict == Verdict.FAILURE
    assert outcome.error_code in {"grpc_broken", "grpc_ended", "wrong_protocol", "answer_too_large"}
    assert spent < 2


@given(st.text())
def test_request_is_what_protocol_buffers_write(service: str) -> None:
    assert health_request(service) == HealthCheckRequest(service=service).SerializeToString()


@given(st.integers(0, 3), st.binary(max_size=40))
def test_answer_is_read_as_protocol_buffers_do(status: int, more: bytes) -> None:
    known = HealthCheckResponse(status=status).SerializeToString()  # type: ignore[arg-type]
    unknown_field = b"\x12" + bytes([len(more)]) + more

    assert health_status(known) == status
    assert health_status(unknown_field + known) == status


@given(st.binary(max_size=64))
def test_any_bytes_are_a_number_or_malformed(message: bytes) -> None:
    with suppress(Malformed):
        assert health_status(message) >= 0


@pytest.mark.parametrize(
    ("given_config", "field"),
    [
        ({"host": "https://x.example"}, "host"),
        ({"port": 0}, "port"),
        ({"metadata": {"grpc-timeout": "1S"}}, "metadata"),
        ({"metadata": {"content-type": "x"}}, "metadata"),
        ({"metadata": {"te": "x"}}, "metadata"),
        ({"metadata": {"a:b": "x"}}, "metadata"),
        ({"metadata": {"a": "ü"}}, "metadata"),
        ({"authority": "a/b"}, "authority"),
        ({"client_certificate": "x"}, "client_key"),
        ({"client_certificate": "x", "client_key": "y", "uses_tls": False}, "client_certificate"),
    ],
)
def test_wrong_setting_is_named(given_config: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(GrpcConfig, {"host": "grpc.example.com", **given_config})

    assert list(caught.value.errors) == [field]


def test_target_names_the_service() -> None:
    assert GrpcCheck().target(GrpcConfig(host="::1", port=50_051, service="a.B")) == "[::1]:50051/a.B"
