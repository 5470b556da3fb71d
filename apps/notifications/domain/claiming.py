"""Whose turn it is: leases on deliveries, shared among any number of workers."""

from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

from apps.core.tenancy import system_scope
from apps.notifications.channels.base import LEASE
from apps.notifications.channels.registry import CHANNEL_TYPES

# A channel that hangs may hold this many of the workers' threads, no more.
CHANNEL_SHARE = 4


@dataclass(frozen=True, slots=True)
class Claim:
    """A leased delivery; ``attempt`` fences off whoever held it before."""

    id: UUID
    tenant_id: UUID
    attempt: int


# Each channel's oldest open delivery, one index step per channel: a backlog of 100,000 rows costs as much as one row.
DUE_CHANNELS = """
WITH RECURSIVE oldest AS (
    (SELECT channel_id, tenant_id, claimable_at FROM notifications_delivery
     WHERE state IN ('pending', 'sending') AND channel_id IS NOT NULL ORDER BY channel_id, claimable_at LIMIT 1)
    UNION ALL
    SELECT following.* FROM oldest, LATERAL (
        SELECT channel_id, tenant_id, claimable_at FROM notifications_delivery
        WHERE state IN ('pending', 'sending') AND channel_id > oldest.channel_id
        ORDER BY channel_id, claimable_at LIMIT 1
    ) AS following
), due AS (
    SELECT channel_id, tenant_id, claimable_at, (
        SELECT count(*) FROM notifications_delivery AS held
        WHERE held.channel_id = oldest.channel_id AND held.state = 'sending' AND held.claimable_at > now()
    ) AS in_flight
    FROM oldest WHERE claimable_at <= now()
)
"""

# The channel whose tenant holds the fewest threads comes first: one tenant's storm never delays another's page.
CLAIM_CHANNEL = """
SELECT channel.id FROM notifications_channel AS channel JOIN due ON due.channel_id = channel.id
WHERE due.in_flight < %(share)s
ORDER BY (SELECT sum(own.in_flight) FROM due AS own WHERE own.tenant_id = due.tenant_id), due.claimable_at
LIMIT 1 FOR NO KEY UPDATE OF channel SKIP LOCKED
"""

CLAIM_DELIVERY = """
UPDATE notifications_delivery AS delivery
SET state = 'sending', attempts = delivery.attempts + 1, claimable_at = now() + coalesce((
    SELECT lease FROM unnest(%(kinds)s::text[], %(leases)s::interval[]) AS leases (kind, lease)
    WHERE leases.kind = delivery.channel_kind
), make_interval(secs => %(default_lease)s))
WHERE delivery.id = (
    SELECT id FROM notifications_delivery
    WHERE channel_id = %(channel)s AND state IN ('pending', 'sending') AND claimable_at <= now()
    ORDER BY claimable_at LIMIT 1 FOR UPDATE SKIP LOCKED
) AND %(share)s > (
    SELECT count(*) FROM notifications_delivery AS held
    WHERE held.channel_id = %(channel)s AND held.state = 'sending' AND held.claimable_at > now()
)
RETURNING delivery.id, delivery.tenant_id, delivery.attempts
"""

HAS_DUE = f"{DUE_CHANNELS} SELECT 1 FROM due WHERE in_flight < {CHANNEL_SHARE} LIMIT 1"  # noqa: S608 - constants alone

# Leases and waits that no clock which runs forward can have given: it was set back since. A receiver may ask for any
# patience, so a wait is known by its try, which lies in the future. Half a minute is for hosts that differ.
_SLACK = "interval '30 seconds'"
_LONGEST_LEASE = f"interval '{max(entry.lease for entry in CHANNEL_TYPES).total_seconds()} seconds'"
_AHEAD = f"""
state IN ('pending', 'sending') AND claimable_at > now() + {_SLACK} AND CASE
    WHEN state = 'sending' OR failures = 0 THEN claimable_at > now() + {_LONGEST_LEASE} + {_SLACK}
    ELSE EXISTS (
        SELECT FROM notifications_deliveryattempt AS attempt
        WHERE attempt.delivery_id = delivery.id AND attempt.number = delivery.attempts AND attempt.at > now() + {_SLACK}
    )
END
"""
HAS_AHEAD = f"SELECT FROM notifications_delivery AS delivery WHERE {_AHEAD}"
STRAIGHTEN = f"UPDATE notifications_delivery AS delivery SET claimable_at = now() WHERE {_AHEAD}"  # noqa: S608


def straighten() -> None:
    """Make deliveries due anew that no clock which runs forward can have put off so long. Safe to repeat."""
    with system_scope("one queue serves every tenant"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(STRAIGHTEN)


def claim_next() -> Claim | None:
    """Lease the delivery whose turn it is, or return None where nothing is due that no rival claims right now.

    Rivals: every other worker. The first statement locks the channel, so that the second, with a view of the rows taken
    after that, counts the channel's threads exactly.
    """
    with system_scope("one queue serves every tenant"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(DUE_CHANNELS + CLAIM_CHANNEL, {"share": CHANNEL_SHARE})
        channel = cursor.fetchone()
        if channel is None:
            return None
        leases = {entry.kind: entry.lease for entry in CHANNEL_TYPES}
        cursor.execute(
            CLAIM_DELIVERY,
            {
                "channel": channel[0],
                "share": CHANNEL_SHARE,
                "kinds": list(leases),
                "leases": list(leases.values()),
                "default_lease": LEASE.total_seconds(),
            },
        )
        row = cursor.fetchone()
        return Claim(*row) if row else None


def has_due() -> bool:
    """Tell whether another worker would find something to do right now."""
    with system_scope("one queue serves every tenant"), connection.cursor() as cursor:
        cursor.execute(HAS_DUE)
        return cursor.fetchone() is not None
