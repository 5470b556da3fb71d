"""Alerts that were told by a clock which was set back since: what time changes of them would stand still as long."""

from django.db import connection, transaction

from apps.core import clock
from apps.core.tenancy import system_scope

# What began or was told in the future. Half a minute is for hosts that differ.
_AHEAD = """
state <> 'resolved' AND due_at > {now} + interval '30 seconds'
AND greatest(last_notified_at, starts_at) > {now} + interval '30 seconds'
"""
HAS_AHEAD = f"SELECT FROM alerting_alert WHERE {_AHEAD.format(now='now()')}"
STRAIGHTEN = f"""
UPDATE alerting_alert SET due_at = %(now)s,
    starts_at = least(starts_at, %(now)s), last_notified_at = least(last_notified_at, %(now)s)
WHERE {_AHEAD.format(now="%(now)s")}
"""  # noqa: S608


def straighten() -> None:
    """Look again at such alerts at once, as if they had been told just now. Safe to repeat."""
    with system_scope("one sweep serves every tenant's reminders"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(STRAIGHTEN, {"now": clock.now()})
