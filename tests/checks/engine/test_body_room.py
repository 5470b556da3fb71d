"""What the bodies of all answers under way may take together."""

import socket
import threading
from datetime import datetime
from typing import Any

import pytest

from apps.checks.engine import loop as engine
from apps.checks.engine.plain_answer import PlainAnswer
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.core.http.bodies import BodyRoom
from apps.core.http.curl import MEBIBYTE, Limits, OutboundRequest, Transfer
from tests.checks.engine.probing import PATIENCE, job, probe_loop, until
from tests.peers.web import serving

HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {MEBIBYTE}\r\n\r\n".encode()
MANY, ROOM = 5, 3  # answers of a MiB at once, and how many of them there is room for
WAYS = pytest.mark.parametrize("settings", [{}, {"keeps_cookies": True}], ids=["plain", "curl"])


@WAYS
async def test_what_there_is_no_room_for_is_our_own_fault_and_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr(engine, "MAX_BODIES", ROOM * MEBIBYTE)
    may_end = threading.Event()
    outcomes: list[Outcome] = []

    def all_but_the_end(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(HEAD + b"x" * (MEBIBYTE - 1))
        assert may_end.wait(PATIENCE)
        connection.sendall(b"x")

    def keep(_token: Any, outcome: Outcome, _started_at: datetime) -> None:
        outcomes.append(outcome)

    with serving(all_but_the_end) as web, probe_loop(keep) as probes:
        for number in range(MANY):
            probes.submit(job(number, web.url(), **settings))
        await until(lambda: len(outcomes) == MANY - ROOM)
        crowded = outcomes[:]
        may_end.set()
        await until(lambda: len(outcomes) == MANY)
        probes.submit(job("later", web.url(), **settings))
        await until(lambda: len(outcomes) == MANY + 1)

    assert [(outcome.verdict, outcome.error_code) for outcome in crowded] == [(Verdict.UNKNOWN, "own_fault")] * 2
    rest = outcomes[len(crowded) :]
    assert [(outcome.verdict, outcome.body_bytes) for outcome in rest] == [(Verdict.SUCCESS, MEBIBYTE)] * (ROOM + 1)


@WAYS
async def test_room_is_given_back_by_whoever_is_cut_off_or_given_up(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    rooms: list[BodyRoom] = []

    def made(limit: float) -> BodyRoom:
        rooms.append(BodyRoom(limit))
        return rooms[0]

    def half(connection: socket.socket, request: bytes) -> None:
        connection.sendall(HEAD + b"x" * 1_000)
        if b"/cut" not in request:
            web.stopped.wait(PATIENCE)

    monkeypatch.setattr(engine, "BodyRoom", made)
    outcomes: list[Outcome] = []
    with serving(half) as web:
        with probe_loop(lambda _token, outcome, _at: outcomes.append(outcome)) as probes:
            probes.submit(job("cut off", web.url("/cut"), **settings))
            await until(lambda: len(outcomes) == 1)
            assert rooms[0].held == 0
            probes.submit(job("given up", web.url(), **settings))
            await until(lambda: rooms[0].held == 1_000)
        assert rooms[0].held == 0

    assert outcomes[0].verdict == Verdict.FAILURE


def test_more_than_one_answer_may_have_is_not_counted() -> None:
    room = BodyRoom(100)
    answer = PlainAnswer(is_head=False, max_bytes=10, bodies=room)
    answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n" + b"x" * 50)

    assert (answer.is_truncated, answer.is_crowded, room.held) == (True, False, 10)
    answer.forget()
    assert room.held == 0


def test_more_than_one_transfer_may_have_is_not_counted() -> None:
    room = BodyRoom(100)
    transfer = Transfer(room)
    asked = OutboundRequest("GET", "http://127.0.0.1/", max_bytes=10)
    transfer.prepare(asked, Limits(timeout_seconds=1, allow_private=True))

    assert (transfer._take_body(b"x" * 50), room.held) == (0, 10)
    transfer.close()
    assert room.held == 0
