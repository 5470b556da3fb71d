"""The database's clock, which names the turns of everything that is shared."""

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """Return the instant that the database's clock shows, within a transaction too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (now,) = cursor.fetchone()
    return now  # type: ignore[no-any-return]
