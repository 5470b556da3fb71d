"""Answers in very many small parts cost the memory of what they say, and never the loop."""

import asyncio
import socket
import threading
import tracemalloc
from datetime import datetime
from typing import Any

import pytest

from apps.checks.engine.plain import READS_IN_A_ROW
from apps.checks.engine.plain_answer import PlainAnswer
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.core.http.bodies import BodyRoom
from apps.core.http.curl import MEBIBYTE, Limits, OutboundRequest, Transfer
from tests.checks.engine.probing import PATIENCE, job, probe, probe_loop
from tests.peers.web import serving

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PART = b"2\r\nok\r\n"
WHOLE = PART * (MEBIBYTE // 2) + b"0\r\n\r\n"
FEW = 50_000  # parts; as objects of their own they would be two MiB


def test_two_bytes_at_a_time_cost_what_a_body_costs() -> None:
    answer = PlainAnswer(is_head=False, max_bytes=MEBIBYTE, bodies=BodyRoom())
    answer.feed(HEAD)
    tracemalloc.start()

    try:
        for start in range(0, FEW, 1_000):
            answer.feed(PART * min(1_000, FEW - start))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert answer.body == b"ok" * FEW
    assert held < 4 * len(answer.body)
    answer.forget()


def test_two_bytes_at_a_time_cost_what_a_body_costs_by_curl() -> None:
    transfer = Transfer()
    transfer.prepare(OutboundRequest("GET", "http://127.0.0.1/"), Limits(timeout_seconds=1, allow_private=True))
    tracemalloc.start()

    try:
        for _part in range(FEW):
            transfer._take_body(bytes(bytearray(b"ok")))  # an object of its own, as libcurl's are
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert held < 4 * 2 * FEW
    assert transfer.finish().body == b"ok" * FEW
    transfer.close()


@pytest.mark.parametrize("settings", [{}, {"keeps_cookies": True}], ids=["plain", "curl"])
async def test_whole_body_is_put_together(settings: dict[str, Any]) -> None:
    def in_parts(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(HEAD + WHOLE)

    with serving(in_parts) as web:
        outcome = await probe(web.url(), keyword="ok" * (MEBIBYTE // 2), **settings)

    assert (outcome.verdict, outcome.error_code, outcome.body_bytes) == (Verdict.SUCCESS, "", MEBIBYTE)


async def test_others_have_their_turn_while_a_fast_peer_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    is_full = threading.Event()
    turn, fed = 0, []
    feed = PlainAnswer.feed
    outcomes: list[Outcome] = []
    loop = asyncio.get_running_loop()

    def hurried(connection: socket.socket, _request: bytes) -> None:
        sent, data = 0, HEAD + WHOLE
        connection.setblocking(False)
        try:
            while sent < len(data):
                sent += connection.send(data[sent:])
        except BlockingIOError:  # as much as the machine takes lies ready
            pass
        is_full.set()
        connection.setblocking(True)
        connection.sendall(data[sent:])

    def noted(answer: PlainAnswer, data: bytes) -> None:
        assert is_full.wait(PATIENCE)
        fed.append(turn)
        feed(answer, data)

    def count() -> None:
        nonlocal turn
        turn += 1
        if not outcomes:
            loop.call_soon(count)

    def keep(_token: Any, outcome: Outcome, _started_at: datetime) -> None:
        outcomes.append(outcome)

    monkeypatch.setattr(PlainAnswer, "feed", noted)
    with serving(hurried) as web, probe_loop(keep) as probes:
        probes.submit(job("one", web.url()))
        count()
        async with asyncio.timeout(2 * PATIENCE):
            while not outcomes:
                await asyncio.sleep(0.01)

    assert (outcomes[0].verdict, outcomes[0].body_bytes) == (Verdict.SUCCESS, MEBIBYTE)
    # A rest may end in the turn in which more has come.
    assert max(map(fed.count, set(fed))) <= 2 * READS_IN_A_ROW
