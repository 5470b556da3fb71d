"""The generic cell rate algorithm, shared through Redis and without it."""

import uuid

import pytest
import redis

from apps.core import rate
from apps.core.rate import Limit, Verdict, spend

SLOW = Limit(per_minute=6, burst=2)


def verdicts(key: str, count: int) -> list[Verdict]:
    return [spend(key, SLOW) for _ in range(count)]


@pytest.fixture
def without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2)
    monkeypatch.setattr("apps.core.redis.client", lambda: gone)
    monkeypatch.setattr(rate, "_local_until", 0.0)


def assert_burst_then_refusal(found: list[Verdict]) -> None:
    assert [(verdict.is_allowed, verdict.remaining) for verdict in found] == [(True, 1), (True, 0), (False, 0)]
    headers = found[2].headers()
    seconds = int(headers["Retry-After"])
    assert 1 <= seconds <= 10  # less the time that this took
    assert headers == {
        "RateLimit-Limit": "2",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": str(seconds + 10),
        "Retry-After": str(seconds),
    }


def test_burst_passes_and_the_next_one_waits_for_its_turn() -> None:
    assert_burst_then_refusal(verdicts(str(uuid.uuid4()), 3))


def test_keys_are_counted_apart() -> None:
    first, second = str(uuid.uuid4()), str(uuid.uuid4())

    verdicts(first, 3)

    assert spend(second, SLOW).is_allowed


def test_without_redis_the_process_counts_for_itself(without_redis: None) -> None:
    assert_burst_then_refusal(verdicts(str(uuid.uuid4()), 3))


def test_time_gives_turns_back() -> None:
    fast, key = Limit(per_minute=60_000, burst=1), str(uuid.uuid4())

    import time

    found = [spend(key, fast).is_allowed]
    time.sleep(0.005)
    found.append(spend(key, fast).is_allowed)

    assert found == [True, True]


def test_local_counter_forgets_what_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate, "MAX_LOCAL_KEYS", 2)
    counter = rate._LocalCounter()

    for number in range(10):
        counter.spend(str(number), Limit(per_minute=60_000_000, burst=1))

    assert len(counter._arrivals) <= 4
