"""Whatever a server says, a check of a service ends with a verdict about that server."""

import random
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import bson
import pytest

from apps.checks.engine.job import ProbeJob
from apps.checks.enums import Verdict
from apps.checks.types.explaining import all_messages
from apps.checks.types.registry import CHECK_TYPES
from tests.checks.engine.probing import PATIENCE, probe_all
from tests.peers import mysql
from tests.peers.web import serving

ROUNDS = 60
LONG = b"A" * 200


def _postgres(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("!i", len(body) + 4) + body


def _mongo(number: int, document: dict[str, Any]) -> bytes:
    body = b"\0\0\0\0\0" + bson.encode(document)
    return struct.pack("<iiii", len(body) + 16, 1, number, 2013) + body


def _kafka(number: int, body: bytes) -> bytes:
    return struct.pack("!ii", len(body) + 4, number) + body


def _amqp(method: bytes, body: bytes) -> bytes:
    return struct.pack("!BHI", 1, 0, len(body) + 4) + method + body + b"\xce"


START = b"\0\x09" + struct.pack("!I", 11) + b"\x01aS\0\0\0\x04text" + struct.pack("!I", 5) + b"PLAIN\0\0\0\0"
CLUSTER = b"".join(
    (
        struct.pack("!iii", 0, 1, 1) + b"\0\x01h" + struct.pack("!ihhi", 9092, -1, -1, 1),
        struct.pack("!ih", 1, 0) + b"\0\x01t\0",
        struct.pack("!ihii", 1, 0, 0, 1) + struct.pack("!ii", 1, 1) * 2,
    )
)
LOGIN = {"username": "user", "password": "secret"}
READS = {"query": "SELECT 1", "comparison": "at_least", "expected": "1", **LOGIN}

# kind -> what its server says in a good conversation, in the order of the questions, and the settings that ask for it all
GOOD: dict[str, tuple[list[bytes], dict[str, Any]]] = {
    "smtp": (
        [b"220 hi\r\n", b"250-x\r\n250 AUTH PLAIN\r\n", b"235 in\r\n", b"250 a\r\n", b"250 b\r\n", b"250 c\r\n"],
        {"security": "none", "recipient": "a@example.com", **LOGIN},
    ),
    "imap": (
        [
            b"* OK hi\r\n",
            b"* CAPABILITY IMAP4rev1\r\na1 OK\r\n",
            b"* {3}\r\nabc\r\na2 OK\r\n",
            b"* 2 EXISTS\r\na3 OK\r\n",
        ],
        {"security": "none", "folder": "INBOX", **LOGIN},
    ),
    "pop3": (
        [b"+OK hi\r\n", b"+OK\r\nUSER\r\n.\r\n", b"+OK\r\n", b"+OK\r\n", b"+OK 3 120\r\n"],
        {"security": "none", **LOGIN},
    ),
    "postgresql": (
        [
            _postgres(b"R", b"\0\0\0\x05salt"),
            _postgres(b"R", b"\0\0\0\0") + _postgres(b"S", b"server_version\x0018\0") + _postgres(b"Z", b"I"),
            _postgres(b"C", b"BEGIN\0") + _postgres(b"Z", b"T"),
            _postgres(b"D", b"\0\x01\0\0\0\x011") + _postgres(b"C", b"SELECT 1\0") + _postgres(b"Z", b"T"),
            _postgres(b"C", b"ROLLBACK\0") + _postgres(b"Z", b"I"),
        ],
        {"security": "none", **READS},
    ),
    "mysql": (
        [mysql.greeting(), mysql.packet(2, mysql.OK)]
        + [mysql.packet(1, mysql.OK)] * 4
        + [mysql.packet(1, b"\x01") + mysql.packet(2, b"x") + mysql.packet(3, b"\xfe\0\0\0\0")]
        + [mysql.packet(4, b"\x011") + mysql.packet(5, b"\xfe\0\0\0\0")],
        {"security": "none", **READS},
    ),
    "redis": (
        [b"+OK\r\n", b"+PONG\r\n", b"$11\r\nrole:master\r\n", b":1\r\n"],
        {"key": "a", "role": "primary", **LOGIN},
    ),
    "mongodb": (
        [
            _mongo(1, {"ok": 1.0, "isWritablePrimary": True, "hosts": ["a"]}),
            _mongo(2, {"ok": 1.0}),
            _mongo(3, {"ok": 1.0, "version": "7"}),
        ],
        {},
    ),
    "amqp": (
        [
            _amqp(b"\0\x0a\0\x0a", START),
            _amqp(b"\0\x0a\0\x1e", b"\0\0\0\0\0\0\0\0"),
            _amqp(b"\0\x0a\0\x29", b"\0"),
            _amqp(b"\0\x14\0\x0b", b"\0\0\0\0"),
            _amqp(b"\0\x32\0\x0b", b"\x01q\0\0\0\x02\0\0\0\x01"),
        ],
        {"queue": "q", **LOGIN},
    ),
    "mqtt": (
        [b"\x20\x02\0\0", b"\x90\x03\0\x01\0", b"\x40\x02\0\x02", b"\x30\x05\0\x03abc"],
        {"topic": "abc", **LOGIN},
    ),
    "kafka": ([_kafka(1, struct.pack("!hihhh", 0, 1, 3, 0, 13)), _kafka(2, CLUSTER)], {"topic": "t"}),
    "nats": (
        [b'INFO {"server_name":"x"}\r\n', b"PONG\r\n", b'MSG _INBOX.x 1 13\r\n{"streams":3}\r\n'],
        {"needs_jetstream": True, **LOGIN},
    ),
}


def _spoiled(parts: list[bytes], chance: random.Random) -> bytes:
    """Return a good conversation with something wrong in it."""
    whole = bytearray(b"".join(parts))
    for _change in range(chance.choice((1, 1, 2, 5))):
        at = chance.randrange(len(whole) or 1)
        way = chance.randrange(5)
        if way == 0:
            whole[at : at + 1] = bytes([chance.randrange(256)])
        elif way == 1:
            del whole[at:]
        elif way == 2:
            whole[at:at] = chance.randbytes(chance.randrange(1, 20))
        elif way == 3:
            whole[at : at + 4] = b"\xff\xff\xff\xff"
        else:
            whole[at:at] = LONG
    return bytes(whole)


@contextmanager
def _saying(words: list[bytes]) -> Iterator[list[int]]:
    """Serve each of the words on a port of its own, to the end."""

    def handler(said: bytes) -> Any:
        def talk(connection: Any, _request: bytes) -> None:
            connection.sendall(said)
            connection.shutdown(1)
            while connection.recv(65_536):
                pass

        return talk

    with ExitStack() as stack:
        yield [stack.enter_context(serving(handler(said), listens=False)).port for said in words]


@pytest.mark.parametrize("kind", GOOD)
async def test_garbage_is_the_servers_fault_and_explained(kind: str) -> None:
    chance = random.Random(f"garbage for {kind}")
    parts, settings = GOOD[kind]
    words = [_spoiled(parts, chance) for _round in range(ROUNDS)] + [chance.randbytes(300) for _round in range(10)]
    config = CHECK_TYPES.get(kind).Config

    with _saying(words) as ports:
        jobs = [
            ProbeJob(port, kind, config(host="127.0.0.1", port=port, **settings), 2, allow_private=True)
            for port in ports
        ]
        outcomes = await probe_all(jobs)

    assert len(outcomes) == len(words)
    broken = [
        (said, outcomes[port])
        for said, port in zip(words, ports, strict=True)
        if outcomes[port].verdict == Verdict.UNKNOWN
    ]
    assert broken == []
    assert {outcome.error_code for outcome in outcomes.values()} - set(all_messages()) <= {""}
    assert all(len(str(outcome.details)) < 4_096 for outcome in outcomes.values())


@pytest.mark.parametrize("kind", [kind for kind in GOOD if kind not in ("mqtt",)])
async def test_unspoiled_conversation_is_good(kind: str) -> None:
    """Otherwise the garbage would never get far."""
    parts, settings = GOOD[kind]
    with _saying([b"".join(parts)]) as [port]:
        config = CHECK_TYPES.get(kind).Config(host="127.0.0.1", port=port, **settings)
        outcomes = await probe_all([ProbeJob("one", kind, config, PATIENCE, allow_private=True)])

    assert (outcomes["one"].error_code, outcomes["one"].error_values) == ("", {})
