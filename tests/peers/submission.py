"""A real mail server with encryption and accounts."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.peers.smtp import serving_mail

USER, PASSWORD = "probe@example.com", "pässword with spaces"
MAILBOX = "postmaster@example.com"


@dataclass
class Desk:
    """What was said to the server. It takes letters for `MAILBOX` only; ``letters`` stays empty unless one is sent."""

    port: int = 0
    senders: list[str] = field(default_factory=list)
    letters: list[Any] = field(default_factory=list)

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        self.senders.append(address)
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address != MAILBOX:
            return "550 5.1.1 nobody of that name here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 welcome"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.append(envelope)
        return "250 taken"


def _authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    is_known = data == LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_known, handled=False)


@contextmanager
def submission_server(
    *,
    starttls: ssl.SSLContext | None = None,
    implicit: ssl.SSLContext | None = None,
    without: tuple[str, ...] = (),
) -> Iterator[Desk]:
    """Run a server for the block; ``without`` names login methods that it does not offer."""
    desk = Desk()

    def make() -> SMTP:
        return SMTP(
            desk,
            hostname="mail.test",
            ident="a test's server",
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=_authenticate,
            auth_require_tls=starttls is not None,
            auth_exclude_mechanism=list(without),
        )

    with serving_mail(make, implicit) as desk.port:
        yield desk
