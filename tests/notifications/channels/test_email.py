"""E-mail through a real mail server, refusals included."""

from dataclasses import replace

import pytest

from apps.notifications.channels.base import DeliveryError, Message, Policy, Receipt
from apps.notifications.channels.email import EmailChannel, EmailConfig, letter_id, subject
from apps.notifications.enums import MessageState
from tests.peers.smtp import Mailbox


def deliver(message: Message, *, key: str = "alert:1:firing", address: str = "ops@acme.example") -> Receipt:
    return EmailChannel().deliver(EmailConfig(address=address), message, key=key, policy=Policy())


def test_letter_by_the_letter(mailbox: Mailbox, message: Message) -> None:
    receipt = deliver(message)

    assert receipt == Receipt(None, "The mail server took the letter.")
    assert mailbox.recipients == [["ops@acme.example"]]
    (letter,) = mailbox.letters
    assert letter["Subject"] == "api <prod> & friends is down"
    assert letter["From"] == "Obsera <noreply@obsera.example>"
    assert letter["To"] == "ops@acme.example"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert letter["Idempotency-Key"] == "alert:1:firing"
    text = letter.get_body(("plain",)).get_content()
    assert text.splitlines() == [
        "api <prod> & friends is down",
        "",
        "Expected status 200,",
        "got 503 & <html>",
        "",
        "Check: api",
        "URL: https://api.example/?a=1&b=2",
        "Started: 2026-11-21 03:00:00 UTC",
        "",
        "Open in Obsera: https://obsera.example/t/acme/alerts/1/",
        "",
        "-- ",
        "Acme · Sent by Obsera: http://localhost:8000",
    ]


def test_html_half_escapes_and_links(mailbox: Mailbox, message: Message) -> None:
    deliver(message)

    html = mailbox.letters[0].get_body(("html",)).get_content()
    assert "api &lt;prod&gt; &amp; friends is down</h1>" in html
    assert "Expected status 200,<br>got 503 &amp; &lt;html&gt;" in html
    assert 'href="https://obsera.example/t/acme/alerts/1/"' in html
    assert "#db2d3b" in html
    assert "<prod>" not in html


def test_repeat_carries_the_same_message_id_and_a_story_one_reference(mailbox: Mailbox, message: Message) -> None:
    resolved = replace(message, state=MessageState.RESOLVED, title="api is up")

    deliver(message)
    deliver(message)
    deliver(resolved, key="alert:1:resolved")

    first, repeat, end = mailbox.letters
    assert first["Message-ID"] == repeat["Message-ID"] == letter_id("alert:1:firing")
    assert end["Message-ID"] == letter_id("alert:1:resolved")
    assert first["References"] == end["References"] == letter_id("alert:1")
    assert first["Message-ID"].endswith("@obsera.example>")


@pytest.mark.parametrize(
    ("recipient_answer", "data_answer", "permanent"),
    [
        ("550 no such user", "", True),
        ("450 greylisted, come back", "", False),
        ("", "554 looks like spam", True),
        ("", "451 disk full", False),
    ],
)
def test_refusals_of_the_mail_server(
    mailbox: Mailbox, message: Message, recipient_answer: str, data_answer: str, permanent: bool
) -> None:
    mailbox.recipient_answer, mailbox.data_answer = recipient_answer, data_answer

    with pytest.raises(DeliveryError) as caught:
        deliver(message)

    assert (caught.value.permanent, caught.value.code, caught.value.is_gone) == (permanent, "smtp", False)
    assert caught.value.detail == (recipient_answer or data_answer)
    assert mailbox.letters == []


def test_mail_server_that_is_away_is_worth_another_try(mailbox: Mailbox, message: Message, settings: object) -> None:
    settings.EMAIL_PORT = 1  # type: ignore[attr-defined]

    with pytest.raises(DeliveryError) as caught:
        deliver(message)

    assert (caught.value.permanent, caught.value.code) == (False, "smtp")


def test_wrong_password_of_the_operator_may_wait_for_the_mend(
    mailbox: Mailbox, message: Message, settings: object
) -> None:
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "obsera", "wrong"  # type: ignore[attr-defined]

    with pytest.raises(DeliveryError) as caught:
        deliver(message)

    assert caught.value.permanent is False
    assert caught.value.detail.startswith("535 ")


def test_line_breaks_in_a_title_make_no_headers(mailbox: Mailbox, message: Message) -> None:
    deliver(replace(message, title="down\r\nBcc: everyone@acme.example"))

    assert mailbox.recipients == [["ops@acme.example"]]
    assert mailbox.letters[0]["Subject"] == "down Bcc: everyone@acme.example"
    assert mailbox.letters[0]["Bcc"] is None


def test_subject_stays_readable() -> None:
    assert subject(Message(title="x" * 300)) == "x" * 199 + "…"
    assert subject(Message(title="x" * 200)) == "x" * 200
