"""How long the delivery log is kept."""

from datetime import timedelta

from django.db import connection

from apps.core import clock
from apps.core.tenancy import system_scope

KEEP = timedelta(days=90)
BATCH = 5_000

# Ids are ordered by time, so the primary key finds the old ones. What still waits is never old: tries end within a day.
FORGET = """
WITH old AS (
    SELECT id FROM notifications_delivery
    WHERE id < %(first_kept)s AND state NOT IN ('pending', 'sending') ORDER BY id LIMIT %(batch)s
), tries AS (
    DELETE FROM notifications_deliveryattempt USING old WHERE delivery_id = old.id
)
DELETE FROM notifications_delivery USING old WHERE notifications_delivery.id = old.id
"""


def forget_old_deliveries() -> int:
    """Delete what is older than 90 days, batch by batch; return the number of deliveries."""
    first_kept = f"{int((clock.now() - KEEP).timestamp() * 1000) << 80:032x}"
    forgotten, in_batch = 0, BATCH
    with system_scope("one broom sweeps every tenant's log"), connection.cursor() as cursor:
        while in_batch == BATCH:
            cursor.execute(FORGET, {"first_kept": first_kept, "batch": BATCH})
            in_batch = int(cursor.rowcount)
            forgotten += in_batch
    return forgotten
