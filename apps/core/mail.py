"""The one door for letters."""

import logging
from contextlib import suppress
from smtplib import SMTPAuthenticationError, SMTPException, SMTPRecipientsRefused, SMTPResponseException
from typing import Any

from django.core.mail import EmailMultiAlternatives, get_connection
from django.template.loader import render_to_string

logger = logging.getLogger(__name__)


class MailError(RuntimeError):
    """The letter was not taken. ``permanent`` says whether another try can help."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


def send_mail(*, subject: str, text: str, html: str, to: str, headers: dict[str, str] | None = None) -> None:
    """Hand a letter to the mail server; raise `MailError` where it refuses."""
    connection = get_connection()
    letter = EmailMultiAlternatives(
        subject=" ".join(subject.split()), body=text, to=[to], headers=headers or {}, connection=connection
    )
    letter.attach_alternative(html, "text/html")
    try:
        letter.send()
    except SMTPException as error:
        raise _refusal(error) from error
    except OSError as error:
        raise MailError(f"the mail server does not answer: {error}", permanent=False) from error
    finally:
        with suppress(OSError):  # Django leaves the line open after a refused sign-in
            connection.close()


def _refusal(error: SMTPException) -> MailError:
    """Return our error for the server's. A sign-in that fails is the operator's to mend, so the letter may wait for it."""
    replies: list[tuple[int, bytes | str]] = []
    if isinstance(error, SMTPRecipientsRefused):
        replies = list(error.recipients.values())
    elif isinstance(error, SMTPResponseException):
        replies = [(error.smtp_code, error.smtp_error)]
    if not replies:
        return MailError(str(error), permanent=False)
    code, words = replies[0]
    said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return MailError(f"{code} {said}", permanent=code >= 500 and not isinstance(error, SMTPAuthenticationError))


def send_template(name: str, *, to: str, context: dict[str, Any]) -> None:
    """Send ``templates/emails/<name>.{subject.txt,txt,html}``."""
    send_mail(
        subject=render_to_string(f"emails/{name}.subject.txt", context),
        text=render_to_string(f"emails/{name}.txt", context),
        html=render_to_string(f"emails/{name}.html", context),
        to=to,
    )
