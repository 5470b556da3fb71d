"""Whose an address is, asked before anything is stored for it."""

import asyncio
import logging
from collections.abc import Collection
from uuid import UUID

from django.db import connection, transaction

from apps.checks.domain.ping_batches import PingBatches, Unavailable
from apps.checks.domain.pings import Address, BySlug
from apps.core.tenancy import system_scope

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.1
# Nobody's guesses may fill the memory: what comes while so many wait, or so much, is not looked up.
MAX_WAITING = 1_000
MAX_WAITING_BYTES = 16 * 1_048_576

TOKENS = "SELECT token FROM checks_heartbeat WHERE token = ANY(%s)"
NAMES = """
SELECT key.key, asked.slug, count(beat.token)
FROM unnest(%s::text[], %s::text[]) AS asked(key, slug)
JOIN checks_pingkey AS key ON key.key = asked.key
LEFT JOIN checks_heartbeat AS beat ON beat.tenant_id = key.tenant_id AND beat.slug = asked.slug
GROUP BY key.key, asked.slug
"""


@transaction.atomic
def find_tenant(ping_key: str) -> UUID | None:
    """Return whose ping key it is."""
    with system_scope("a ping key says itself which tenant it opens"), connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id FROM checks_pingkey WHERE key = %s", [ping_key])
        row = cursor.fetchone()
        return row[0] if row else None


@transaction.atomic
def count_heartbeats(addresses: Collection[Address]) -> dict[Address, int]:
    """Return how many heartbeats of any tenant each address means: more than one where several share a name.

    None for a name that is free behind somebody's ping key; what is left out is nobody's.
    """
    tokens = [address for address in addresses if isinstance(address, str)]
    names = [address for address in addresses if isinstance(address, BySlug)]
    counts: dict[Address, int] = {}
    with system_scope("an address says itself whose it is"), connection.cursor() as cursor:
        if tokens:
            cursor.execute(TOKENS, [tokens])
            counts |= {token: 1 for (token,) in cursor.fetchall()}
        if names:
            cursor.execute(NAMES, [[one.ping_key for one in names], [one.slug for one in names]])
            counts |= {BySlug(key, slug): count for key, slug, count in cursor.fetchall()}
    return counts


class Lookups:
    """Looks addresses up for senders who guess: among them may be a job behind the same router.

    What is asked within a tenth of a second is asked together, and nothing before the last answer is there. So guessing
    costs us ten statements a second at most, however many guess.
    """

    def __init__(self, batches: PingBatches) -> None:
        self._batches = batches
        self._asked: set[Address] = set()
        self._waiting = self._waiting_bytes = 0
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[dict[Address, int] | None] | None = None

    async def count(self, addresses: Collection[Address], *, held_bytes: int = 0) -> dict[Address, int]:
        """Return what `count_heartbeats` does, or nothing where too many wait; raises `Unavailable`.

        ``held_bytes`` is how much the caller keeps in memory meanwhile.
        """
        if self._waiting >= MAX_WAITING or self._waiting_bytes + held_bytes > MAX_WAITING_BYTES:
            return {}
        self._asked.update(addresses)
        if self._next is None:
            self._next = asyncio.create_task(self._look())
        self._waiting, self._waiting_bytes = self._waiting + 1, self._waiting_bytes + held_bytes
        try:
            counts = await asyncio.shield(self._next)  # one who hangs up leaves the others waiting
        finally:
            self._waiting, self._waiting_bytes = self._waiting - 1, self._waiting_bytes - held_bytes
        if counts is None:
            raise Unavailable
        return counts

    async def _look(self) -> dict[Address, int] | None:
        await asyncio.sleep(GATHER_SECONDS)
        async with self._turn:
            asked, self._asked, self._next = self._asked, set(), None
            try:
                counts: dict[Address, int] = await self._batches.in_database(count_heartbeats, asked)
            except Unavailable:
                return None
            except Exception:  # whatever it was: those who wait are told
                logger.exception("addresses could not be looked up")
                return None
            return counts
