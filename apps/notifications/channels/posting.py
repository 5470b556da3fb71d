"""One try over HTTP: what an answer means, for every kind that posts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from apps.core import clock
from apps.core.http import client
from apps.core.http.failures import OutboundError
from apps.core.http.urls import BadUrl, check_url
from apps.notifications.channels.base import DETAIL_LENGTH, SEND_TIMEOUT, DeliveryError, Policy, Receipt
from apps.notifications.channels.reasons import reason

LONGEST_PATIENCE = timedelta(hours=1)
MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said."""

    status: int
    text: str
    retry_after: timedelta | None

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    def receipt(self) -> Receipt:
        return Receipt(self.status, self.text)

    def error(self, message: str, *, code: str = "", permanent: bool = False, is_gone: bool = False) -> DeliveryError:
        """Return the refusal that this answer is."""
        return DeliveryError(
            message,
            code=code or f"http-{self.status}",
            permanent=permanent,
            is_gone=is_gone,
            retry_after=self.retry_after,
            status_code=self.status,
            detail=self.text,
        )


def check_address(value: str) -> None:
    """Refuse what is no http(s) address. Whether it may be reached is decided when it is."""
    try:
        check_url(value)
    except BadUrl as error:
        raise ValidationError(str(error), code=error.code) from error


def post(url: str, body: bytes, *, headers: Mapping[str, str], key: str, policy: Policy) -> Answer:
    """Send the body once, without following redirects; raise `DeliveryError` where no answer came."""
    try:
        response = client.request(
            "POST",
            url,
            headers={"User-Agent": "Obsera/1", "Content-Type": "application/json", **headers, "Idempotency-Key": key},
            body=body,
            timeout=SEND_TIMEOUT.total_seconds(),
            allow_private=policy.allow_private,
            max_bytes=MAX_ANSWER_BYTES,
        )
    except OutboundError as error:
        text = reason(error.code, str(error))
        raise DeliveryError(text, code=error.code, permanent=error.permanent, detail=str(error)) from error
    return Answer(response.status, snippet(response.body), patience(response.headers.get("retry-after", "")))


def snippet(body: bytes) -> str:
    """Return the beginning of an answer as one storable line."""
    text = body[: 4 * DETAIL_LENGTH].decode("utf-8", "replace").replace("\x00", "")
    return " ".join(text.split())[:DETAIL_LENGTH]


def patience(header: str) -> timedelta | None:
    """Return what ``Retry-After`` asks for (seconds or a date), an hour at most; None for anything else."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return min(timedelta(seconds=int(header[:9])), LONGEST_PATIENCE)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at - clock.now(), timedelta(0)), LONGEST_PATIENCE)


def busy_or_broken(answer: Answer, who: str) -> DeliveryError:
    """Return the error for an answer that another try may mend."""
    if answer.status == 429:
        text = _("%(who)s asks for fewer messages (status 429). Obsera tries again after the pause it asked for.")
    elif 300 <= answer.status < 400:
        text = _("%(who)s sent a redirect (status %(status)s), which is never followed. Enter the address it leads to.")
    else:
        text = _("%(who)s answered with status %(status)s.")
    return answer.error(text % {"who": who, "status": answer.status})
