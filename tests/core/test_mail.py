"""Letters: what the server says decides whether another try can help."""

import smtplib
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives

from apps.core.mail import MailError, send_mail


def send() -> None:
    send_mail(subject="Two\nlines", text="text", html="<p>html</p>", to="a@b.example")


def test_letter_has_one_line_of_subject_and_both_bodies() -> None:
    send()

    (letter,) = mail.outbox
    assert (letter.subject, letter.body, letter.to) == ("Two lines", "text", ["a@b.example"])
    assert [tuple(part) for part in letter.alternatives] == [("<p>html</p>", "text/html")]


@pytest.mark.parametrize(
    ("error", "message", "is_permanent"),
    [
        (smtplib.SMTPRecipientsRefused({"a@b.example": (550, b"no such user")}), "550 no such user", True),
        (smtplib.SMTPRecipientsRefused({"a@b.example": (451, b"later")}), "451 later", False),
        (smtplib.SMTPDataError(552, b"too big"), "552 too big", True),
        (smtplib.SMTPAuthenticationError(535, b"who?"), "535 who?", False),
        (smtplib.SMTPServerDisconnected("gone"), "gone", False),
        (ConnectionRefusedError("refused"), "the mail server does not answer: refused", False),
        (TimeoutError("slow"), "the mail server does not answer: slow", False),
    ],
)
def test_refusal_says_whether_another_try_can_help(
    error: Exception, message: str, is_permanent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> int:
        raise error

    monkeypatch.setattr(EmailMultiAlternatives, "send", refuse)

    with pytest.raises(MailError) as caught:
        send()

    assert (str(caught.value), caught.value.permanent) == (message, is_permanent)
