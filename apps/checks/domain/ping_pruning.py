"""Forgetting old pings: of each heartbeat the newest are kept, and of these the newest texts."""

from django.db import connection, transaction

from apps.checks.models import MAX_BODY_BYTES
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import system_scope

KEPT_PINGS = 1_000
KEPT_TEXTS = 100
KEPT_TEXT_BYTES = 16 * MAX_BODY_BYTES

FORGET_PINGS = """
DELETE FROM checks_ping AS ping USING checks_heartbeat AS beat
WHERE ping.check_id = beat.check_id AND ping.number <= beat.pings - %s
"""
# Reads the partial index of pings with a text, which this keeps small.
FORGET_TEXTS = """
UPDATE checks_ping AS ping SET body = NULL
FROM (
    SELECT check_id, number, row_number() OVER newest AS place, sum(body_bytes) OVER newest AS bytes
    FROM checks_ping WHERE body IS NOT NULL
    WINDOW newest AS (PARTITION BY check_id ORDER BY number DESC)
) AS kept
WHERE ping.check_id = kept.check_id AND ping.number = kept.number AND (kept.place > %s OR kept.bytes > %s)
"""


@transaction.atomic
def prune_pings() -> None:
    """Forget what nobody looks at any more; safe to repeat."""
    with system_scope("one broom sweeps every tenant's old pings"), connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(FORGET_PINGS, [KEPT_PINGS])
        cursor.execute(FORGET_TEXTS, [KEPT_TEXTS, KEPT_TEXT_BYTES])
