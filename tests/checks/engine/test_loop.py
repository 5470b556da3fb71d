"""The loop itself: many at once, hanging neighbours, lines, ends."""

import asyncio
import gc
import os
import socket
import threading
import time
from datetime import datetime
from typing import Any

import pytest

from apps.checks.engine import loop as loop_module
from apps.checks.engine.loop import ProbeLoop
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.core import clock
from tests.checks.engine.probing import job, probe_all, probe_loop
from tests.peers.web import answer, saying, serving


async def test_outcome_comes_with_its_token_and_start() -> None:
    seen: list[tuple[Any, Outcome, datetime]] = []
    before = clock.now()
    with serving(saying(answer())) as web, probe_loop(lambda *parts: seen.append(parts)) as loop:
        token = object()
        loop.submit(job(token, web.url()))
        while loop.in_flight:
            await asyncio.sleep(0.005)

    [(returned, outcome, started_at)] = seen
    assert returned is token
    assert outcome.verdict == Verdict.SUCCESS
    assert before <= started_at <= clock.now()


async def test_hanging_targets_do_not_delay_others() -> None:
    """A fifth of all targets hang, drip or never end; the others are probed as if they were alone."""
    behaviours = {
        b"/hang": lambda connection: web.stopped.wait(120),
        b"/drip": lambda connection: _drip(connection),
        b"/endless": lambda connection: _endless(connection),
    }

    def behave(connection: socket.socket, request: bytes) -> None:
        path = request.split(b" ")[1]
        if path in behaviours:
            behaviours[path](connection)
        else:
            connection.sendall(answer())

    finished: dict[Any, None] = {}
    with serving(behave) as web:
        loop = ProbeLoop(lambda token, outcome, _at: finished.setdefault((token, outcome.error_code), None))
        bad = [job(("bad", number), web.url(path.decode()), timeout=120) for number in range(13) for path in behaviours]
        good = [job(("good", number), web.url("/good"), timeout=120) for number in range(160)]
        for one in bad + good:
            loop.submit(one)
        async with asyncio.timeout(60):  # a hanging target alone holds its place for a hundred and twenty
            while sum(token[0] == "good" for token, _code in finished) < 160:
                await asyncio.sleep(0.005)
        loop.close()

    assert {code for token, code in finished if token[0] == "good"} == {""}


def _drip(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"H")
        time.sleep(0.1)


def _endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 1_000)
        time.sleep(0.05)


async def test_no_more_than_the_limit_run_at_once() -> None:
    lock = threading.Lock()
    running, most = 0, 0

    def count(connection: socket.socket, _request: bytes) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        connection.sendall(answer())

    with serving(count) as web:
        outcomes = await probe_all([job(number, web.url()) for number in range(40)], max_in_flight=5)

    assert len(outcomes) == 40
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SUCCESS}
    assert most <= 5


async def test_close_ends_what_is_under_way_without_an_outcome() -> None:
    seen: list[object] = []
    with serving(lambda _connection, _request: web.stopped.wait(60) and None) as web:
        loop = ProbeLoop(lambda *parts: seen.append(parts), max_in_flight=5)
        for number in range(10):
            loop.submit(job(number, web.url()))
        while web.connections < 5:
            await asyncio.sleep(0.005)
        loop.close()
        await asyncio.sleep(0.05)

    assert seen == []
    assert loop.in_flight == 0


async def test_descriptors_are_given_back() -> None:
    async def probe_twenty() -> int:
        """Return how many descriptors are open afterwards, those of the server being closed."""
        with serving(saying(answer())) as web:
            await probe_all([job(number, web.url()) for number in range(20)])
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    before = await probe_twenty()
    for _round in range(3):
        after = await probe_twenty()

    assert after == before


async def test_no_descriptor_left_is_our_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_arguments: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("apps.core.http.curl._socket.socket", exhausted)
    outcomes = await probe_all([job("one", "http://127.0.0.1:9/")])

    assert (outcomes["one"].verdict, outcomes["one"].error_code) == (Verdict.UNKNOWN, "own_fault")


async def test_broken_check_type_costs_its_own_probe_only(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        async def probe(self, _config: object, _context: object) -> Outcome:
            raise RuntimeError("broken")

    kinds = {"http": loop_module.CHECK_TYPES.get("http"), "broken": Broken()}
    monkeypatch.setattr(loop_module, "CHECK_TYPES", kinds)
    with serving(saying(answer())) as web:
        good, bad = job("good", web.url()), job("bad", web.url())
        object.__setattr__(bad, "kind", "broken")
        outcomes = await probe_all([bad, good])

    assert outcomes["good"].verdict == Verdict.SUCCESS
    assert (outcomes["bad"].verdict, outcomes["bad"].error_code) == (Verdict.UNKNOWN, "own_fault")
    assert "a probe of kind broken broke" in caplog.text


async def test_unknown_kind_is_our_own_fault(caplog: pytest.LogCaptureFixture) -> None:
    strange = job("strange", "http://127.0.0.1:9/")
    object.__setattr__(strange, "kind", "carrier-pigeon")

    outcomes = await probe_all([strange])

    assert outcomes["strange"].verdict == Verdict.UNKNOWN
    assert "carrier-pigeon" in caplog.text
