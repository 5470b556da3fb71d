"""What the peers leave behind: nothing, whatever their clients do, since it would break another test."""

import asyncio
import gc
import smtplib
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.peers.process import PORTS, free_port
from tests.peers.smtp import mail_server
from tests.peers.talker import endless, silent, talking
from tests.peers.web import answer, saying, serving

OF_TARGETS = "process_request_thread"


@contextmanager
def nothing_left() -> Iterator[None]:
    """Fail where the block leaves threads, or connections for the garbage collector."""
    threads = set(threading.enumerate())
    gc.collect()
    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    assert [str(warning.message) for warning in left] == []
    # The targets of a product that runs beside (tests/e2e) take a thread for each request; no peer of these tests does.
    assert {each for each in set(threading.enumerate()) - threads if OF_TARGETS not in each.name} == set()


async def talk(turns: int, handler: Any) -> None:
    """Let a client arrive so many turns of the loop before the end, and stay."""
    async with talking(handler) as port:
        with socket.create_connection(("127.0.0.1", port)):
            for _turn in range(turns):
                await asyncio.sleep(0)


@pytest.mark.parametrize("handler", [silent, endless])
@pytest.mark.parametrize("turns", range(6))
def test_talker_ends_with_its_clients_still_there(handler: Any, turns: int) -> None:
    with nothing_left():
        asyncio.run(talk(turns, handler))


def test_web_server_ends_those_who_stay() -> None:
    def listen(connection: socket.socket, _request: bytes) -> None:
        while connection.recv(1_000):
            pass

    with nothing_left(), socket.socket() as client, serving(listen, listens=False) as web:
        client.connect(("127.0.0.1", web.port))


def test_web_server_counts_everybody_who_came() -> None:
    with serving(saying(answer())) as web:
        clients = [socket.create_connection(("127.0.0.1", web.port)) for _number in range(50)]
        for client in clients:
            client.close()

    assert (web.connections, web.asked) == (50, [])


@pytest.mark.parametrize("leave", [smtplib.SMTP.quit, smtplib.SMTP.close, lambda _client: None])
def test_mail_server_ends_with_its_clients_still_there(leave: Callable[[smtplib.SMTP], object]) -> None:
    with nothing_left():
        with mail_server() as mailbox:
            client = smtplib.SMTP("127.0.0.1", mailbox.port)
            leave(client)
        with suppress(OSError):
            client.close()


def test_free_ports_are_no_two_processes() -> None:
    say = "from tests.peers.process import free_port; print(*(free_port() for _number in range(20)))"
    root = Path(__file__).resolve().parents[2]
    processes = [
        subprocess.Popen([sys.executable, "-c", say], stdout=subprocess.PIPE, cwd=root) for _number in range(2)
    ]
    ports = [int(word) for process in processes for word in process.communicate()[0].split()]
    ports.append(free_port())

    assert len(set(ports)) == 41
    assert all(port in PORTS for port in ports)
