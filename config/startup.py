"""What web and worker processes make sure of before they serve: that the database keeps tenants apart."""

import logging
import os
import signal
import threading
import time

from django.db import OperationalError, connections

from apps.core.checks import role_errors

logger = logging.getLogger("obsera.startup")
RETRY_SECONDS = 5.0
PATIENCE_SECONDS = 5.0


class UnsafeDatabaseRole(SystemExit):
    """The product would see every tenant's rows; it does not start."""


def refuse_unsafe_database_role() -> None:
    """Stop this process if its database role passes by row-level security.

    A database that is away for a moment does not keep us from starting: the question is then asked until it is back.
    """
    errors: list[str] = []
    asked = threading.Event()
    # A thread of its own: the web server imports us inside its event loop, where Django refuses to query.
    threading.Thread(target=_ask, args=(errors, asked), name="startup-check", daemon=True).start()
    if asked.wait(PATIENCE_SECONDS) and errors:
        raise UnsafeDatabaseRole("\n".join(errors))


def _ask(errors: list[str], asked: threading.Event) -> None:
    begun_at = time.monotonic()
    while True:
        try:
            errors.extend(str(error) for error in role_errors(connections["default"]))
        except OperationalError as error:
            logger.warning("the database is away, asking for its role later: %s", error)
            connections.close_all()
            time.sleep(RETRY_SECONDS)
            continue
        break
    connections.close_all()
    asked.set()
    if errors and time.monotonic() - begun_at > PATIENCE_SECONDS:  # we serve already
        logger.critical("%s", "\n".join(errors))
        os.kill(os.getpid(), signal.SIGTERM)
