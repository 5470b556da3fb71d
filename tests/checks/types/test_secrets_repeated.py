"""Servers repeat what they were told; a result, which more people see than the settings, does not."""

from base64 import b64encode
from typing import Any

import pytest

from tests.checks.types.asking import ask, reciting
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
