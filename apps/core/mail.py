"""The one door for letters."""

import logging
from smtplib import SMTPException
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

logger = logging.getLogger(__name__)


class MailError(RuntimeError):
    """The letter was not taken. ``permanent`` says whether another try can help."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


def send_mail(*, subject: str, text: str, html: str, to: str, headers: dict[str, str] | None = None) -> None:
    """Hand a letter to the mail server; raise `MailError` where it refuses."""
    letter = EmailMultiAlternatives(subject=" ".join(subject.split()), body=text, to=[to], headers=headers or {})
    letter.attach_alternative(html, "text/html")
    try:
        letter.send()
    except SMTPException as error:
        code = getattr(error, "smtp_code", 0)
        recipients = getattr(error, "recipients", {})
        codes = [code, *(refusal[0] for refusal in recipients.values())] if isinstance(recipients, dict) else [code]
        raise MailError(str(error), permanent=max(codes) >= 500) from error
    except OSError as error:
        raise MailError(f"the mail server does not answer: {error}", permanent=False) from error


def send_template(name: str, *, to: str, context: dict[str, Any]) -> None:
    """Send ``templates/emails/<name>.{subject.txt,txt,html}``."""
    send_mail(
        subject=render_to_string(f"emails/{name}.subject.txt", context),
        text=render_to_string(f"emails/{name}.txt", context),
        html=render_to_string(f"emails/{name}.html", context),
        to=to,
    )
