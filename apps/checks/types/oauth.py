"""Access tokens by OAuth 2 client credentials (RFC 6749, 4.4): asked for, kept until they end, asked for anew."""

from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.utils.translation import gettext_lazy as _

from apps.checks.types.answers import content_of
from apps.checks.types.base import ProbeContext, ProbeFailure
from apps.checks.types.http_fields import basic_authorization, basic_pair
from apps.checks.types.json_queries import BadJson, read_json
from apps.checks.types.messages import Message
from apps.core.http.curl import Extras, OutboundRequest
from apps.core.http.headers import UNPRINTABLE
from apps.core.http.urls import check_url

MAX_BYTES = 65_536
MAX_TOKEN = 16_000
USUAL_SECONDS = 300  # where the server does not say how long its token lasts
SPARE_RATIO = 0.9  # a token is asked for anew before it ends on somebody's clock
LONGEST_SECONDS = 86_400

OAUTH_MESSAGES: dict[str, Message] = {
    "oauth_unreachable": (
        _("The token server %(host)s could not be asked (%(problem)s)."),
        _("Check the token URL and that server; the check's own target was not asked."),
    ),
    "oauth_refused": (
        _("The token server %(host)s refused (status %(status)s, %(detail)s)."),
        _("Check client ID, client secret and scope."),
    ),
    "oauth_unreadable": (
        _("The token server %(host)s sent no usable token."),
        _("Check that the token URL is the one for client credentials."),
    ),
}


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """How a token is asked for."""

    token_url: str
    client_id: str
    client_secret: str
    scope: str = ""
    in_body: bool = False
    verify_tls: bool = True
    extras: Extras | None = None  # a proxy


def made_secrets(client_id: str, client_secret: str) -> tuple[str, str]:
    """Return what a token server is told instead of the secret itself, in a header or in a form."""
    written = _written(client_id, client_secret)
    return basic_pair(*written), written[1]


def _written(*words: str) -> list[str]:
    """Return a client's ID or secret as both have them (RFC 6749, 2.3.1 and appendix B)."""
    return [quote_plus(word) for word in words]


class TokenKeeper:
    """Keeps one token of one configuration until it ends."""

    def __init__(self, credentials: ClientCredentials) -> None:
        self._credentials = credentials
        self._address = check_url(credentials.token_url)
        self._token = ""
        self._ends_at = 0.0

    @property
    def has_token(self) -> bool:
        """Tell whether the next token is one that was given before."""
        return bool(self._token) and monotonic() < self._ends_at

    def forget(self) -> None:
        """Ask anew the next time: the target did not take the token."""
        self._token = ""

    async def token(self, context: ProbeContext, deadline: float) -> str:
        """Return a token, or raise `ProbeFailure` with a code of `OAUTH_MESSAGES`."""
        if self.has_token:
            return self._token
        seconds = max(0.001, deadline - monotonic())
        step = await context.http.exchange(self._request(), self._address, context=context, timeout_seconds=seconds)
        reply, host = step.reply, self._address.host
        if reply.failure is not None:
            problem = reply.failure.code.replace("_", " ")
            raise ProbeFailure("oauth_unreachable", {"host": host, "problem": problem}, is_ours=reply.failure.is_ours)
        try:
            given = read_json(content_of(reply))
        except (BadJson, ProbeFailure):  # no JSON, or packed so that nobody can tell
            given = None
        given = given if isinstance(given, dict) else {}
        if reply.status != 200:
            detail = str(given.get("error", "–"))[:80]
            raise ProbeFailure("oauth_refused", {"host": host, "status": reply.status, "detail": detail})
        return self._keep(given, host)

    def _keep(self, given: dict[str, Any], host: str) -> str:
        token, seconds = given.get("access_token"), given.get("expires_in", USUAL_SECONDS)
        if (
            not isinstance(token, str)
            or not token.isascii()
            or UNPRINTABLE.search(token)
            or not 0 < len(token) <= MAX_TOKEN
        ):
            raise ProbeFailure("oauth_unreadable", {"host": host})
        if isinstance(seconds, str) and seconds.isdecimal() and len(seconds) < 12:
            seconds = int(seconds)
        if not isinstance(seconds, int | float) or not seconds > 0:
            seconds = USUAL_SECONDS
        self._token = token
        self._ends_at = monotonic() + min(seconds, LONGEST_SECONDS) * SPARE_RATIO
        return token

    def _request(self) -> OutboundRequest:
        asked = self._credentials
        form = {"grant_type": "client_credentials"}
        if asked.scope:
            form["scope"] = asked.scope
        lines = [b"Content-Type: application/x-www-form-urlencoded", b"Accept: application/json", b"Expect:"]
        if asked.in_body:
            form |= {"client_id": asked.client_id, "client_secret": asked.client_secret}
        else:
            signed = basic_authorization(*_written(asked.client_id, asked.client_secret))
            lines.append(f"Authorization: {signed}".encode())
        return OutboundRequest(
            method="POST",
            url=self._address.url,
            header_lines=tuple(lines),
            body=urlencode(form).encode(),
            verify_tls=asked.verify_tls,
            max_bytes=MAX_BYTES,
            extras=asked.extras,
        )
