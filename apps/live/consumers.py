"""The door for browsers' sockets: admits, listens to one topic through the hub, checks again that it may."""

import asyncio
import contextlib
import random
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.db import Error as DatabaseError

from apps.accounts.models import User
from apps.core.tenancy import tenant_scope
from apps.live.domain import topics
from apps.live.domain.access import access
from apps.live.domain.feed import Seen
from apps.live.domain.hub import Unanswered, hub
from apps.live.domain.mailbox import Mailbox, Signal
from apps.live.domain.seats import Seats
from apps.live.domain.visitors import Visitor
from apps.tenants.domain.memberships import membership_of
from apps.tenants.models import Tenant

ACCESS_SECONDS = 60.0
SEATS_PER_SESSION = 60
SEATS_PER_ADDRESS = 500  # an office, or a proxy that hides its visitors
NOT_FOUND = 4404
TOO_MANY = 4429
SAY_NOTHING = 1008
TRY_AGAIN = 1013

_seats = Seats()


def tenant_topic(visitor: Visitor, slug: str) -> str | None:
    """Return a tenant's topic for its members; for others it does not exist."""
    user = visitor.user
    tenant = Tenant.objects.filter(slug=slug).first()
    if tenant is None or not isinstance(user, User):
        return None
    with tenant_scope(tenant.id):
        return f"tenant:{tenant.id}" if membership_of(user, tenant) else None


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One browser's socket: it says nothing and hears what changed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._mailbox = Mailbox()
        self._topic: str | None = None
        self._seat: str | None = None
        self._pump_task: asyncio.Task[None] | None = None
        self._access_timer: asyncio.TimerHandle | None = None

    async def connect(self) -> None:
        await self.accept()  # first: a refused handshake looks like a blocked WebSocket, a close code can be read
        try:
            topic = await self._find_topic()
        except DatabaseError:
            await self.close(TRY_AGAIN)
            return
        if topic is None:
            await self.close(NOT_FOUND)
        elif not self._take_seat():
            await self.close(TOO_MANY)
        else:
            self._topic = topic
            self._pump_task = asyncio.create_task(self._pump())
            self._plan_access_check()
            try:
                await hub().join(topic, self, self._seen())
            except Unanswered:
                await self.close(TRY_AGAIN)

    async def disconnect(self, code: int) -> None:
        if self._topic is not None:
            hub().leave(self._topic, self)
        if self._seat is not None:
            _seats.free(self._seat)
        if self._access_timer is not None:
            self._access_timer.cancel()
        if self._pump_task is not None:
            self._pump_task.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.close(SAY_NOTHING)

    # --- What the hub calls ---------------------------------------------------------------------------------------

    def push(self, payload: str) -> None:
        self._mailbox.push(payload)

    def check_access(self) -> None:
        if self._kind is not None:
            access().forget(self._kind, self._slug)
        self._mailbox.signal(Signal.CHECK_ACCESS)

    # --- The socket's own work ------------------------------------------------------------------------------------

    async def _pump(self) -> None:
        with contextlib.suppress(OSError):  # the browser went away while we were sending; disconnect() follows
            while True:
                letter = await self._mailbox.take()
                if letter is Signal.CHECK_ACCESS:
                    await self._check_access_now()
                elif letter is Signal.CATCH_UP:
                    await self.send(text_data=hub().standing(self._topic or ""))
                else:
                    await self.send(text_data=letter)

    async def _check_access_now(self) -> None:
        with contextlib.suppress(DatabaseError):  # nobody loses the line because the database restarts
            if await self._find_topic() != self._topic:
                await self.close(NOT_FOUND)
        self._plan_access_check()

    def _plan_access_check(self) -> None:
        if self._access_timer is not None:
            self._access_timer.cancel()
        delay = random.uniform(0.75, 1.25) * ACCESS_SECONDS  # noqa: S311 -- spreads the queries, hides nothing
        loop = asyncio.get_running_loop()
        self._access_timer = loop.call_later(delay, self._mailbox.signal, Signal.CHECK_ACCESS)

    async def _find_topic(self) -> str | None:
        if self._kind is None:
            return None
        return await access().topic(self._kind, Visitor(self._session_key), self._slug)

    def _take_seat(self) -> bool:
        is_public = self._kind is not None and self._kind.is_public
        holder = f"address:{self._address}" if is_public else f"session:{self._session_key}"
        if not _seats.take(holder, SEATS_PER_ADDRESS if is_public else SEATS_PER_SESSION):
            return False
        self._seat = holder
        return True

    def _seen(self) -> Seen:
        """Read what the browser says it knows; nonsense counts as knowing nothing."""
        query = parse_qs(self.scope["query_string"].decode("latin-1"))
        epoch, n, age = (query.get(name, [""])[0] for name in ("epoch", "n", "age"))
        if n.isascii() and n.isdigit():
            return Seen(epoch=epoch, n=int(n[:20]))
        return Seen(age_seconds=int(age[:12]) / 1000) if age.isascii() and age.isdigit() else Seen()

    @property
    def _kind(self) -> topics.TopicKind | None:
        return topics.find(self.scope["url_route"]["kwargs"]["kind"])

    @property
    def _slug(self) -> str:
        return str(self.scope["url_route"]["kwargs"]["slug"])

    @property
    def _session_key(self) -> str | None:
        key: str | None = self.scope["cookies"].get(settings.SESSION_COOKIE_NAME)
        return key

    @property
    def _address(self) -> str:
        return str((self.scope.get("client") or ("",))[0])


class NowhereConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Refuses a socket under any other address."""

    async def connect(self) -> None:
        await self.close(NOT_FOUND)
