"""WebSocket checks against a real server, and against one that breaks the rules."""

import asyncio
import socket
import ssl
import threading
import time
from typing import Any

import pytest
import trustme
from websockets.asyncio.server import ServerConnection

from apps.checks.enums import Verdict
from apps.checks.types.websocket import WebsocketCheck, WebsocketConfig
from apps.core.kinds import ConfigErrors, parse_config, public_config
from tests.checks.types.asking import ask
from tests.peers.web import answer, saying, serving
from tests.peers.websocket import Socket, shaken, websocket_server


def ws(http_url: str) -> str:
    return http_url.replace("http", "ws", 1)


async def test_connection_alone_is_enough() -> None:
    async with websocket_server() as peer:
        outcome = await ask("websocket", url=f"{peer.url}/live?room=1")
        async with asyncio.timeout(60):
            while not peer.ended:
                await asyncio.sleep(0.01)

    assert (outcome.verdict, outcome.error_code, outcome.status_code) == (Verdict.SUCCESS, "", 101)
    assert (outcome.tls_ms, outcome.remote_ip, outcome.details) == (None, "127.0.0.1", {})
    assert outcome.first_byte_ms is not None
    assert peer.requests[0].path == "/live?room=1"
    assert peer.ended == [1000]  # closed with the proper handshake


async def test_message_and_its_answer() -> None:
    async with websocket_server() as peer:
        outcome = await ask("websocket", url=peer.url, send="grüße, you", expect="grüße")

    assert outcome.verdict == Verdict.SUCCESS
    assert peer.received == ["grüße, you"]
    assert outcome.details == {"messages": 1, "answer": "••••"}  # what is sent is a secret, whoever repeats it
    assert set(outcome.details) <= set(WebsocketCheck.facts)


async def test_own_headers_and_subprotocols_are_sent() -> None:
    async with websocket_server(subprotocols=("chat-v2",)) as peer:
        outcome = await ask(
            "websocket",
            url=peer.url,
            headers={"Authorization": "Bearer abc", "Origin": "https://x.example", "Host": "inner.example"},
            subprotocols="chat-v1, chat-v2",
        )

    headers = peer.requests[0].headers
    assert outcome.details == {"subprotocol": "chat-v2"}
    assert (headers["Authorization"], headers["Origin"], headers["User-Agent"]) == (
        "Bearer abc",
        "https://x.example",
        "Obsera/0.1",
    )
    assert headers.get_all("Host") == ["inner.example"]
    assert headers["Sec-WebSocket-Protocol"] == "chat-v1, chat-v2"
    assert "Sec-WebSocket-Extensions" not in headers


async def test_subprotocol_that_the_server_lacks() -> None:
    async with websocket_server(talk=_say("hello")) as peer:
        outcome = await ask("websocket", url=peer.url, subprotocols="mqtt")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "websocket_subprotocol")
    assert outcome.error_values == {"offered": "mqtt"}


def _say(*messages: str | bytes, then_waits: bool = True) -> Any:
    async def talk(connection: ServerConnection, _seen: Socket) -> None:
        for message in messages:
            await connection.send(message)
        if not then_waits:
            await connection.close(1008, "not you")

    return talk


async def test_message_among_others_is_found() -> None:
    async with websocket_server(_say("welcome", b"\xff\x00binary", "tick 42")) as peer:
        plain = await ask("websocket", url=peer.url, expect="tick")
        pattern = await ask("websocket", url=peer.url, expect=r"^tick \d+$", expect_is_pattern=True)

    assert (plain.verdict, plain.details) == (Verdict.SUCCESS, {"messages": 3, "answer": "tick 42"})
    assert pattern.verdict == Verdict.SUCCESS


async def test_message_in_fragments_is_put_together() -> None:
    async def talk(connection: ServerConnection, _seen: Socket) -> None:
        await connection.send(iter(["al", "l is", " well"]))

    async with websocket_server(talk) as peer:
        outcome = await ask("websocket", url=peer.url, expect="all is well")

    assert (outcome.verdict, outcome.details["messages"]) == (Verdict.SUCCESS, 1)


