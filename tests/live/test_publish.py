"""Publishing: after the commit, never raising, never waiting, nothing forgotten."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext

import pytest
import redis as redis_py
from django.db import transaction

from apps.core import redis
from apps.live.domain import publish as publishing
from apps.live.domain import wire
from apps.live.domain.publish import Publisher, publish, publish_many
from tests.live.conftest import PATIENCE_SECONDS, Valkey


class Listening:
    """What arrives on the channel."""

    def __init__(self, url: str) -> None:
        self._client = redis_py.Redis.from_url(url)
        self._channel = self._client.pubsub(ignore_subscribe_messages=True)
        self._channel.subscribe(wire.channel(3))
        self._channel.get_message(timeout=PATIENCE_SECONDS)

    def messages(self, *, expected: int = 0) -> list[dict[str, list[str]]]:
        """Return topic -> ids of each message: as many as expected, and those that come within moments of them."""
        found: list[dict[str, list[str]]] = []
        while message := self._channel.get_message(timeout=PATIENCE_SECONDS if len(found) < expected else 0.2):
            found.append({topic: ids for _, topic, ids in json.loads(message["data"])["m"]})
        return found

    def close(self) -> None:
        self._channel.close()
        self._client.close()


@pytest.fixture
def listening(valkey: Valkey) -> Iterator[Listening]:
    ear = Listening(valkey.url)
    yield ear
    ear.close()


def test_topics_are_counted_apart_in_one_message(valkey: Valkey):
    with redis_py.Redis.from_url(valkey.url) as client, client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(wire.channel(3))
        channel.get_message(timeout=PATIENCE_SECONDS)

        publish_many({"tenant:a": ["check:1"], "tenant:b": ["check:2", "check:3"]})
        publish("tenant:a", ["check:4"])

        first, second = (wire.parse(channel.get_message(timeout=PATIENCE_SECONDS)["data"]) for _ in range(2))
        assert [(heard.topic, heard.ids) for heard in first[1]] == [
            ("tenant:a", {"check:1"}),
            ("tenant:b", {"check:2", "check:3"}),
        ]
        assert second[1][0].n == first[1][0].n + 1
        assert second[0] == first[0] == client.get(wire.EPOCH_KEY).decode()
        assert 0 < client.ttl(wire.sequence_key("tenant:a")) <= publishing.SEQUENCE_SECONDS


def test_evicted_sequence_never_counts_backwards(valkey: Valkey):
    key = wire.sequence_key("tenant:a")
    publish("tenant:a", ["check:1"])
    before = int(redis.client().get(key))
    redis.client().delete(key)
    time.sleep(1.1)

    publish("tenant:a", ["check:1"])

    assert int(redis.client().get(key)) > before


def test_nothing_to_say_asks_redis_nothing(valkey: Valkey):
    publish("tenant:a", [])
    publish_many({})

    assert redis.client().keys() == []


def test_ids_may_hold_any_text(listening: Listening):
    publish('tenant:"]}', ['check:"\\', "check:ü"])

    assert listening.messages(expected=1) == [{'tenant:"]}': ['check:"\\', "check:ü"]}]


@pytest.mark.django_db(transaction=True)
def test_inside_a_transaction_it_is_said_after_the_commit(listening: Listening):
    with transaction.atomic():
        publish("tenant:a", ["check:1"])
        early = listening.messages()

    assert early == []
    assert listening.messages(expected=1) == [{"tenant:a": ["check:1"]}]


@pytest.mark.django_db(transaction=True)
def test_after_a_rollback_it_is_not_said(listening: Listening):
    def fail() -> None:
        with transaction.atomic():
            publish("tenant:a", ["check:1"])
            raise ValueError("taken back")

    with pytest.raises(ValueError, match="taken back"):
        fail()

    assert listening.messages() == []


def test_dead_redis_costs_the_first_caller_little_and_the_next_nothing(valkey: Valkey, monkeypatch: pytest.MonkeyPatch):
    run, here, callers, paying = publishing._run_script, threading.current_thread(), [], threading.Lock()

    def noted(said: Mapping[str, frozenset[str]]) -> None:
        callers.append(threading.current_thread())
        with nullcontext() if callers[-1] is here else paying:
            run(said)

    monkeypatch.setattr(publishing, "_run_script", noted)
    monkeypatch.setattr(publishing, "SECONDS_BETWEEN_TRIES", 0.1)
    publisher = Publisher()
    publisher.send({"tenant:a": frozenset({"check:0"})})
    valkey.kill()

    publisher.send({"tenant:a": frozenset({"check:1"})})
    for i in range(1_000):
        publisher.send({"tenant:a": frozenset({f"check:{i}"}), "tenant:b": frozenset({"outage:1"})})
    assert callers.count(here) == 2

    with paying:  # not before somebody listens
        valkey.start()
        ear = Listening(valkey.url)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while publisher._debtor is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ear.messages(expected=1) == [{"tenant:a": ["check:*"], "tenant:b": ["outage:1"]}]
    ear.close()


def test_debt_is_bounded(valkey: Valkey, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(publishing, "MAX_TOPICS_OWED", 2)
    publisher = Publisher()

    publisher._owe({"tenant:a": frozenset({"check:1"}), "tenant:b": frozenset({"check:1"})})
    publisher._owe({"tenant:c": frozenset({"check:1"}), "tenant:a": frozenset({"check:2"})})

    assert publisher._owed == {"tenant:a": {"check:1", "check:2"}, "tenant:b": {"check:1"}}
