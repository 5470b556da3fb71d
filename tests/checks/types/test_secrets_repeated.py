"""Servers repeat what they were told; a result, which more people see than the settings, does not."""

import json
from base64 import b64encode
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from apps.checks.enums import Verdict
from apps.checks.types import hiding
from apps.checks.types.base import Outcome
from apps.checks.types.hiding import make_presentable, without_secrets
from apps.checks.types.registry import CHECK_TYPES
from apps.checks.types.said import MOST_PARTS, secrets_said
from apps.checks.types.websocket import WebsocketConfig
from tests.checks.types.asking import ask, reciting
from tests.peers.talker import answering
from tests.peers.web import answer, serving

SECRET = "hunter2-and-more"
PLAIN = b64encode(f"\0user\0{SECRET}".encode())
PAIR = b64encode(f"user:{SECRET}".encode()).decode()


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


@pytest.mark.parametrize("in_body", [False, True])
@pytest.mark.parametrize("secret", [SECRET, "hunter2 & more/ä"])
async def test_client_secret_is_hidden_as_a_token_server_is_told_it(secret: str, in_body: bool) -> None:
    def repeat(connection: Any, request: bytes) -> None:
        head, _blank, body = request.decode().partition("\r\n\r\n")
        told = body.rpartition("client_secret=")[2] if in_body else head.rpartition("Basic ")[2].partition("\r")[0]
        connection.sendall(answer(400, json.dumps({"error": f"no {told}"}).encode()))

    with serving(repeat) as web:
        outcome = await ask(
            "http",
            url=web.url(),
            auth="oauth2",
            oauth_token_url=web.url("/token"),
            oauth_client_id="probe",
            oauth_client_secret=secret,
            oauth_in_body=in_body,
        )

    assert (outcome.error_code, outcome.error_values["detail"]) == ("oauth_refused", "no ••••")


STEPS = [{"url": "http://x.example/"}]
PROXY = {"proxy": "http://proxy.example:3128", "proxy_username": "user", "proxy_password": SECRET}


@pytest.mark.parametrize(
    ("kind", "settings", "told"),
    [
        ("grpc", {"host": "x.example", "metadata": {"authorization": f"Bearer {SECRET}"}}, SECRET),
        ("multistep", {"steps": STEPS, "secrets": {"host": f"Bearer {SECRET}"}}, SECRET),
        ("multistep", {"steps": STEPS, **PROXY}, PAIR),
        ("http", {"url": "http://x.example/", **PROXY}, PAIR),
        ("http", {"url": "http://x.example/", "cookies": {"from": f"Bearer {SECRET}"}}, SECRET),
    ],
)
def test_part_of_a_setting_is_hidden_whatever_the_setting_is_called(
    kind: str, settings: dict[str, Any], told: str
) -> None:
    outcome = Outcome(Verdict.FAILURE, "x", {"answer": f"no {told}"})

    make_presentable(outcome, CHECK_TYPES.get(kind).Config(**settings))

    assert outcome.error_values == {"answer": "no ••••"}


@pytest.mark.parametrize("secret", ["Bearer abcdefg", "bearer  abcdefg", "TOKEN abcdefg", "GenieKey abcdefg-0123456"])
def test_token_is_hidden_without_the_scheme_before_it(secret: str) -> None:
    outcome = Outcome(Verdict.FAILURE, "x", {"answer": f"no {secret.split()[1]}"})

    make_presentable(outcome, CHECK_TYPES.get("multistep").Config(steps=STEPS, secrets={"phrase": secret}))

    assert outcome.error_values == {"answer": "no ••••"}


@pytest.mark.parametrize(
    ("kind", "settings", "word"),
    [
        ("multistep", {"steps": STEPS, "secrets": {"phrase": "once upon a time"}}, "time"),
        ("multistep", {"steps": STEPS, "secrets": {"q": "order status"}}, "status"),
        ("multistep", {"steps": STEPS, "secrets": {"q": "released in 2026"}}, "2026"),
        ("grpc", {"host": "x.example", "metadata": {"user-agent": "my probe"}}, "probe"),
        ("http", {"url": "http://x.example/", "headers": {"X-Note": "order status"}}, "status"),
    ],
)
def test_last_word_of_a_setting_is_shown(kind: str, settings: dict[str, Any], word: str) -> None:
    shown = {word: f"{word} {word}out"}
    outcome = Outcome(Verdict.FAILURE, "x", dict(shown), details=dict(shown))

    make_presentable(outcome, CHECK_TYPES.get(kind).Config(**settings))

    assert (outcome.error_values, outcome.details) == (shown, shown)


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


def test_what_may_be_a_word_is_hidden_where_it_stands_alone() -> None:
    request = "GET /health HTTP/1.1\r\nHost: x.example\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    secrets = list(secrets_said([request, "AUTH probe hunter\n", "INFO\r\n", b"QUIT"], host="x.example"))

    for shown in ('{"status":"unhealthy"}', "Connection: close", "text/html", "INFO", "QUIT now", "a probed hunters"):
        assert without_secrets(shown, secrets) == shown
    hidden = (
        "no hunter",
        "probe:hunter@x",
        "[hunter2]",
        r"AUTH\nhunter\n",
        r"a\x1fhunter",
        r"a\u001bhunter",
        "a%2Fhunter",
    )
    for said in hidden:
        assert "hunter" not in without_secrets(said, secrets)
    assert without_secrets("no hunte…", secrets) == "no ••••…"


def test_password_alone_on_a_line_is_no_command() -> None:
    secrets = list(secrets_said(["probe\r\n", "hunter\r\n"], host="x.example"))

    assert without_secrets("login probe:hunter failed", secrets) == "login ••••:•••• failed"


@pytest.mark.parametrize(
    ("said", "repeated"),
    [
        ("CONNECT {pass:hunter,x", "no hunter"),
        ('CONNECT user="hunter"', "no hunter"),
        (f"AUTH {SECRET}", f"x{SECRET}x"),
        ("AUTH correcthorsebattery", "xcorrecthorsebatteryx"),
        ("AUTH pa$$word", "xpa$$wordx"),
        ("login(abcdef1)", "no abcdef1"),
        ('{"key": "hunter"}', "no hunter"),
    ],
)
def test_secret_stays_hidden_however_plain(said: str, repeated: str) -> None:
    shown = without_secrets(repeated, secrets_said([said], host="x.example"))

    assert shown == repeated.replace(repeated.removeprefix("no ").strip("x"), "••••")


def test_of_very_many_words_those_are_hidden_that_look_like_secrets() -> None:
    words = [f"{first}{second}{third}word" for first in "abcdefgh" for second in "abcdefgh" for third in "abcdefgh"]
    secrets = list(secrets_said([json.dumps([*words, *words, SECRET])], host="x.example"))

    assert len(secrets) == len(set(secrets)) == MOST_PARTS + 1
    assert without_secrets(f"no {SECRET}", secrets) == "no ••••"


def test_forms_are_made_once_for_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    config = WebsocketConfig(url="wss://x.example/", send=json.dumps({"token": SECRET}))
    made: list[Any] = []
    real = hiding.secrets_of
    monkeypatch.setattr(hiding, "secrets_of", lambda config: made.append(config) or real(config))

    for _probe in range(3):
        outcome = Outcome(Verdict.FAILURE, "websocket_unexpected", {"answer": f"no {SECRET}"})
        make_presentable(outcome, config)
        assert outcome.error_values == {"answer": "no ••••"}

    assert made == [config]
