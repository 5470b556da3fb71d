"""The mail door: a mail to a heartbeat's address is a ping.

It takes mails for known heartbeats and for nobody else, passes nothing on and sends nothing back: whom it does not serve
hears so while he is still on the line. 250 means: stored and committed; 451 means that the sender's server shall try again.
"""

import asyncio
import logging
from collections import Counter
from typing import Any, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from apps.checks.domain.ping_batches import Unavailable
from apps.checks.domain.ping_dialects import ip_of
from apps.checks.domain.ping_lookups import count_heartbeats
from apps.checks.domain.ping_mails import address_at, mail_ping, read_mail
from apps.checks.domain.ping_reception import Reception
from apps.checks.domain.pings import Address, Fate
from apps.checks.models import MAX_BODY_BYTES
from apps.core import clock

logger = logging.getLogger(__name__)

MAX_RECIPIENTS = 10
MAX_CONNECTIONS = 200
MAX_CONNECTIONS_PER_SENDER = 10
# One connection may bring many mails, but neither an endless line nor mails for ever.
MAX_CONNECTION_BYTES = 32 * MAX_BODY_BYTES
MAX_COMMANDS = 1_000  # of each kind
SECONDS_PER_COMMAND = 120.0

UNKNOWN = "550 5.1.1 No such heartbeat here"
AMBIGUOUS = "550 5.1.4 Several heartbeats have this name"
TOO_MANY = "452 4.5.3 Too many, try again later"
AWAY = "451 4.3.0 Not stored, try again later"
STORED = "250 2.0.0 Stored"


class MailDoor:
    """What aiosmtpd asks about addresses and mails."""

    def __init__(self, reception: Reception, domain: str) -> None:
        self._reception = reception
        self._domain = domain

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient only if it is a heartbeat."""
        source_ip, meant = _source(session), address_at(address, self._domain)
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return TOO_MANY
        is_guessing = self._reception.is_guessing(meant or "", source_ip)
        try:
            count = await self._count(meant, is_guessing=is_guessing) if meant is not None else 0
        except Unavailable:
            return AWAY
        if meant is None or not count:
            self._reception.note(meant or "", source_ip, Fate.NOT_FOUND)
            return TOO_MANY if is_guessing else UNKNOWN
        if count > 1:
            return AMBIGUOUS
        if meant not in _taken(envelope):
            _taken(envelope).append(meant)
        return "250 2.1.5 OK"

    async def _count(self, meant: Address, *, is_guessing: bool) -> int:
        """Return how many heartbeats an address means; what a guesser asks waits for others' questions."""
        if is_guessing:
            counts = await self._reception.lookups.count([meant])
        else:
            counts = await self._reception.batches.in_database(count_heartbeats, [meant])
        return counts.get(meant, 0)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store a mail for each of its heartbeats; who asks again after a failure half-way pings the others twice."""
        raw, sender = envelope.original_content or b"", str(envelope.mail_from)
        mail = await asyncio.to_thread(read_mail, raw, sender)
        at, source_ip = clock.now(), _source(session)
        pings = [
            self._reception.admit(mail_ping(meant, mail, at=at, source_ip=source_ip)) for meant in _taken(envelope)
        ]
        if None in pings:
            return TOO_MANY
        fates = await asyncio.gather(
            *(self._reception.batches.stored(ping) for ping in pings if ping), return_exceptions=True
        )
        for ping, fate in zip(pings, fates, strict=True):
            if ping and isinstance(fate, Fate):
                self._reception.note(ping.address, source_ip, fate)
        if all(fate == Fate.STORED for fate in fates):
            return STORED
        return AWAY if any(isinstance(fate, BaseException) for fate in fates) else UNKNOWN

    async def handle_exception(self, error: Exception) -> str:
        """Let the sender's server keep a mail that we failed on."""
        logger.error("a mail could not be taken", exc_info=error)
        return AWAY


class MailLine(SMTP):
    """One connection; one too many is told so and closed."""

    open_lines: Counter[str | None] = Counter()

    def __init__(self, handler: MailDoor, **more: Any) -> None:
        super().__init__(
            handler,
            data_size_limit=MAX_BODY_BYTES,
            enable_SMTPUTF8=True,
            ident="Obsera",
            timeout=SECONDS_PER_COMMAND,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            command_call_limit=MAX_COMMANDS,
            **more,
        )
        self._bytes = 0
        self._counted: str | None = None
        self._is_counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._is_counted:  # else it is the same line once more, after STARTTLS
            peer = transport.get_extra_info("peername")
            self._counted, self._is_counted = peer[0] if peer else None, True
            self.open_lines[self._counted] += 1
            self._is_refused = self._is_one_too_many()
            if self._is_refused:
                transport.write(b"421 4.7.0 Too many connections, try again later\r\n")  # type: ignore[attr-defined]
        super().connection_made(transport)
        if self._is_refused:
            transport.close()

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes > MAX_CONNECTION_BYTES and self.transport is not None:
            self.transport.close()
            return
        super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.open_lines[self._counted] -= 1
        self.open_lines += Counter()  # forgets those without any
        super().connection_lost(error)

    def _is_one_too_many(self) -> bool:
        return self.open_lines[self._counted] > MAX_CONNECTIONS_PER_SENDER or self.open_lines.total() > MAX_CONNECTIONS


def _taken(envelope: Envelope) -> list[Address]:
    """Return whom a mail is for: aiosmtpd keeps for us what we put there, which need not be texts."""
    return cast("list[Address]", envelope.rcpt_tos)


def _source(session: Session) -> str | None:
    return ip_of(session.peer[0]) if session.peer else None
