"""Whose an address is, asked before anything is stored for it."""

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from django.db import Error, InterfaceError, OperationalError, connection, transaction

from apps.checks.domain.ping_batches import PingBatches, Unavailable
from apps.checks.domain.pings import BEGIN, Address, BySlug
from apps.core.tenancy import system_scope

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.1
# The thread that answers stores everybody's pings: no question may hold it up for long.
MAX_ASKED = 200
# Enough to find two addresses among those that the database refuses; where it refuses all, to ask on helps nobody.
MAX_TRIES = 32
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
        cursor.execute(BEGIN)
        if tokens:
            cursor.execute(TOKENS, [tokens])
            counts |= {token: 1 for (token,) in cursor.fetchall()}
        if names:
            cursor.execute(NAMES, [[one.ping_key for one in names], [one.slug for one in names]])
            counts |= {BySlug(key, slug): count for key, slug, count in cursor.fetchall()}
    return counts


@dataclass(slots=True)
class _Answer:
    """What is known of the addresses of one question; ``unknown`` are those that the database could say nothing of."""

    counts: dict[Address, int] = field(default_factory=dict)
    unknown: set[Address] = field(default_factory=set)


class Lookups:
    """Looks addresses up for senders who guess: among them may be a job behind the same router.

    What is asked within a tenth of a second is asked together, as far as one question carries it, and nothing before the
    last answer is there. So guessing costs us ten short questions a second at most, however many guess.
    """

    def __init__(self, batches: PingBatches) -> None:
        self._batches = batches
        self._asked: set[Address] = set()
        self._waiting = self._waiting_bytes = 0
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[_Answer] | None = None

    async def count(self, addresses: Collection[Address], *, held_bytes: int = 0) -> dict[Address, int]:
        """Return what `count_heartbeats` does, or nothing where too many wait; raises `Unavailable`.

        ``held_bytes`` is how much the caller keeps in memory meanwhile.
        """
        if self._waiting >= MAX_WAITING or self._waiting_bytes + held_bytes > MAX_WAITING_BYTES:
            return {}
        if self._next is None or len(self._asked) + len(addresses) > MAX_ASKED:
            self._asked = set()
            self._next = asyncio.create_task(self._look(self._asked))
        self._asked.update(addresses)
        self._waiting, self._waiting_bytes = self._waiting + 1, self._waiting_bytes + held_bytes
        try:
            answer = await asyncio.shield(self._next)  # one who hangs up leaves the others waiting
        finally:
            self._waiting, self._waiting_bytes = self._waiting - 1, self._waiting_bytes - held_bytes
        if not answer.unknown.isdisjoint(addresses):
            raise Unavailable
        return answer.counts

    async def _look(self, asked: set[Address]) -> _Answer:
        async with self._turn:
            await asyncio.sleep(GATHER_SECONDS)
            if asked is self._asked:
                self._next = None
            return await self._answer(list(asked))

    async def _answer(self, asked: list[Address]) -> _Answer:
        """Ask the database; what it refuses is halved, so that one bad address is nobody else's trouble."""
        answer, parts, tries = _Answer(), deque([asked]), 0
        while parts:
            part, tries = parts.popleft(), tries + 1
            try:
                answer.counts |= await self._batches.in_database(count_heartbeats, part)
            except Exception as error:  # whatever it was: those who wait are told
                if not isinstance(error, Unavailable):
                    logger.exception("addresses could not be looked up")
                if len(part) == 1 or tries + len(parts) + 2 > MAX_TRIES or not _is_refused(error):
                    answer.unknown.update(part)
                else:
                    middle = len(part) // 2
                    parts += (part[:middle], part[middle:])
        return answer


def _is_refused(error: Exception) -> bool:
    """Tell whether what was asked is at fault, and not the database: that one is away, or takes too long."""
    if isinstance(error, Unavailable):
        return isinstance(error.__cause__, Error) and not isinstance(error.__cause__, OperationalError | InterfaceError)
    return True
