"""E-mail, through the operator's mail server."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parseaddr

from django.conf import settings
from django.core.validators import EmailValidator
from django.template.loader import render_to_string
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.kinds import Config, Widget, setting
from apps.core.mail import MailError, send_mail
from apps.notifications.channels.base import ChannelType, DeliveryError, Fact, Message, Policy, Receipt
from apps.notifications.channels.posting import snippet


@dataclass(frozen=True, kw_only=True)
class EmailConfig(Config):
    """Who gets the letters. One address, so that a refusal by one never repeats the letter to another."""

    address: str = setting(
        label=gettext_lazy("E-mail address"),
        help=gettext_lazy("One address; a mailing list works too."),
        widget=Widget.EMAIL,
        check=EmailValidator(),
        max_length=254,
        placeholder="ops@example.com",
    )


class EmailChannel(ChannelType[EmailConfig]):
    """Sends a letter in text and HTML."""

    kind = "email"
    label = gettext_lazy("E-mail")
    icon = "mail"
    help = gettext_lazy("Sends a letter to one address.")
    Config = EmailConfig
    # A mail server may take its time at each of some ten steps (greeting, greylisting, scanning).
    lease = timedelta(minutes=2)

    def sample(self) -> EmailConfig:
        return EmailConfig(address="ops@example.com")

    def address(self, config: EmailConfig) -> str:
        return config.address

    def deliver(self, config: EmailConfig, message: Message, *, key: str, policy: Policy) -> Receipt:
        context = {"message": message, "facts": [*message.facts, *_times(message)], "public_url": settings.PUBLIC_URL}
        try:
            send_mail(
                subject=subject(message),
                text=render_to_string("emails/notification.txt", context),
                html=render_to_string("emails/notification.html", context),
                to=config.address,
                headers=headers(message, key),
            )
        except MailError as error:
            raise _refusal(error) from error
        return Receipt(None, _("The mail server took the letter."))


def _refusal(error: MailError) -> DeliveryError:
    said = snippet(str(error).encode("utf-8", "replace"))
    if error.permanent:
        text = _("The mail server refuses the letter for good: %(said)s. Check the address.")
    else:
        text = _("The mail server did not take the letter: %(said)s")
    return DeliveryError(text % {"said": said}, code="smtp", permanent=error.permanent, detail=said)


def subject(message: Message) -> str:
    """Return the subject: what happened, in one line of bearable length."""
    words = " ".join(message.title.split())
    return words if len(words) <= 200 else words[:199] + "…"


def letter_id(text: str) -> str:
    """Return a message id made of a stable text, in the sender's domain."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{hashlib.sha256(text.encode()).hexdigest()[:40]}@{domain}>"


def headers(message: Message, key: str) -> dict[str, str]:
    """Return headers that let mail programs drop a repeat, keep a story together, and not answer."""
    given = {
        "Message-ID": letter_id(key),
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "Idempotency-Key": key,
    }
    return {**given, "References": letter_id(message.thread)} if message.thread else given


def _times(message: Message) -> Iterator[Fact]:
    for label, at in ((_("Started"), message.started_at), (_("Ended"), message.ended_at)):
        if at:
            yield Fact(label, localtime(at).strftime("%Y-%m-%d %H:%M:%S %Z"))
