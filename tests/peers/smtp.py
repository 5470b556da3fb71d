"""A real SMTP server that can be told to refuse."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult

END_TURNS = 10  # of the event loop, until every connection has been accepted, and then until it has ended


@dataclass
class Mailbox:
    """What arrived; ``recipient_answer`` and ``data_answer`` replace the usual 250 where set."""

    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    recipient_answer: str = ""
    data_answer: str = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.recipient_answer:
            return self.recipient_answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data_answer:
            return self.data_answer
        self.letters.append(cast("EmailMessage", message_from_bytes(envelope.content, policy=policy.default)))
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 taken"


@contextmanager
def serving_mail(make: Callable[[], SMTP], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on loopback in a thread for the block; yields the port. At the end no connection is left open.

    The controller that comes with aiosmtpd leaves them to the garbage collector, and waits five seconds for a busy machine.
    """
    started: Future[tuple[int, Callable[[], object]]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(make, tls, started)))
    thread.start()
    port, stop = started.result()
    try:
        yield port
    finally:
        stop()
        thread.join()


async def _serve(
    make: Callable[[], SMTP], tls: ssl.SSLContext | None, started: "Future[tuple[int, Callable[[], object]]]"
) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    transports: list[asyncio.WriteTransport] = []

    def kept() -> SMTP:
        made = make()
        welcome = made.connection_made

        def connected(transport: asyncio.WriteTransport) -> None:
            transports.append(transport)
            welcome(transport)

        made.connection_made = connected
        return made

    try:
        server = await loop.create_server(kept, "127.0.0.1", 0, ssl=tls)
    except BaseException as error:
        started.set_exception(error)
        raise
    started.set_result((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(stopped.set)))
    await stopped.wait()
    await _turn(END_TURNS)  # a server loses what it has accepted but not yet handed over when it is closed
    server.close()
    for transport in transports:
        transport.abort()
    await _turn(END_TURNS)


async def _turn(times: int) -> None:
    for _time in range(times):
        await asyncio.sleep(0)


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """Run an SMTP server on loopback for the block. It offers signing in, and lets nobody in."""
    mailbox = Mailbox()

    def make() -> SMTP:
        nobody = AuthResult(success=False, handled=False)
        return SMTP(
            mailbox, hostname="mail.test", authenticator=lambda *_: nobody, auth_require_tls=False, enable_SMTPUTF8=True
        )

    with serving_mail(make) as mailbox.port:
        yield mailbox
