"""POP3 against a real Dovecot, and against servers that misbehave."""

import pytest

from apps.checks.enums import Verdict
from tests.checks.types.asking import ask, flooding, reciting
from tests.peers.dovecot import PASSWORD, USER, Dovecot
from tests.peers.web import serving

pytestmark = pytest.mark.xdist_group("dovecot")  # one server is enough


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_login_counts_letters_over_both_kinds_of_tls(mailboxes: Dovecot, security: str) -> None:
    port = mailboxes.pop3s if security == "tls" else mailboxes.pop3

    outcome = await ask("pop3", host="localhost", port=port, security=security, username=USER, password=PASSWORD)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details == {
        "banner": "Dovecot (Debian) ready.",
        "capabilities": [
            "AUTH-RESP-CODE",
            "CAPA",
            "PIPELINING",
            "RESP-CODES",
            "SASL PLAIN LOGIN",
            "TOP",
            "UIDL",
            "USER",
        ],
        "letters": 2,
    }
    assert outcome.cert_expires_at is not None


@pytest.mark.usefixtures("trusted")
async def test_wrong_password_is_named(mailboxes: Dovecot) -> None:
    outcome = await ask("pop3", host="localhost", port=mailboxes.pop3s, username=USER, password="wrong")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "login_refused")
    assert outcome.error_values == {"answer": "[AUTH] Authentication failed."}


async def test_unknown_authority_and_private_address_are_refused(mailboxes: Dovecot) -> None:
    unknown = await ask("pop3", host="localhost", port=mailboxes.pop3, security="starttls")
    private = await ask("pop3", host="localhost", port=mailboxes.pop3s, allow_private=False)

    assert (unknown.error_code, private.error_code) == ("tls_unknown_issuer", "address_forbidden")


@pytest.mark.parametrize(
    ("said", "security", "code"),
    [
        (b"-ERR no\r\n", "none", "service_error"),
        (b"+OK hello\r\n-ERR CAPA?\r\n-ERR STLS?\r\n", "starttls", "encryption_missing"),
        (b"+OK hello\r\n-ERR CAPA?\r\n", "none", ""),
        (b"220 smtp.example.com\r\n", "none", "wrong_protocol"),
        (b"+OK hello\r\n+OK\r\n" + b"X\r\n" * 201, "none", "wrong_protocol"),
    ],
)
async def test_what_servers_may_say(said: bytes, security: str, code: str) -> None:
    with serving(reciting(said), listens=False) as web:
        outcome = await ask("pop3", host="127.0.0.1", port=web.port, security=security)

    assert outcome.error_code == code


async def test_endless_line_ends_at_its_limit() -> None:
    with serving(lambda c, r: flooding(b"+" * 4_096, web.stopped)(c, r), listens=False) as web:
        outcome = await ask("pop3", host="127.0.0.1", port=web.port, security="none")

    assert (outcome.error_code, outcome.error_values) == ("answer_too_large", {"limit": 4_096})


async def test_mailbox_in_use_is_no_refused_login() -> None:
    said = b"+OK hi\r\n-ERR\r\n+OK\r\n-ERR [IN-USE] somebody reads\r\n"
    with serving(reciting(said), listens=False) as web:
        outcome = await ask("pop3", host="127.0.0.1", port=web.port, security="none", username="a", password="b")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details == {"banner": "hi", "capabilities": []}
