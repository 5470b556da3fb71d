"""The shape of messages."""

import json

import pytest

from apps.live.domain import wire


def test_few_ids_stay_as_they_are():
    assert wire.condensed(["check:1", "check:1", "outage:2"]) == {"check:1", "outage:2"}


def test_crowded_kind_becomes_a_wildcard_and_others_stay():
    ids = [f"check:{i}" for i in range(wire.MAX_IDS_OF_A_KIND + 1)] + ["outage:2"]

    assert wire.condensed(ids) == {"check:*", "outage:2"}
    assert wire.condensed(ids[1:]) == frozenset(ids[1:])


def test_wildcards_swallow():
    assert wire.condensed(["check:*", "check:1", "outage:2"]) == {"check:*", "outage:2"}
    assert wire.condensed(["*", "check:1"]) == {"*"}


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"e":"1","m":[[1,2]]}', b'{"e":"1","m":[["x","t",[]]]}', b'{"e":"1","m":3}', b"\xff"]
)
def test_foreign_messages_are_refused(data: bytes):
    with pytest.raises(ValueError):  # noqa: PT011 -- also JSONDecodeError and UnicodeDecodeError
        wire.parse(data)


def test_message_survives_the_way_through_redis():
    data = '{"e":"abc","m":[[7,' + wire.publication("tenant:a", ["check:1", "check:ü"]) + "]]}"

    assert wire.parse(data.encode()) == ("abc", [wire.Heard("tenant:a", 7, frozenset({"check:1", "check:ü"}))])


def test_payloads_to_the_browser():
    assert json.loads(wire.hello(epoch="e", n=1, ids={"b:1", "a:1"})) == {
        "type": "hello", "epoch": "e", "n": 1, "ids": ["a:1", "b:1"],
    }  # fmt: skip
    assert json.loads(wire.delta(epoch="e", first=2, n=3, ids={"a:1"})) == {
        "type": "delta", "epoch": "e", "first": 2, "n": 3, "ids": ["a:1"],
    }  # fmt: skip
    assert json.loads(wire.resync(epoch="e", n=3)) == {"type": "resync", "epoch": "e", "n": 3}
    assert json.loads(wire.beat(epoch="e", n=3)) == {"type": "beat", "epoch": "e", "n": 3}
    assert json.loads(wire.stalled()) == {"type": "stalled"}
