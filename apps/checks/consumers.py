"""The ping door: stands before Django, since a ping needs neither session nor template, and comes in by the thousand."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from apps.checks.domain.ping_batches import PingBatches, Unavailable
from apps.checks.domain.ping_bounds import MAX_KEYS, Bound
from apps.checks.domain.ping_dialects import (
    RETRY_AFTER_SECONDS,
    Asked,
    Dialect,
    Heeded,
    Refused,
    Wording,
    dialect_of,
)
from apps.checks.domain.pings import Address, BySlug, Fate, find_tenant
from apps.checks.domain.provisioning import provide_heartbeat
from apps.checks.models import MAX_BODY_BYTES
from apps.core import clock
from apps.core.tenancy import tenant_scope

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

METHODS = frozenset({"GET", "HEAD", "POST", "PUT"})
WITHOUT_BODY = frozenset({"GET", "HEAD"})
# What is longer than a kept text is cut; what is longer than this is not even read.
MAX_UPLOAD_BYTES = 16 * MAX_BODY_BYTES
# What is kept of a text when many long ones come in a row.
SMALL_BODY_BYTES = 10_000
UPLOAD_SECONDS = 30.0
RETRY = (b"retry-after", str(RETRY_AFTER_SECONDS).encode())
NO_CACHE = (b"cache-control", b"no-store")


class PingDoor:
    """Answers pings by itself and passes everything else on. A 2xx means: stored and committed."""

    def __init__(self, behind: Application) -> None:
        self._behind = behind
        self._batches = PingBatches()
        self._per_address = Bound(per_minute=120, burst=60)
        self._misses = Bound(per_minute=60, burst=60)
        self._births = Bound(per_minute=10, burst=50)
        self._large = Bound(per_minute=6, burst=30)
        self._known: set[Address] = set()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        dialect = dialect_of(scope["path"]) if scope["type"] == "http" else None
        if dialect is None:
            await self._behind(scope, receive, send)
            return
        self._batches.open()
        wording = await self._answer(dialect, scope, receive)
        await _send(send, wording, is_head=scope["method"] == "HEAD")

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._batches.open()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._batches.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, dialect: Dialect, scope: Any, receive: Receive) -> Wording:
        method = scope["method"]
        if method not in METHODS:
            return Wording(405, b"", ((b"allow", b"GET, HEAD, POST, PUT"),))
        try:
            body = b"" if method in WITHOUT_BODY else await _read_body(receive)
            asked = _asked(scope, body)
            return await self._stored(dialect, dialect.read(asked, clock.now()), asked.source_ip)
        except Refused as refusal:
            return refusal.wording
        except _TooLarge:
            return dialect.word_trouble(413, "request body too large")
        except TimeoutError:
            return dialect.word_trouble(408, "request body too slow")
        except Unavailable:
            wording = dialect.word_trouble(503, "try again")
            return Wording(wording.status, wording.body, (*wording.headers, RETRY))

    async def _stored(self, dialect: Dialect, heeded: Heeded, source_ip: str | None) -> Wording:
        address = heeded.ping.address
        # Who guesses addresses is slowed down, but not the jobs behind the same router.
        is_guessing = address not in self._known and self._misses.is_spent(source_ip)
        if is_guessing or not self._per_address.spend(address):
            raise Refused(_too_many(dialect))
        ping = heeded.ping
        if len(ping.body) > SMALL_BODY_BYTES and not self._large.spend(address):
            ping = replace(ping, body=ping.body[:SMALL_BODY_BYTES])  # the report counts; so much text of it does not
        fate = await self._batches.stored(ping)
        is_created = False
        if fate == Fate.NOT_FOUND and heeded.may_create and isinstance(address, BySlug):
            is_created = await self._provide(dialect, address)
            fate = await self._batches.stored(ping)
        if fate == Fate.NOT_FOUND:
            self._misses.spend(source_ip)
        self._remember(address, is_known=fate == Fate.STORED)
        return dialect.word(fate, is_created=is_created)

    def _remember(self, address: Address, *, is_known: bool) -> None:
        if not is_known:
            self._known.discard(address)
        elif len(self._known) < MAX_KEYS:
            self._known.add(address)

    async def _provide(self, dialect: Dialect, address: BySlug) -> bool:
        if not self._births.spend(address.ping_key):
            raise Refused(_too_many(dialect))
        is_made: bool = await self._batches.in_database(_provide, address)
        return is_made


def _provide(address: BySlug) -> bool:
    """Make the heartbeat of a slug; the ping key says whose it is."""
    tenant_id = find_tenant(address.ping_key)
    if tenant_id is None:
        return False
    with tenant_scope(tenant_id):
        return provide_heartbeat(address.slug)


class _TooLarge(Exception):
    """The body is longer than anyone's report."""


async def _read_body(receive: Receive) -> bytes:
    """Return the first `MAX_BODY_BYTES` of the body."""
    kept, size = bytearray(), 0
    async with asyncio.timeout(UPLOAD_SECONDS):
        while True:
            message = await receive()
            chunk: bytes = message.get("body", b"")
            size += len(chunk)
            if size > MAX_UPLOAD_BYTES:
                raise _TooLarge
            kept += chunk[: MAX_BODY_BYTES - len(kept)]
            if message["type"] == "http.disconnect":
                raise Refused(Wording(400, b""))  # nobody is there to hear it
            if not message.get("more_body"):
                return bytes(kept)


def _asked(scope: Any, body: bytes) -> Asked:
    agent, authorization = b"", b""
    for name, value in scope["headers"]:
        if name == b"user-agent":
            agent = value
        elif name == b"authorization":
            authorization = value
    scheme, _space, bearer = authorization.partition(b" ")
    return Asked(
        method=scope["method"],
        path=scope["path"].replace("\x00", ""),
        query=scope["query_string"].decode("latin-1"),
        source_ip=_ip(scope.get("client")),
        agent=agent.decode("latin-1").replace("\x00", ""),
        bearer=bearer.strip().decode("latin-1") if scheme.lower() == b"bearer" else "",
        body=body,
    )


def _ip(client: Any) -> str | None:
    """Return the sender's address; None where a proxy or a socket file gives none that is one."""
    try:
        return str(ip_address(client[0])) if client else None
    except ValueError:
        return None


def _too_many(dialect: Dialect) -> Wording:
    wording = dialect.word_trouble(429, "rate limited")
    return Wording(wording.status, wording.body, (*wording.headers, RETRY))


async def _send(send: Send, wording: Wording, *, is_head: bool) -> None:
    length = (b"content-length", str(len(wording.body)).encode())
    headers = [length, NO_CACHE, *wording.headers]
    await send({"type": "http.response.start", "status": wording.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else wording.body})
