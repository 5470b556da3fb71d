"""The hub itself: silence, noise, beats, forgetting; sockets reduced to lists."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from apps.core import redis
from apps.live.domain import hub as hub_module
from apps.live.domain import wire
from apps.live.domain.feed import Seen
from apps.live.domain.hub import Hub
from apps.live.domain.publish import publish, publish_many
from tests.live.conftest import PATIENCE_SECONDS, Valkey


class Ear:
    """A socket that only listens."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.access_checks = 0

    def push(self, payload: str) -> None:
        self.heard.append(json.loads(payload))

    def check_access(self) -> None:
        self.access_checks += 1

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.heard]

    async def hears(self, kind: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        """Return the next message of that type, and forget it and those before it."""
        async with asyncio.timeout(seconds):
            while kind not in self.types:
                await asyncio.sleep(0.01)
        place = self.types.index(kind)
        message, self.heard = self.heard[place], self.heard[place + 1 :]
        return message


@pytest.fixture
async def hub(valkey: Valkey) -> AsyncIterator[Hub]:
    hub = Hub(valkey.url)
    yield hub
    await hub.aclose()


async def say(topic: str, *ids: str) -> None:
    await asyncio.to_thread(publish, topic, ids)


async def test_frozen_redis_is_noticed_and_its_return_too(hub: Hub, valkey: Valkey, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub_module, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(hub_module, "ANSWER_SECONDS", 1.0)
    ear = Ear()
    await hub.join("tenant:a", ear, Seen())
    await ear.hears("hello")

    await asyncio.sleep(3)
    assert ear.heard == []
    valkey.freeze()
    await ear.hears("stalled")
    late = Ear()
    await hub.join("tenant:b", late, Seen())
    assert late.types == ["stalled"]
    valkey.thaw()

    for one in (ear, late):
        await one.hears("resync")


async def test_foreign_messages_are_ignored(hub: Hub, caplog: pytest.LogCaptureFixture):
    ear = Ear()
    await hub.join("tenant:a", ear, Seen())
    caplog.set_level(logging.WARNING)

    await asyncio.to_thread(redis.client().publish, wire.channel(3), b"hello?")
    await say("tenant:a", "check:1")

    assert (await ear.hears("delta"))["ids"] == ["check:1"]
    assert [record.message for record in caplog.records] == ["ignored a live message that nobody of us wrote"]


async def test_other_databases_of_the_same_redis_are_not_heard(hub: Hub):
    ear = Ear()
    await hub.join("tenant:a", ear, Seen())

    await asyncio.to_thread(redis.client().publish, wire.channel(4), b'{"e":"x","m":[[1,"tenant:a",["check:9"]]]}')
    await say("tenant:a", "check:1")

    assert (await ear.hears("delta"))["ids"] == ["check:1"]


async def test_quiet_line_beats_and_idle_topics_are_forgotten(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub_module, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr("apps.live.domain.feed.MEMORY_SECONDS", 0.3)
    ear, passer_by = Ear(), Ear()
    await hub.join("tenant:a", ear, Seen())
    await hub.join("tenant:b", passer_by, Seen())
    hello = await ear.hears("hello")
    hub.leave("tenant:b", passer_by)
    heard_by_then = list(passer_by.heard)
    await asyncio.to_thread(publish_many, {"tenant:c": ["check:1"]})

    beat = await ear.hears("beat")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while set(hub._feeds) != {"tenant:a"}:
            await asyncio.sleep(0.05)
    await ear.hears("beat")

    assert beat == {"type": "beat", "epoch": hello["epoch"], "n": hello["n"]}
    assert passer_by.heard == heard_by_then


async def test_access_message_has_sockets_of_the_topic_checked(hub: Hub):
    ear, other = Ear(), Ear()
    await hub.join("tenant:a", ear, Seen())
    await hub.join("tenant:b", other, Seen())

    await say("tenant:a", wire.ACCESS)
    await ear.hears("delta")

    assert (ear.access_checks, other.access_checks) == (1, 0)


async def test_socket_that_left_hears_nothing_of_what_was_held_back(hub: Hub):
    ear = Ear()
    await hub.join("tenant:a", ear, Seen())
    await say("tenant:a", "check:1")
    await ear.hears("delta")
    await say("tenant:a", "check:2")
    await asyncio.sleep(0.1)

    hub.leave("tenant:a", ear)
    heard_by_then = list(ear.heard)  # nothing, where the second had not passed yet
    await asyncio.sleep(1.1)

    assert ear.heard == heard_by_then


async def test_unexpected_error_costs_a_resync_not_the_hub(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    ear = Ear()
    await hub.join("tenant:a", ear, Seen())
    await ear.hears("hello")

    def fail(data: bytes) -> None:
        monkeypatch.undo()
        raise AttributeError("a slip in a library")

    monkeypatch.setattr(hub_module.wire, "parse", fail)
    await say("tenant:a", "check:1")

    await ear.hears("stalled")
    await ear.hears("resync")
    assert "the live hub stumbled" in caplog.text


async def test_socket_that_joins_an_emptied_redis_brings_everyone_into_step(hub: Hub):
    ear, late = Ear(), Ear()
    await hub.join("tenant:a", ear, Seen())
    before = await ear.hears("hello")

    await asyncio.to_thread(redis.client().flushall)
    await hub.join("tenant:b", late, Seen())

    hello, resync = await late.hears("hello"), await ear.hears("resync")
    assert hello["epoch"] == resync["epoch"] != before["epoch"]


async def test_crowd_is_woken_in_slices_so_that_others_get_their_turn(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub_module, "SLICE", 2)
    ears = [Ear() for _ in range(5)]
    for ear in ears:
        await hub.join("tenant:a", ear, Seen())
        await ear.hears("hello")

    hub._push("tenant:a", '{"type": "delta"}')

    told = []
    for _ in range(3):
        told.append(sum(len(ear.heard) for ear in ears))
        await asyncio.sleep(0)
    assert told == [2, 4, 5]


async def test_crowd_that_comes_at_once_is_greeted(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub_module, "ANSWER_SECONDS", PATIENCE_SECONDS)
    ears = {f"tenant:{i}": [Ear(), Ear()] for i in range(300)}

    await asyncio.gather(*(hub.join(topic, ear, Seen()) for topic, pair in ears.items() for ear in pair))

    assert {tuple(ear.types) for pair in ears.values() for ear in pair} == {("hello",)}


async def test_redis_that_is_there_and_does_not_answer_sends_a_newcomer_away(hub: Hub, monkeypatch: pytest.MonkeyPatch):
    ear = Ear()
    await hub.join("tenant:a", ear, Seen())
    monkeypatch.setattr(hub_module, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(hub, "_read_numbers", lambda topics: asyncio.sleep(1))

    with pytest.raises(hub_module.Unanswered):
        await hub.join("tenant:b", Ear(), Seen())

    assert set(hub._listeners) == {"tenant:a"}
