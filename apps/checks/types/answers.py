"""An HTTP answer as assertions look at it: decoded and parsed once, when the first of them asks."""

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from apps.checks.types.base import ProbeFailure
from apps.checks.types.charsets import decode
from apps.checks.types.conditions import Seen
from apps.checks.types.json_queries import BadJson, read_json
from apps.core import clock
from apps.core.http.codings import UnreadableCoding
from apps.core.http.curl import Reply

CONDITION_PLACEHOLDERS = frozenset(
    {"STATUS", "RESPONSE_TIME", "IP", "BODY", "HEADER", "CONNECTED", "CERTIFICATE_EXPIRATION"}
)


class Answer:
    """A reply that came, how long it took with all that led to it, and when its domain ends (where that was asked)."""

    def __init__(self, reply: Reply, elapsed_ms: float, domain_ends_at: datetime | None = None) -> None:
        self.reply = reply
        self.elapsed_ms = elapsed_ms
        self.domain_ends_at = domain_ends_at

    @cached_property
    def text(self) -> str:
        """The body in the encoding that the server names, or UTF-8; what cannot be decoded is replaced.

        Raises `ProbeFailure`, as `document` does, where it is packed in a way that cannot be undone.
        """
        return decoded(self.reply)

    @cached_property
    def headers(self) -> Mapping[str, str]:
        """The headers of the last response block, names in lower case; repeated ones are joined by commas."""
        return {name: ", ".join(values) for name, values in self._header_values.items()}

    @cached_property
    def _header_values(self) -> Mapping[str, list[str]]:
        headers: dict[str, list[str]] = {}
        for line in self.reply.header_lines:
            if line.startswith(b"HTTP/"):  # an interim answer, or a proxy's, has a block of its own
                headers = {}
                continue
            name, colon, value = line.decode("utf-8", "replace").strip().partition(":")
            if colon:
                headers.setdefault(name.strip().lower(), []).append(value.strip())
        return headers

    @cached_property
    def _parsed(self) -> tuple[Any, BadJson | None]:
        try:
            return read_json(content_of(self.reply)), None
        except BadJson as error:
            return None, error

    @property
    def document(self) -> Any:
        """The body as JSON; raises `BadJson`."""
        value, error = self._parsed
        if error is not None:
            raise error
        return value

    @property
    def certificate_ms(self) -> int | None:
        """How long the first certificate of the chain has left; None where there is none."""
        return _ms_until(self.reply.cert_expires_at)

    @cached_property
    def seen(self) -> Seen:
        """The answer as conditions ask for it."""
        values = {
            "STATUS": str(self.reply.status),
            "RESPONSE_TIME": str(int(self.elapsed_ms)),
            "IP": self.reply.remote_ip,
            "CONNECTED": "true",
            "CERTIFICATE_EXPIRATION": str(self.certificate_ms or 0),
            "DOMAIN_EXPIRATION": str(_ms_until(self.domain_ends_at) or 0),
        }
        first = {name: found[0] for name, found in self._header_values.items()}
        return Seen(values=values, body=self._text_or_none, document=self._document_for_conditions, headers=first)

    @property
    def _text_or_none(self) -> str:
        """The text, for conditions that may ask for something else."""
        try:
            return self.text
        except ProbeFailure:
            return ""

    def _document_for_conditions(self) -> Any:
        try:
            return self.document
        except BadJson as error:
            raise LookupError(str(error)) from error


def _ms_until(instant: datetime | None) -> int | None:
    return int((instant - clock.now()).total_seconds() * 1_000) if instant is not None else None


def content_of(reply: Reply) -> bytes:
    """Return the body, unpacked; raise `ProbeFailure` where that cannot be done."""
    try:
        return reply.content
    except UnreadableCoding as error:
        code = "coding_broken" if error.is_known else "coding_unknown"
        raise ProbeFailure(code, {"coding": error.coding[:80]}) from error


def decoded(reply: Reply) -> str:
    """Return the body as text; what cannot be decoded is replaced. Raises `ProbeFailure` as `content_of` does."""
    return decode(content_of(reply), charset_of(reply))


def charset_of(reply: Reply) -> str:
    """Return the encoding that the server names, or nothing."""
    return reply.content_type.lower().partition("charset=")[2].partition(";")[0].strip(" \"'")
