"""Asking a resolver from the event loop, so that a crowd on one public page costs one query every few seconds."""

import asyncio
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async

from apps.live.domain.topics import TopicKind
from apps.live.domain.visitors import Visitor

PUBLIC_ANSWER_SECONDS = 5.0
MAX_ANSWERS = 1_000


class Access:
    """Resolves slugs to topics; public answers are shared."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], tuple[float, asyncio.Future[str | None]]] = {}

    async def topic(self, kind: TopicKind, visitor: Visitor, slug: str) -> str | None:
        """Return the topic that this visitor may listen to, or None."""
        if not kind.is_public:
            return await _ask(kind, visitor, slug)
        return await asyncio.shield(self._shared(kind, visitor, slug))

    def forget(self, kind: TopicKind, slug: str) -> None:
        """Ask anew next time."""
        self._answers.pop((kind.kind, slug), None)

    def _shared(self, kind: TopicKind, visitor: Visitor, slug: str) -> asyncio.Future[str | None]:
        loop = asyncio.get_running_loop()
        asked_at, answer = self._answers.get((kind.kind, slug), (0.0, None))
        if answer is None or asked_at < loop.time() - PUBLIC_ANSWER_SECONDS or _has_failed(answer):
            if len(self._answers) >= MAX_ANSWERS:  # somebody tries addresses
                self._answers.clear()
            answer = loop.create_task(_ask(kind, visitor, slug))
            self._answers[kind.kind, slug] = loop.time(), answer
        return answer


def _has_failed(answer: asyncio.Future[str | None]) -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)


async def _ask(kind: TopicKind, visitor: Visitor, slug: str) -> str | None:
    topic: str | None = await database_sync_to_async(kind.resolve)(visitor, slug)
    return topic


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Access] = WeakKeyDictionary()


def access() -> Access:
    """Return the answers of this process (of the running event loop)."""
    return _of_loop.setdefault(asyncio.get_running_loop(), Access())
