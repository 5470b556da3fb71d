"""Real sockets on a real server with a real Redis."""

import asyncio
import socket
import threading
import time
from collections.abc import Mapping

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from apps.core import redis
from apps.live import consumers
from apps.live.domain import hub as hub_module
from apps.live.domain import publish as publishing
from apps.live.domain import wire
from apps.live.domain.publish import publish, publish_many
from tests.live.conftest import PATIENCE_SECONDS, Valkey, dial, heard, heard_type


async def say(topic: str, *ids: str) -> None:
    await asyncio.to_thread(publish, topic, ids)


async def test_delta_reaches_only_its_topic(address: str):
    async with dial(address, "/ws/live/open/a/") as a, dial(address, "/ws/live/open/b/") as b:
        first, second = await heard(a), await heard(b)

        await asyncio.to_thread(publish_many, {"open:a": ["check:1"], "open:b": ["check:2"]})

        assert (first["type"], first["ids"]) == ("hello", [])
        assert await heard(a) == {
            "type": "delta", "epoch": first["epoch"], "first": first["n"] + 1, "n": first["n"] + 1, "ids": ["check:1"],
        }  # fmt: skip
        assert (await heard(b))["n"] == second["n"] + 1
        with pytest.raises(TimeoutError):
            await heard(a, timeout=0.3)


async def test_burst_becomes_one_delta_now_and_one_after_a_second(address: str):
    async with dial(address, "/ws/live/open/a/") as socket_:
        n = (await heard(socket_))["n"]
        started = time.monotonic()

        for i in range(50):
            await say("open:a", f"check:{i}")
        leading, *trailing = [await heard(socket_), await heard(socket_)]
        while trailing[-1]["n"] < n + 50:  # a busy machine took more than the second to say it all
            trailing.append(await heard(socket_))

        assert (leading["first"], leading["n"], leading["ids"]) == (n + 1, n + 1, ["check:0"])
        assert [each["first"] for each in trailing] == [n + 2, *(each["n"] + 1 for each in trailing[:-1])]
        assert sorted(id_ for each in trailing for id_ in each["ids"]) == sorted(f"check:{i}" for i in range(1, 50))
        assert len(trailing) < time.monotonic() - started + 0.1  # one a second
        with pytest.raises(TimeoutError):
            await heard(socket_, timeout=1.2)


async def test_redis_killed_and_restarted_with_nothing_kept(
    address: str, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
):
    run, may_pay = publishing._run_script, threading.Event()

    def paid_when_somebody_listens(said: Mapping[str, frozenset[str]]) -> None:
        if threading.current_thread().name == "live-publisher":
            may_pay.wait(PATIENCE_SECONDS)
        run(said)

    monkeypatch.setattr(publishing, "_run_script", paid_when_somebody_listens)
    async with dial(address, "/ws/live/open/a/") as socket_:
        before = await heard(socket_)

        valkey.kill()
        assert (await heard_type(socket_, "stalled"))["type"] == "stalled"
        await say("open:a", "check:while-away")
        valkey.start()
        after = await heard_type(socket_, "resync")
        may_pay.set()

        assert after["epoch"] != before["epoch"]
        assert (await heard_type(socket_, "delta"))["ids"] == ["check:while-away"]
        await say("open:a", "check:later")
        assert (await heard_type(socket_, "delta"))["ids"] == ["check:later"]


async def test_redis_emptied_under_a_standing_connection(address: str):
    async with dial(address, "/ws/live/open/a/") as socket_:
        before = await heard(socket_)

        await asyncio.to_thread(redis.client().flushall)
        await say("open:a", "check:1")
        after = await heard(socket_)

        assert after["type"] == "resync"
        assert after["epoch"] != before["epoch"]


async def test_socket_that_opens_while_redis_is_away_is_told_and_later_resynced(address: str, valkey: Valkey):
    valkey.kill()

    async with dial(address, "/ws/live/open/a/") as socket_:
        assert await heard(socket_) == {"type": "stalled"}
        valkey.start()
        assert (await heard(socket_))["type"] == "resync"


async def test_lost_message_makes_a_resync(address: str):
    async with dial(address, "/ws/live/open/a/") as socket_:
        n = (await heard(socket_))["n"]

        await asyncio.to_thread(redis.client().incr, wire.sequence_key("open:a"))
        await say("open:a", "check:1")

        message = await heard(socket_)
        assert (message["type"], message["n"]) == ("resync", n + 2)


async def test_lost_message_is_not_hidden_by_merging(address: str):
    async with dial(address, "/ws/live/open/a/") as socket_:
        n = (await heard(socket_))["n"]

        await say("open:a", "check:1")
        await say("open:a", "check:2")
        await asyncio.to_thread(redis.client().incr, wire.sequence_key("open:a"))
        await say("open:a", "check:3")

        assert (await heard(socket_))["type"] == "delta"
        assert (await heard_type(socket_, "resync"))["n"] == n + 4


