"""SMTP against a real mail server, and against servers that misbehave."""

import socket
import ssl

import pytest

from apps.checks.enums import Verdict
from apps.checks.types.smtp import SmtpConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask, flooding
from tests.peers.submission import MAILBOX, PASSWORD, USER, submission_server
from tests.peers.web import saying, serving


async def test_greeting_and_recipient_are_judged_and_no_letter_is_sent() -> None:
    with submission_server() as desk:
        outcome = await ask(
            "smtp", host="127.0.0.1", port=desk.port, security="none", sender="a@example.org", recipient=MAILBOX
        )

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details == {
        "banner": "220 mail.test a test's server",
        "extensions": ["8BITMIME", "AUTH", "HELP", "SIZE"],
        "logins": ["LOGIN", "PLAIN"],
        "recipient_answer": "250 2.1.5 welcome",
    }
    assert (desk.senders, desk.letters) == (["a@example.org"], [])
    assert outcome.remote_ip == "127.0.0.1"
    assert None not in (outcome.connect_ms, outcome.first_byte_ms, outcome.transfer_ms, outcome.total_ms)
    assert outcome.tls_ms is None


@pytest.mark.usefixtures("trusted")
async def test_starttls_secures_the_login_and_shows_the_certificate(server_tls: ssl.SSLContext) -> None:
    with submission_server(starttls=server_tls) as desk:
        outcome = await ask("smtp", host="localhost", port=desk.port, username=USER, password=PASSWORD)
        unencrypted = await ask(
            "smtp", host="localhost", port=desk.port, security="none", username=USER, password=PASSWORD
        )

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.tls_ms is not None
    assert outcome.cert_expires_at is not None
    assert outcome.details["logins"] == ["LOGIN", "PLAIN"]
    assert (unencrypted.error_code, unencrypted.error_values) == ("login_unsupported", {"offered": "–"})


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("without", [(), ("PLAIN",)])
async def test_both_login_methods_work_over_implicit_tls(server_tls: ssl.SSLContext, without: tuple[str, ...]) -> None:
    with submission_server(implicit=server_tls, without=without) as desk:
        place = {"host": "localhost", "port": desk.port, "security": "tls", "username": USER}
        good = await ask("smtp", password=PASSWORD, **place)
        bad = await ask("smtp", password="wrong", **place)

    assert (good.verdict, good.error_code) == (Verdict.SUCCESS, "")
    assert (bad.verdict, bad.error_code) == (Verdict.FAILURE, "login_refused")
    assert bad.error_values == {"answer": "535 5.7.8 Authentication credentials invalid"}


async def test_certificate_of_an_unknown_authority_fails_unless_unverified(server_tls: ssl.SSLContext) -> None:
    with submission_server(starttls=server_tls) as desk:
        outcome = await ask("smtp", host="localhost", port=desk.port)
        unverified = await ask("smtp", host="localhost", port=desk.port, verify_tls=False)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "tls_unknown_issuer")
    assert (unverified.verdict, unverified.error_code) == (Verdict.SUCCESS, "")


async def test_server_without_starttls_is_named() -> None:
    with submission_server() as desk:
        outcome = await ask("smtp", host="127.0.0.1", port=desk.port)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "encryption_missing")


async def test_unknown_recipient_is_named_with_the_servers_words() -> None:
    with submission_server() as desk:
        outcome = await ask("smtp", host="127.0.0.1", port=desk.port, security="none", recipient="nobody@example.com")

    assert outcome.error_code == "smtp_recipient_refused"
    assert outcome.error_values == {"recipient": "nobody@example.com", "answer": "550 5.1.1 nobody of that name here"}


async def test_text_sent_before_encryption_is_never_taken_as_protected(server_tls: ssl.SSLContext) -> None:
    """An attacker in between could otherwise put words into the encrypted talk."""

    def inject(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"220 hello\r\n")
        connection.recv(1_000)
        connection.sendall(b"250-hello\r\n250 STARTTLS\r\n")
        connection.recv(1_000)
        connection.sendall(b"220 go on\r\n250 AUTH PLAIN\r\n")
        connection.recv(1_000)

    with serving(inject, listens=False) as web:
        outcome = await ask("smtp", host="localhost", port=web.port)

    assert (outcome.error_code, outcome.error_values) == ("tls_failed", {"detail": "data before the handshake"})


@pytest.mark.parametrize(
    ("greeting", "code", "values"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "wrong_protocol", {"answer": "SSH-2.0-OpenSSH_9.2"}),
        (b"554 no mail\x07here\r\n", "smtp_refused", {"command": "CONNECT", "answer": "554 no mail here"}),
        (b"", "empty_response", {}),
        (b"220 hel", "connection_lost", {}),
        (b"220-x\r\n" * 101, "wrong_protocol", {"answer": "x"}),
        (b"\xff\xfe\x00\r\n", "wrong_protocol", {"answer": "\ufffd\ufffd"}),
    ],
)
async def test_answers_that_are_no_greeting(greeting: bytes, code: str, values: dict[str, str]) -> None:
    with serving(saying(greeting), listens=False) as web:
        outcome = await ask("smtp", host="127.0.0.1", port=web.port)

    assert (outcome.verdict, outcome.error_code, outcome.error_values) == (Verdict.FAILURE, code, values)


async def test_endless_line_ends_at_its_limit() -> None:
    with serving(lambda c, r: flooding(b"x" * 4_096, web.stopped)(c, r), listens=False) as web:
        outcome = await ask("smtp", host="127.0.0.1", port=web.port)

    assert (outcome.error_code, outcome.error_values) == ("answer_too_large", {"limit": 4_096})
    assert outcome.body_bytes is not None
    assert outcome.body_bytes < 200_000


async def test_silent_server_times_out() -> None:
    with serving(lambda _c, _r: web.stopped.wait(60) and None, listens=False) as web:
        outcome = await ask("smtp", host="127.0.0.1", port=web.port, timeout=2)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "timeout")


async def test_closed_port_and_private_address_are_named() -> None:
    with submission_server() as desk:
        private = await ask("smtp", host="127.0.0.1", port=desk.port, allow_private=False)
    closed = await ask("smtp", host="127.0.0.1", port=desk.port)

    assert (private.error_code, private.error_values) == (
        "address_forbidden",
        {"address": "127.0.0.1", "reason": "loopback"},
    )
    assert closed.error_code == "connect_refused"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"recipient": "a@example.com\r\nDATA"}, "recipient"),
        ({"recipient": "a@example.com> <b@example.com"}, "recipient"),
        ({"sender": "a@example.com"}, "recipient"),
        ({"hello_name": "two words"}, "hello_name"),
        ({"username": "a\r\nQUIT", "password": "b"}, "username"),
        ({"password": "b"}, "username"),
        ({"port": None}, "port"),
        ({"port": 65_536}, "port"),
        ({"host": "https://mail.example.com"}, "host"),
        ({"security": "maybe"}, "security"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, object], wrong: str) -> None:
    with pytest.raises(ConfigErrors) as refused:
        parse_config(SmtpConfig, {"host": "mail.example.com", **given})

    assert set(refused.value.errors) == {wrong}
