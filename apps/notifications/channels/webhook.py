"""Any program that speaks HTTP, by Standard Webhooks 1.0 (https://www.standardwebhooks.com)."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core import clock
from apps.core.http.headers import BadHeader, header_lines
from apps.core.kinds import Config, Widget, setting
from apps.notifications.channels.base import ChannelType, Message, Policy, Receipt
from apps.notifications.channels.posting import busy_or_broken, check_address, post

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix that marks a secret
OWN_HEADERS = frozenset({"host", "content-type", "idempotency-key", "user-agent"})


def new_secret() -> str:
    """Return a fresh signing secret: 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def secret_bytes(secret: str) -> bytes:
    """Return the key behind a ``whsec_…`` text; raise ValueError for anything else."""
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError("no whsec_ prefix")
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)


def check_secret(value: str) -> None:
    """Refuse a signing secret that receivers' libraries would not take (Standard Webhooks: 24 to 64 bytes)."""
    try:
        length = len(secret_bytes(value))
    except ValueError:
        length = 0
    if not 24 <= length <= 64:
        raise ValidationError(gettext_lazy("Write whsec_ followed by 24 to 64 bytes in base64."), code="secret")


def check_headers(value: dict[str, str]) -> None:
    """Refuse what is no HTTP header, and those that Obsera sets itself."""
    for name in value:
        if name.lower() in OWN_HEADERS or name.lower().startswith("webhook-"):
            raise ValidationError(gettext_lazy("The header “%(name)s” is set by Obsera."), params={"name": name[:60]})
    try:
        header_lines(value)
    except BadHeader as error:
        raise ValidationError(str(error), code="header") from error


@dataclass(frozen=True, kw_only=True)
class WebhookConfig(Config):
    """Where to post, and how the receiver knows that it was us."""

    url: str = setting(
        label=gettext_lazy("Address"),
        help=gettext_lazy(
            "Obsera posts JSON to it and expects a 2xx answer within 10 seconds. Redirects are not followed."
        ),
        widget=Widget.URL,
        check=check_address,
        placeholder="https://hooks.example.com/obsera",
    )
    secret: str = setting(
        new_secret,
        label=gettext_lazy("Signing secret"),
        help=gettext_lazy(
            "Copy it now into the receiver, which verifies each request with it (Standard Webhooks). It is not shown again."
        ),
        is_secret=True,
        widget=Widget.SECRET,
        check=check_secret,
    )
    headers: dict[str, str] = setting(  # noqa: RUF009 - makes a dataclass field
        dict,
        label=gettext_lazy("Extra headers"),
        help=gettext_lazy("One “Name: value” a line, such as an Authorization header. Kept sealed."),
        is_secret=True,
        check=check_headers,
    )


class WebhookChannel(ChannelType[WebhookConfig]):
    """Posts signed JSON; status 410 switches the channel off."""

    kind = "webhook"
    label = gettext_lazy("Webhook")
    icon = "webhook"
    help = gettext_lazy("Posts signed JSON to an address of yours (Standard Webhooks).")
    Config = WebhookConfig

    def sample(self) -> WebhookConfig:
        return WebhookConfig(
            url="https://hooks.example.com/obsera", secret=SECRET_PREFIX + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        )

    def address(self, config: WebhookConfig) -> str:
        return config.url

    def deliver(self, config: WebhookConfig, message: Message, *, key: str, policy: Policy) -> Receipt:
        body = json.dumps(payload(message), ensure_ascii=False, separators=(",", ":")).encode()
        headers = {**config.headers, **signed_headers(config.secret, key, int(clock.now().timestamp()), body)}
        answer = post(config.url, body, headers=headers, key=key, policy=policy)
        if answer.is_ok:
            return answer.receipt()
        if answer.status == 410:
            raise answer.error(_("The receiver wants no more messages (status 410)."), code="gone", is_gone=True)
        raise busy_or_broken(answer, _("The receiver"))


def signed_headers(secret: str, key: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of Standard Webhooks; the signature covers ``id.timestamp.body``."""
    signed = b".".join((key.encode(), str(timestamp).encode(), body))
    digest = hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()
    return {
        "webhook-id": key,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def payload(message: Message) -> dict[str, Any]:
    """Return the body, the same on every try."""
    stored = message.to_json()
    return {
        "type": f"notification.{message.state.value}",
        "timestamp": stored["written_at"],
        "data": {
            "title": message.title,
            "text": message.text,
            "severity": message.severity.value,
            "state": message.state.value,
            "facts": [{"label": fact.label, "value": fact.value} for fact in message.facts],
            "url": message.url,
            "started_at": stored["started_at"],
            "ended_at": stored["ended_at"],
            "thread": message.thread,
        },
    }