async def test_reconnecting_browser_hears_what_it_missed(address: str):
    async with dial(address, "/ws/live/open/a/") as socket_, dial(address, "/ws/live/open/a/") as stays:
        hello = await heard(socket_)
        await heard(stays)
        await socket_.close()
        await say("open:a", "check:1", "outage:9")
        await say("open:a", "check:2")
        while (await heard_type(stays, "delta"))["n"] < hello["n"] + 2:
            pass

    query = f"?epoch={hello['epoch']}&n={hello['n']}"
    async with dial(address, f"/ws/live/open/a/{query}") as socket_:
        again = await heard(socket_)

    assert (again["n"], again["ids"]) == (hello["n"] + 2, ["check:1", "check:2", "outage:9"])


@pytest.mark.parametrize("query", ["?epoch=other&n=5", "?epoch={epoch}&n=5"])
async def test_reconnecting_browser_from_too_long_ago_fetches_everything(address: str, query: str):
    async with dial(address, "/ws/live/open/a/") as socket_:
        hello = await heard(socket_)
        await say("open:a", "check:1")
        await heard_type(socket_, "delta")

    async with dial(address, "/ws/live/open/a/" + query.format(epoch=hello["epoch"])) as socket_:
        assert (await heard(socket_))["ids"] == ["*"]


async def test_new_page_hears_what_changed_while_it_loaded(address: str, monkeypatch: pytest.MonkeyPatch):
    now = hub_module._now
    async with dial(address, "/ws/live/open/warm/") as warm, dial(address, "/ws/live/open/a/") as here:
        await heard(warm)
        await heard(here)
        await say("open:a", "check:early")
        await heard_type(here, "delta")
        monkeypatch.setattr(hub_module, "_now", lambda: now() + 60)
        await say("open:a", "check:1")
        await heard_type(here, "delta")

        async with (
            dial(address, "/ws/live/open/a/?age=50000") as young,
            dial(address, "/ws/live/open/a/?age=3600000") as old,
        ):
            assert (await heard(young))["ids"] == ["check:1"]
            assert (await heard(old))["ids"] == ["*"]


@pytest.mark.parametrize("query", ["?n=-1", "?n=x&age=y", "?age=%00", "?n=" + "9" * 400, "?epoch=%ff&n=1"])
async def test_nonsense_in_the_query_does_no_harm(address: str, query: str):
    async with dial(address, f"/ws/live/open/a/{query}") as socket_:
        assert (await heard(socket_))["type"] == "hello"


async def test_slow_viewer_delays_nobody_and_is_told_to_catch_up(address: str):
    receive_buffer = socket.socket()
    receive_buffer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    port = int(address.rpartition(":")[2])
    receive_buffer.connect(("127.0.0.1", port))
    receive_buffer.setblocking(False)
    slow = dial(address, "/ws/live/open/a/", sock=receive_buffer, max_queue=1, compression=None)

    async with slow as stuck, dial(address, "/ws/live/open/a/") as quick:
        first = await heard(quick)
        listeners = consumers.hub()._listeners["open:a"]
        for round_ in range(60):  # straight into the fan-out: sixty big deltas without the second between them
            payload = wire.delta(epoch="e", first=round_, n=round_, ids=[f"check:{i:0500}" for i in range(200)])
            for listener in listeners:
                listener.push(payload)
            assert (await heard(quick))["n"] == round_  # though the other one reads nothing

        assert (await heard_type(stuck, "resync"))["n"] == first["n"]


async def test_unknown_page_kind_and_address_are_refused(address: str):
    for path in ("/ws/live/open/nowhere/", "/ws/live/unknown/a/"):
        async with dial(address, path) as socket_:
            with pytest.raises(ConnectionClosed) as closed:
                await heard(socket_)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4404
    with pytest.raises(InvalidStatus) as refused:
        await dial(address, "/ws/elsewhere/")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", None])
async def test_foreign_origin_is_refused(address: str, origin: str | None):
    with pytest.raises(InvalidStatus) as refused:
        await dial(address, "/ws/live/open/a/", origin=origin)

    assert refused.value.response.status_code == 403


async def test_talking_socket_is_closed(address: str):
    async with dial(address, "/ws/live/open/a/") as socket_:
        await socket_.send("hello?")
        with pytest.raises(ConnectionClosed) as closed:
            await heard_type(socket_, "never")

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008


async def test_seats_are_bounded_and_given_back(address: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(consumers, "SEATS_PER_ADDRESS", 1)

    async with dial(address, "/ws/live/open/a/") as first:
        await heard(first)
        async with dial(address, "/ws/live/open/a/") as second:
            with pytest.raises(ConnectionClosed) as closed:
                await heard(second)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4429
        await first.close()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while consumers._seats._taken:
                await asyncio.sleep(0.01)

        async with dial(address, "/ws/live/open/a/") as third:
            assert (await heard(third))["type"] == "hello"


async def test_socket_that_redis_does_not_answer_for_comes_again(address: str, monkeypatch: pytest.MonkeyPatch):
    async with dial(address, "/ws/live/open/a/") as first:
        await heard(first)
        monkeypatch.setattr(consumers.hub(), "_read_numbers", refuse)

        async with dial(address, "/ws/live/open/b/") as second:
            with pytest.raises(ConnectionClosed) as closed:
                await heard(second)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1013


async def refuse(topics: list[str]) -> None:
    raise TimeoutError("busy")