async def test_wrong_answer_is_shown() -> None:
    async with websocket_server() as peer:
        outcome = await ask("websocket", url=peer.url, send="?", expect="pong", timeout=3)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "websocket_unexpected")
    assert outcome.error_values == {"expected": "pong", "answer": "?"}
    assert outcome.total_ms is not None
    assert outcome.total_ms > 2_500


async def test_silence_is_a_failure() -> None:
    async with websocket_server() as peer:
        outcome = await ask("websocket", url=peer.url, expect="pong", timeout=2)

    assert (outcome.error_code, outcome.error_values) == ("websocket_silent", {"expected": "pong"})


async def test_server_that_closes_says_why() -> None:
    async with websocket_server(_say("hello", then_waits=False)) as peer:
        outcome = await ask("websocket", url=peer.url, expect="pong")

    assert (outcome.error_code, outcome.error_values) == ("websocket_closed", {"number": 1008, "reason": "not you"})


async def test_tls(server_tls: ssl.SSLContext, trusted: None) -> None:
    async with websocket_server(tls=server_tls) as peer:
        outcome = await ask("websocket", url=peer.url, send="a", expect="a")

    assert outcome.verdict == Verdict.SUCCESS
    assert outcome.tls_ms is not None
    assert outcome.cert_expires_at is not None


async def test_certificate_of_nobody(server_tls: ssl.SSLContext) -> None:
    async with websocket_server(tls=server_tls) as peer:
        outcome = await ask("websocket", url=peer.url)
        unverified = await ask("websocket", url=peer.url, verify_tls=False)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "tls_unknown_issuer")
    assert unverified.verdict == Verdict.SUCCESS


async def test_certificate_of_another_name(authority: trustme.CA, trusted: None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example").configure_cert(context)
    async with websocket_server(tls=context) as peer:
        outcome = await ask("websocket", url=peer.url)

    assert outcome.error_code == "tls_name_mismatch"


async def test_private_address_is_refused_without_the_right() -> None:
    async with websocket_server() as peer:
        outcomes = [
            await ask("websocket", url=url, allow_private=False)
            for url in (peer.url, peer.url.replace("127.0.0.1", "localhost"), peer.url.replace("127.0.0.1", "0x7f.1"))
        ]

    assert {outcome.error_code for outcome in outcomes} == {"address_forbidden"}
    assert peer.requests == []


async def test_nobody_there() -> None:
    with serving(saying(b"")) as web:
        url = ws(web.url())
    outcome = await ask("websocket", url=url)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "connect_refused")


