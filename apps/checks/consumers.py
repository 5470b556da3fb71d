"""The ping door: stands before Django, since a ping needs neither session nor template, and comes in by the thousand.

It understands every request; plain ones are mostly answered before they get here, by `ping_lane`.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from apps.checks.domain.ping_dialects import Asked, Dialect, Refused, Wording, dialect_of, ip_of
from apps.checks.domain.ping_doors import Door
from apps.checks.domain.ping_reception import Reception
from apps.checks.models import MAX_BODY_BYTES

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

WITH_BODY = frozenset({"POST", "PUT"})
# What is longer than a kept text is cut; what is longer than this is not even read.
MAX_UPLOAD_BYTES = 16 * MAX_BODY_BYTES
UPLOAD_SECONDS = 30.0
NO_CACHE = (b"cache-control", b"no-store")


class PingDoor:
    """Answers pings by itself and passes everything else on. A 2xx means: stored and committed."""

    def __init__(self, behind: Application) -> None:
        self._behind = behind
        self.reception = Reception()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        dialect = dialect_of(scope["path"]) if scope["type"] == "http" else None
        if dialect is None:
            await self._behind(scope, receive, send)
            return
        self.reception.batches.open(Door.HTTP)
        wording = await self._answer(dialect, scope, receive)
        await _send(send, wording, is_head=scope["method"] == "HEAD")

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.reception.batches.open(Door.HTTP)
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.reception.batches.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, dialect: Dialect, scope: Any, receive: Receive) -> Wording:
        try:
            body = await _read_body(receive) if scope["method"] in WITH_BODY else b""
        except Refused as refusal:
            return refusal.wording
        except _TooLarge:
            return dialect.word_trouble(413, "request body too large")
        except TimeoutError:
            return dialect.word_trouble(408, "request body too slow")
        return await self.reception.answer(dialect, _asked(scope, body))


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
        source_ip=ip_of(scope["client"][0]) if scope.get("client") else None,
        agent=agent.decode("latin-1").replace("\x00", ""),
        bearer=bearer.strip().decode("latin-1") if scheme.lower() == b"bearer" else "",
        body=body,
    )


async def _send(send: Send, wording: Wording, *, is_head: bool) -> None:
    length = (b"content-length", str(len(wording.body)).encode())
    headers = [length, NO_CACHE, *wording.headers]
    await send({"type": "http.response.start", "status": wording.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else wording.body})
