"""The scheduler process."""

import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand
from django.db import Error, close_old_connections

from apps.events.domain import schedule

logger = logging.getLogger(__name__)
TICK_SECONDS = 1.0


class Command(BaseCommand):
    """Start what recurs, until told to stop. Any number may run side by side."""

    help = "Start recurring jobs as they fall due"

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        is_registered, rounds = False, schedule.Rounds()
        while not stop.wait(TICK_SECONDS):
            try:
                if not is_registered:
                    schedule.register_jobs()
                    is_registered = True
                rounds.look()
            except Error as error:
                logger.warning("the database is away: %s", error)
                close_old_connections()
                stop.wait(TICK_SECONDS)