@pytest.mark.parametrize(
    ("said", "code", "values"),
    [
        (answer(200), "status_mismatch", {"status": 200, "expected": "101"}),
        (answer(403), "status_mismatch", {"status": 403, "expected": "101"}),
        (
            answer(302, b"", Location="http://169.254.169.254/"),
            "status_mismatch",
            {"status": 302, "expected": "101"},
        ),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "wrong_protocol", {"answer": "SSH-2.0-OpenSSH_9.9"}),
        (b"HTTP/1.1 fine\r\n\r\n", "wrong_protocol", {"answer": "HTTP/1.1 fine"}),
        (b"HTTP/1.1 101 Yes\r\n\r\n", "websocket_refused", {"detail": "missing Connection header"}),
        (
            b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm8=\r\n\r\n",
            "websocket_refused",
            {"detail": "invalid Sec-WebSocket-Accept header: bm8="},
        ),
        (b"", "empty_response", {}),
        (b"x" * 1_000_000, "answer_too_large", {"limit": 4_096}),
        (b"HTTP/1.1 101 Yes\r\n" + b"X-A: b\r\n" * 100_000, "answer_too_large", {"limit": 65_536}),
        (
            b"HTTP/1.1 101 Yes\r\n" + b"X-A: b\r\n" * 500 + b"\r\n",
            "websocket_refused",
            {"detail": "expected no more than 128 headers"},
        ),
    ],
)
async def test_handshake_that_fails_is_named(said: bytes, code: str, values: dict[str, Any]) -> None:
    with serving(saying(said)) as web:
        outcome = await ask("websocket", url=ws(web.url()))

    assert (outcome.verdict, outcome.error_code, dict(outcome.error_values)) == (Verdict.FAILURE, code, values)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"\xf1\x00", "websocket_broken"),  # reserved bits
        (b"\x83\x00", "websocket_broken"),  # an unknown opcode
        (b"\x81\x81\x00\x00\x00\x00a", "websocket_broken"),  # masked by the server
        (b"\x81\x7f" + (1 << 40).to_bytes(8, "big"), "websocket_broken"),  # a tebibyte announced
        (b"\x80\x01a", "websocket_broken"),  # a continuation of nothing
        (b"\x88\x01\x03", "websocket_broken"),  # half a close code
        (b"\x88\x00", "websocket_closed"),
        (b"\x81\x05hel", "connection_lost"),
        (b"", "connection_lost"),
    ],
)
async def test_broken_frames_are_named(frames: bytes, code: str) -> None:
    with serving(shaken(frames)) as web:
        outcome = await ask("websocket", url=ws(web.url()), expect="never")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x89\x00", "websocket_flood"),
        (b"\x81\x01a", "websocket_flood"),
        (b"\x00\x00", "websocket_flood"),
        (b"\x82\x7e\xff\xff" + b"\x00" * 65_535, "answer_too_large"),
    ],
    ids=["pings", "messages", "fragments", "bytes"],
)
async def test_floods_end_soon(frame: bytes, code: str) -> None:
    stopped = threading.Event()

    def flood(connection: socket.socket) -> None:
        while not stopped.is_set():
            connection.sendall(frame)

    try:
        first = b"\x01\x00" if frame == b"\x00\x00" else b""  # what the fragments continue
        with serving(shaken(first, goes_on=flood)) as web:
            began = time.process_time()
            outcome = await ask("websocket", url=ws(web.url()), expect="never")
            spent = time.process_time() - began
            stopped.set()
    finally:
        stopped.set()

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)
    assert spent < 2


async def test_catastrophic_pattern_is_stopped() -> None:
    async with websocket_server(_say("a" * 40_000 + "!")) as peer:
        began = time.process_time()
        outcome = await ask("websocket", url=peer.url, expect=r"^(a+)+$", expect_is_pattern=True)

    assert (outcome.error_code, time.process_time() - began < 2) == ("websocket_pattern_slow", True)


async def test_rude_end_after_the_right_answer_is_forgiven() -> None:
    with serving(shaken(b"\x81\x02ok")) as web:
        outcome = await ask("websocket", url=ws(web.url()), expect="ok")

    assert outcome.verdict == Verdict.SUCCESS


async def test_server_that_never_closes_does_not_hold_the_probe() -> None:
    with serving(shaken(b"\x81\x02ok", goes_on=lambda _connection: web.stopped.wait(60) and None)) as web:
        outcome = await ask("websocket", url=ws(web.url()), expect="ok", timeout=50)

    assert outcome.verdict == Verdict.SUCCESS
    assert outcome.total_ms is not None
    assert outcome.total_ms < 30_000


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"url": "https://example.com"}, "url"),
        ({"url": "ws://user:pw@example.com"}, "url"),
        ({"url": "ws:/example.com"}, "url"),
        ({"headers": {"Upgrade": "h2c"}}, "headers"),
        ({"headers": {"Sec-WebSocket-Key": "x"}}, "headers"),
        ({"headers": {"X-A": "b\r\nX-C: d"}}, "headers"),
        ({"subprotocols": "good, not/good"}, "subprotocols"),
        ({"expect_is_pattern": True}, "expect"),
        ({"expect": "(", "expect_is_pattern": True}, "expect"),
    ],
)
def test_wrong_setting_is_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(WebsocketConfig, {"url": "wss://example.com", **given})

    assert list(caught.value.errors) == [field]


def test_what_is_sent_is_secret() -> None:
    config = WebsocketConfig(url="wss://example.com/?token=a", send='{"token": "abcdefghijkl"}')

    assert public_config(config)["send"] == '••••kl"}'
    assert WebsocketCheck().target(config) == "wss://example.com/"
