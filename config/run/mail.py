"""The mail process: takes pings by e-mail on sockets that the supervisor keeps open.

Called as `python -m config.run.mail FD…`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
django.setup()

from django.conf import settings  # noqa: E402 - models load only once Django is set up

from apps.checks.domain.ping_doors import Door  # noqa: E402
from apps.checks.domain.ping_reception import Reception  # noqa: E402
from apps.checks.mail_door import MailDoor, MailLine  # noqa: E402
from config.startup import refuse_unsafe_database_role  # noqa: E402

GRACEFUL_SECONDS = 1.0


async def serve(listeners: list[socket.socket]) -> None:
    """Take mails until told to stop; what was taken is stored first."""
    reception, loop, stop = Reception(), asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    door, tls, domain = MailDoor(reception, settings.PING_MAIL_DOMAIN), tls_context(), settings.PING_MAIL_DOMAIN

    def connect() -> MailLine:
        return MailLine(door, hostname=domain, tls_context=tls, loop=loop)

    servers = [await loop.create_server(connect, sock=listener) for listener in listeners]
    reception.batches.open(Door.MAIL)
    await stop.wait()
    for server in servers:
        server.close()
    await asyncio.sleep(GRACEFUL_SECONDS)  # mails that have been sent whole are still answered
    await reception.batches.close()


def tls_context() -> ssl.SSLContext | None:
    """Return what STARTTLS needs; None where no certificate is configured."""
    if not settings.PING_MAIL_CERTIFICATE:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.PING_MAIL_CERTIFICATE, settings.PING_MAIL_KEY or None)
    return context


def main(descriptors: list[str]) -> None:
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd would tell of each command
    refuse_unsafe_database_role()
    asyncio.run(serve([socket.socket(fileno=int(descriptor)) for descriptor in descriptors]))


if __name__ == "__main__":
    main(sys.argv[1:])
