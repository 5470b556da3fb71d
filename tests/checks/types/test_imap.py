"""IMAP against a real Dovecot, and against servers that misbehave."""

import socket

import pytest

from apps.checks.enums import Verdict
from apps.checks.types.imap import ImapConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask, flooding
from tests.peers.dovecot import PASSWORD, USER, Dovecot
from tests.peers.web import Handler, saying, serving

pytestmark = pytest.mark.xdist_group("dovecot")  # one server is enough

LOGIN = {"username": USER, "password": PASSWORD}


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_login_and_folder_over_both_kinds_of_tls(mailboxes: Dovecot, security: str) -> None:
    port = mailboxes.imaps if security == "tls" else mailboxes.imap

    outcome = await ask("imap", host="localhost", port=port, security=security, folder="INBOX", **LOGIN)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details["letters"] == 2
    assert outcome.details["banner"].endswith("Dovecot (Debian) ready.")
    assert "AUTH=PLAIN" in outcome.details["capabilities"]
    assert outcome.cert_expires_at is not None


@pytest.mark.usefixtures("trusted")
async def test_looking_leaves_new_letters_new(mailboxes: Dovecot) -> None:
    place = {"host": "localhost", "port": mailboxes.imaps, "folder": "INBOX", **LOGIN}

    counts = [(await ask("imap", **place)).details["letters"] for _time in range(2)]

    assert counts == [2, 2]
    assert [path.name for path in (mailboxes.folder / "mail").glob("*/*:2,*S*")] == []


@pytest.mark.usefixtures("trusted")
async def test_folder_with_a_name_beyond_ascii_opens(mailboxes: Dovecot) -> None:
    outcome = await ask("imap", host="localhost", port=mailboxes.imaps, folder="Entwürfe & mehr", **LOGIN)

    assert (outcome.error_code, outcome.details["letters"]) == ("", 0)


@pytest.mark.usefixtures("trusted")
async def test_wrong_password_and_missing_folder_are_told_apart(mailboxes: Dovecot) -> None:
    place = {"host": "localhost", "port": mailboxes.imaps, "username": USER}
    refused = await ask("imap", password="wrong", **place)
    missing = await ask("imap", password=PASSWORD, folder="Nowhere", **place)

    assert (refused.verdict, refused.error_code) == (Verdict.FAILURE, "login_refused")
    assert refused.error_values == {"answer": "[AUTHENTICATIONFAILED] Authentication failed."}
    assert (missing.verdict, missing.error_code) == (Verdict.FAILURE, "imap_folder_refused")
    assert missing.error_values["folder"] == "Nowhere"


async def test_unknown_authority_fails(mailboxes: Dovecot) -> None:
    outcome = await ask("imap", host="localhost", port=mailboxes.imaps)
    unverified = await ask("imap", host="localhost", port=mailboxes.imaps, verify_tls=False)

    assert (outcome.error_code, unverified.error_code) == ("tls_unknown_issuer", "")


async def test_private_address_is_refused(mailboxes: Dovecot) -> None:
    outcome = await ask("imap", host="localhost", port=mailboxes.imaps, allow_private=False)

    assert outcome.error_code == "address_forbidden"


def answering(*answers: bytes) -> Handler:
    """Return a handler that greets, then gives one answer to each command; ``%t`` becomes the command's tag."""

    def talk(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"* OK hello\r\n")
        for answer in answers:
            tag = connection.recv(10_000).partition(b" ")[0]
            connection.sendall(answer.replace(b"%t", tag))

    return talk


@pytest.mark.parametrize(
    ("capabilities", "code", "values"),
    [
        (b"IMAP4rev1 LOGINDISABLED STARTTLS", "login_unsupported", {"offered": "LOGINDISABLED"}),
        (b"IMAP4rev1 AUTH=CRAM-MD5", "login_unsupported", {"offered": "AUTH=CRAM-MD5"}),
    ],
)
async def test_server_without_a_usable_login_is_named(capabilities: bytes, code: str, values: dict[str, str]) -> None:
    with serving(answering(b"* CAPABILITY " + capabilities + b"\r\n%t OK\r\n"), listens=False) as web:
        outcome = await ask("imap", host="127.0.0.1", port=web.port, security="none", **LOGIN)

    assert (outcome.verdict, outcome.error_code, outcome.error_values) == (Verdict.FAILURE, code, values)


async def test_server_without_plain_gets_a_quoted_login() -> None:
    seen: list[bytes] = []

    def talk(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"* OK hello\r\n")
        connection.recv(10_000)
        connection.sendall(b"* CAPABILITY IMAP4rev1\r\na1 OK done\r\n")
        seen.append(connection.recv(10_000))
        connection.sendall(b"* 7 EXISTS\r\na2 OK in\r\n")

    with serving(talk, listens=False) as web:
        outcome = await ask(
            "imap", host="127.0.0.1", port=web.port, security="none", username="me", password='a "b\\ c'
        )

    assert (outcome.error_code, seen) == ("", [b'a2 LOGIN "me" "a \\"b\\\\ c"\r\n'])


async def test_server_without_starttls_is_named() -> None:
    with serving(answering(b"* CAPABILITY IMAP4rev1\r\n%t OK\r\n"), listens=False) as web:
        outcome = await ask("imap", host="127.0.0.1", port=web.port, security="starttls")

    assert outcome.error_code == "encryption_missing"


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        (b"* BYE too busy\r\n", "service_error"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "wrong_protocol"),
        (b"", "empty_response"),
        (b"* OK {9999999}\r\n", "wrong_protocol"),
        (b"* OK " + b"{1}\r\nx" * 10_000, "wrong_protocol"),
        (b"* OK " + b"{{0}\r\n" * 10_000, "wrong_protocol"),
        (b"* OK " + b"{1}\r\nx" * 99 + b"\r\n", "connection_lost"),
    ],
)
async def test_greetings_that_are_none(greeting: bytes, code: str) -> None:
    with serving(saying(greeting), listens=False) as web:
        outcome = await ask("imap", host="127.0.0.1", port=web.port, security="none")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)


async def test_endless_answers_end_at_their_limit() -> None:
    with serving(
        lambda c, r: flooding(b"* OK still here\r\n", web.stopped, first=b"* OK\r\n")(c, r), listens=False
    ) as web:
        outcome = await ask("imap", host="127.0.0.1", port=web.port, security="none")

    assert (outcome.error_code, outcome.error_values) == ("wrong_protocol", {"answer": "OK still here"})


def test_folder_without_a_login_is_refused() -> None:
    with pytest.raises(ConfigErrors) as refused:
        parse_config(ImapConfig, {"host": "mail.example.com", "folder": "INBOX"})

    assert set(refused.value.errors) == {"username"}
