"""Whether pings may come by e-mail, and the socket that they come in on."""

from __future__ import annotations

import socket

from config.run.errors import RunError
from config.run.given import given

DEFAULT_PORT = 2525
BACKLOG = 128


def is_wanted() -> bool:
    """Tell whether a domain for pings by e-mail is configured."""
    return bool(given("PING_MAIL_DOMAIN"))


def open_listener() -> socket.socket:
    """$PING_MAIL_PORT on $PING_MAIL_HOST; this machine alone where no host is given."""
    host, port = given("PING_MAIL_HOST") or "127.0.0.1", given("PING_MAIL_PORT") or str(DEFAULT_PORT)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, int(port)), family=family, backlog=BACKLOG, dualstack_ipv6=host == "::")
    except (OSError, ValueError, OverflowError) as error:
        raise RunError(
            f"pings by e-mail cannot be taken on {host}, port {port}: {error}",
            mend=f"make run PING_MAIL_PORT={DEFAULT_PORT} PING_MAIL_HOST=127.0.0.1, or another port",
        ) from error
