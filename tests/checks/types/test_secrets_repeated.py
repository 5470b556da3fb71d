"""Servers repeat what they were told; a result, which more people see than the settings, does not."""

import json
from base64 import b64encode
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.checks.types.asking import ask, reciting
from tests.peers.talker import answering
from tests.peers.web import serving

SECRET = "hunter2-and-more"
PLAIN = b64encode(f"\0user\0{SECRET}".encode())


@pytest.mark.parametrize(
    ("kind", "said", "code"),
    [
        ("redis", b"-ERR unknown command 'AUTH', with args beginning with: 'user' '%s'\r\n", "service_error"),
        ("pop3", b"+OK hi\r\n-ERR\r\n-ERR no such command: PASS %s\r\n", "login_refused"),
        ("imap", b"* OK hi\r\n* CAPABILITY X\r\na1 OK\r\na2 BAD LOGIN user %s\r\n", "login_refused"),
        ("smtp", b"220 hi\r\n250-x\r\n250 AUTH PLAIN\r\n501 what is AUTH PLAIN " + PLAIN + b"\r\n", "smtp_refused"),
        ("nats", b"INFO {}\r\n-ERR 'Parser Error: CONNECT pass=%s'\r\n", "service_error"),
    ],
)
async def test_secret_is_hidden_in_what_a_server_repeats(kind: str, said: bytes, code: str) -> None:
    settings: dict[str, Any] = {"security": "none", "username": "user", "password": SECRET}
    with serving(reciting(said.replace(b"%s", SECRET.encode())), listens=False) as web:
        outcome = await ask(kind, host="127.0.0.1", port=web.port, **settings)

    assert outcome.error_code == code
    shown = f"{outcome.error_values} {outcome.details}"
    assert "••••" in shown
    assert SECRET not in shown
    assert PLAIN.decode() not in shown


async def test_token_is_hidden_too_and_the_beginning_of_one_that_was_cut_off() -> None:
    said = b"INFO {}\r\n-ERR '" + b"x" * 190 + SECRET.encode() + b"'\r\n"
    with serving(reciting(said), listens=False) as web:
        outcome = await ask("nats", host="127.0.0.1", port=web.port, token=SECRET)

    assert outcome.error_values == {"answer": "x" * 190 + "••••"}


TALK = f'send "AUTH probe {SECRET}\\r\\n"\nexpect "+OK"'


@pytest.mark.parametrize(
    ("script", "said", "heard"),
    [
        # As Redis repeats it; the first word is taken for the beginning of the whole, cut off.
        (
            TALK,
            f"-ERR unknown command 'AUTH', with args beginning with: 'probe' '{SECRET}' \r\n",
            "-ERR unknown command '••••', with args beginning with: '••••' '••••'",
        ),
        (f'send "login\\tkey={SECRET};x\\n"\nexpect "+OK"', f"no {SECRET}", "no ••••"),
        (f'send "EHLO 127.0.0.1 {SECRET}\\r\\n"\nexpect "+OK"', f"hello 127.0.0.1 {SECRET}", "hello 127.0.0.1 ••••"),
        (f'send "{SECRET}\\r\\n"\nexpect "+OK"', f"what is {SECRET}?", "what is ••••?"),
        (
            f'send "GET / HTTP/1.1\\r\\nX-Key: {SECRET}\\r\\n\\r\\n"\nexpect "+OK"',
            f"HTTP/1.1 400 X-Key: {SECRET}",
            "HTTP/1.1 400 X-Key: ••••",
        ),
    ],
)
async def test_what_a_conversation_says_is_hidden_in_parts_too(script: str, said: str, heard: str) -> None:
    with serving(reciting(said.encode()), listens=False) as web:
        outcome = await ask("tcp", host="127.0.0.1", port=web.port, script=script, timeout=3)

    assert (outcome.error_code, outcome.error_values["heard"]) == ("script_unmet", heard)
    assert outcome.details == {"heard": heard}


async def test_payload_is_hidden_as_the_server_hears_it() -> None:
    def repeat(request: bytes) -> list[bytes]:
        return [b"bad: " + request]

    async with answering(repeat) as port:
        outcome = await ask("udp", host="127.0.0.1", port=port, payload=f"\\xff\\x00login {SECRET}\\n")
        parts = await ask("udp", host="127.0.0.1", port=port, payload=f"k={SECRET}\\x00k=other-{SECRET}")

    assert SECRET not in str(outcome.details) + str(parts.details)
    assert outcome.details["heard"].startswith("bad: ")


@pytest.mark.parametrize(
    "send",
    [
        json.dumps({"type": "subscribe", "auth": [{"token": SECRET}]}),
        json.dumps({"auth": f"Bearer {SECRET}"}),
        f"AUTH {SECRET}",
    ],
)
async def test_token_in_a_message_is_hidden(send: str) -> None:
    async def repeat(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(f"no such token: {SECRET}")
        await connection.wait_closed()

    async with serve(repeat, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        outcome = await ask("websocket", url=f"ws://127.0.0.1:{port}/", send=send, expect="welcome", timeout=3)

    assert (outcome.error_code, outcome.error_values["answer"]) == ("websocket_unexpected", "no such token: ••••")
    assert outcome.details["answer"] == "no such token: ••••"
