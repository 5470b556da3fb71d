"""The days that results are kept in."""

import logging
from dataclasses import dataclass

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

logger = logging.getLogger(__name__)

DAYS_AHEAD = 7


@dataclass(frozen=True, slots=True)
class Turnover:
    made: int
    dropped: int


def turn_over_partitions() -> Turnover:
    """Make the coming days' partitions and drop those past ``RESULT_RETENTION_DAYS``. Safe to repeat.

    What somebody else's work on results holds up for seconds is left to the next time: who waits for all of them holds up
    everybody who stores or reads some.
    """
    return Turnover(
        made=_asked("SELECT checks_make_partitions(%s)", DAYS_AHEAD),
        dropped=_asked("SELECT checks_drop_partitions(%s)", settings.RESULT_RETENTION_DAYS),
    )


def _asked(question: str, days: int) -> int:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(question, [days])
            ((count,),) = cursor.fetchall()
            return int(count)
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        logger.warning("results are in use: their days are turned over another time")
        return 0
