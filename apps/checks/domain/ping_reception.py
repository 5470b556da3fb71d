"""Where every door hands in its pings: who is let in, who is slowed down, and what the sender is told."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from django.utils.translation import override

from apps.checks.domain.ping_batches import PingBatches, Unavailable
from apps.checks.domain.ping_bounds import MAX_KEYS, Bound
from apps.checks.domain.ping_dialects import RETRY_AFTER_SECONDS, Asked, Dialect, Heeded, Refused, Wording
from apps.checks.domain.ping_lookups import Lookups, find_tenant
from apps.checks.domain.pings import Address, BySlug, Fate, NewPing
from apps.checks.domain.provisioning import provide_heartbeat
from apps.core import clock
from apps.core.refusals import BeyondLimit
from apps.core.tenancy import tenant_scope

METHODS = frozenset({"GET", "HEAD", "POST", "PUT"})
# What is kept of a text when many long ones come in a row.
SMALL_BODY_BYTES = 10_000
RETRY = (b"retry-after", str(RETRY_AFTER_SECONDS).encode())
WRONG_METHOD = Wording(405, b"", ((b"allow", b"GET, HEAD, POST, PUT"),))

Tell = Callable[[Wording], None]


class Reception:
    """One for all doors of a process: they share the batches and the bounds."""

    def __init__(self) -> None:
        self.batches = PingBatches()
        self.lookups = Lookups(self.batches)
        self._per_address = Bound(per_minute=120, burst=60)
        self._misses = Bound(per_minute=60, burst=60)
        self._births = Bound(per_minute=10, burst=50)
        self._large = Bound(per_minute=6, burst=30)
        self._known: set[Address] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, dialect: Dialect, asked: Asked) -> Wording:
        """Store what was asked and return what its sender is told. A 2xx means: stored and committed."""
        heard: asyncio.Future[Wording] = asyncio.get_running_loop().create_future()
        self.take(dialect, asked, lambda wording: None if heard.done() else heard.set_result(wording))
        return await heard

    def take(self, dialect: Dialect, asked: Asked, tell: Tell) -> None:
        """The same for who has no task to wait in: ``tell`` is called on the event loop, perhaps at once."""
        try:
            heeded = self._heeded(dialect, asked)
        except Refused as refusal:
            tell(refusal.wording)
            return
        if self.is_guessing(heeded.ping.address, heeded.ping.source_ip):
            self._start(self._look_up(dialect, heeded, tell))
        else:
            self._let_in(dialect, heeded, tell)

    def admit(self, ping: NewPing) -> NewPing | None:
        """Return what of a ping is stored; None for one too many."""
        if not self._per_address.spend(ping.address):
            return None
        if len(ping.body) > SMALL_BODY_BYTES and not self._large.spend(ping.address):
            return replace(ping, body=ping.body[:SMALL_BODY_BYTES])  # the report counts; so much text of it does not
        return ping

    def is_guessing(self, address: Address, source_ip: str | None) -> bool:
        """Tell whether a sender has missed too often for an address that we do not know to be heeded without a look.

        So who guesses is slowed down, and the jobs behind the same router are not.
        """
        return address not in self._known and self._misses.is_spent(source_ip)

    def note(self, address: Address, source_ip: str | None, fate: Fate | None) -> None:
        """Remember whether an address is anybody's."""
        if fate == Fate.NOT_FOUND:
            self._misses.spend(source_ip)
        if fate != Fate.STORED:
            self._known.discard(address)
        elif len(self._known) < MAX_KEYS:
            self._known.add(address)

    def _heeded(self, dialect: Dialect, asked: Asked) -> Heeded:
        if asked.method not in METHODS:
            raise Refused(WRONG_METHOD)
        heeded = dialect.read(asked, clock.now())
        if heeded.otherwise is not None and heeded.otherwise in self._known:
            heeded = _sent_to(heeded, heeded.otherwise)  # jobs with one secret do not share what one address may send
        return heeded

    async def _look_up(self, dialect: Dialect, heeded: Heeded, tell: Tell) -> None:
        """Let a ping in if its address is somebody's, or may be made so."""
        meant = [address for address in (heeded.ping.address, heeded.otherwise) if address is not None]
        try:
            counts = await self.lookups.count(meant, held_bytes=len(heeded.ping.body))
        except Unavailable:
            tell(_later(dialect, 503, "try again"))
            return
        if any(counts.get(address) for address in meant) or (heeded.may_create and heeded.ping.address in counts):
            self._let_in(dialect, heeded, tell)
        else:
            tell(_later(dialect, 429, "rate limited"))

    def _let_in(self, dialect: Dialect, heeded: Heeded, tell: Tell) -> None:
        admitted = self.admit(heeded.ping)
        if admitted is None:
            tell(_later(dialect, 429, "rate limited"))
        else:
            self._put(dialect, heeded if admitted is heeded.ping else replace(heeded, ping=admitted), tell)

    def _put(self, dialect: Dialect, heeded: Heeded, tell: Tell) -> None:
        try:
            self.batches.put(heeded.ping, lambda fate: self._settle(dialect, heeded, fate, tell))
        except Unavailable:
            tell(_later(dialect, 503, "try again"))

    def _settle(self, dialect: Dialect, heeded: Heeded, fate: Fate | None, tell: Tell) -> None:
        if fate == Fate.NOT_FOUND and heeded.otherwise is not None:
            self._put(dialect, replace(_sent_to(heeded, heeded.otherwise), otherwise=None), tell)
            return
        if fate == Fate.NOT_FOUND and heeded.may_create:
            self._start(self._create(dialect, heeded, tell))
            return
        self.note(heeded.ping.address, heeded.ping.source_ip, fate)
        tell(dialect.word(fate) if fate is not None else _later(dialect, 503, "try again"))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done that waits; the event loop by itself would forget it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _create(self, dialect: Dialect, heeded: Heeded, tell: Tell) -> None:
        """Make the heartbeat that a ping asks for, and store the ping."""
        address = heeded.ping.address
        if not (isinstance(address, BySlug) and self._births.spend(address.ping_key)):
            tell(_later(dialect, 429, "rate limited"))
            return
        try:
            is_created: bool = await self.batches.in_database(_provide, address)
            fate = await self.batches.stored(heeded.ping)
        except BeyondLimit as refusal:
            self.note(address, heeded.ping.source_ip, Fate.NOT_FOUND)
            tell(dialect.word_trouble(403, str(refusal)))  # as Healthchecks words that no more checks can be made
            return
        except Unavailable:
            tell(_later(dialect, 503, "try again"))
            return
        self.note(address, heeded.ping.source_ip, fate)
        tell(dialect.word(fate, is_created=is_created))


def _sent_to(heeded: Heeded, address: Address) -> Heeded:
    """Return the same ping for the other one of its two addresses."""
    return replace(heeded, ping=replace(heeded.ping, address=address), otherwise=heeded.ping.address)


def _provide(address: BySlug) -> bool:
    """Make the heartbeat of a slug; the ping key says whose it is."""
    tenant_id = find_tenant(address.ping_key)
    if tenant_id is None:
        return False
    with tenant_scope(tenant_id), override("en"):  # like all that this door says
        return provide_heartbeat(address.slug)


def _later(dialect: Dialect, status: int, text: str) -> Wording:
    wording = dialect.word_trouble(status, text)
    return Wording(wording.status, wording.body, (*wording.headers, RETRY))
