"""The days that results are kept in."""

from dataclasses import dataclass

from django.conf import settings
from django.db import connection

DAYS_AHEAD = 7


@dataclass(frozen=True, slots=True)
class Turnover:
    made: int
    dropped: int


def turn_over_partitions() -> Turnover:
    """Make the coming days' partitions and drop those past ``RESULT_RETENTION_DAYS``. Safe to repeat."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT checks_make_partitions(%s), checks_drop_partitions(%s)",
            [DAYS_AHEAD, settings.RESULT_RETENTION_DAYS],
        )
        return Turnover(*cursor.fetchone())
