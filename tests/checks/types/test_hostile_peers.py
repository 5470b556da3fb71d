"""Silence, endless words, noise, and an end at every byte: each check below HTTP blames the server, in time and by name."""

import asyncio
import random
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import dns.message
import dns.rrset
import pytest

from apps.checks.engine.job import ProbeJob
from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.explaining import all_messages
from apps.checks.types.registry import CHECK_TYPES
from tests.checks.engine.probing import PATIENCE, probe_all
from tests.checks.types.test_service_garbage import GOOD
from tests.peers.talker import Handler, answering, silent, talking

KEXINIT = (
    bytes([20])
    + bytes(16)
    + b"".join(struct.pack("!I", len(names)) + names for names in (b"curve25519-sha256", b"ssh-ed25519", *[b""] * 8))
)
SSH_PACKET = struct.pack("!IB", len(KEXINIT) + 5 + 5, 4) + KEXINIT + bytes(5) + bytes(4)
SSH_REPLY = bytes([31]) + struct.pack("!I", 51) + b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32) + struct.pack("!I", 32)
SSH_REPLY += b"\x09" * 32 + struct.pack("!I", 83) + b"\0\0\0\x0bssh-ed25519\0\0\0\x40" + bytes(64)
TALKS: dict[str, tuple[bytes, dict[str, Any]]] = {
    **{kind: (b"".join(parts), settings) for kind, (parts, settings) in GOOD.items()},
    "tcp": (b"220 hi\r\n250 go\r\n", {"script": 'expect "220 "\nsend "EHLO x\\r\\n"\nexpect /^250 /'}),
    "ssh": (
        b"words\r\nSSH-2.0-x\r\n" + SSH_PACKET + struct.pack("!IB", len(SSH_REPLY) + 5, 4) + SSH_REPLY + bytes(4),
        {"key_kind": "ed25519"},
    ),
    "tls": (b"220 hi\r\n250-x\r\n250 STARTTLS\r\n220 go\r\n\x16\x03\x03\0\x02\x02\0", {"prelude": "smtp"}),
    "dns": (b"", {"name": "www.example.com", "transport": "tcp", "dnssec": True}),
}
# A good conversation that cannot be recited: it ends in proofs.
UNPROVABLE = frozenset({"ssh", "tls", "mqtt", "dns"})
DATAGRAMS: dict[str, dict[str, Any]] = {
    "udp": {"payload": "ping", "expected": "pong"},
    "ntp": {},
    "dns": {"name": "www.example.com", "dnssec": True},
}
NOISES = 40


def _job(token: Any, kind: str, port: int, settings: dict[str, Any], timeout: float = PATIENCE) -> ProbeJob:
    place = "server" if kind == "dns" else "host"
    config = CHECK_TYPES.get(kind).Config(**{place: "127.0.0.1", "port": port, **settings})
    return ProbeJob(token, kind, config, timeout, allow_private=True)


def _check(outcomes: dict[Any, Outcome]) -> None:
    """Every outcome blames the server, with sentences for it, and keeps little."""
    assert {token: outcome for token, outcome in outcomes.items() if outcome.verdict == Verdict.UNKNOWN} == {}
    assert {outcome.error_code for outcome in outcomes.values()} - set(all_messages()) <= {""}
    assert all(len(str((outcome.details, outcome.error_values))) < 4_096 for outcome in outcomes.values())


def _each_in_turn(words: list[bytes]) -> Handler:
    """Return a handler that says one of the words to each who comes, and then no more."""
    waiting = iter(words)

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(waiting))
        writer.write_eof()
        while await reader.read(65_536):
            pass

    return speak


@pytest.mark.parametrize("kind", sorted(TALKS))
async def test_end_at_any_byte_is_the_servers_fault(kind: str) -> None:
    said, settings = TALKS[kind]
    cuts = [said[:end] for end in range(len(said) + (kind in UNPROVABLE))]

    async with talking(_each_in_turn(cuts)) as port:
        outcomes = await probe_all([_job(number, kind, port, settings) for number in range(len(cuts))])

    _check(outcomes)
    good = sum(outcome.verdict == Verdict.SUCCESS for outcome in outcomes.values())
    assert good <= 8  # where what is missing at the end is a farewell


@pytest.mark.parametrize("kind", sorted(TALKS))
async def test_noise_is_the_servers_fault(kind: str) -> None:
    chance = random.Random(f"noise for {kind}")
    said, settings = TALKS[kind]
    noises = [
        said[: chance.randrange(len(said) + 1)] + chance.randbytes(chance.choice((1, 30, 5_000)))
        for _number in range(NOISES)
    ]

    async with talking(_each_in_turn(noises)) as port:
        outcomes = await probe_all([_job(number, kind, port, settings) for number in range(NOISES)])

    _check(outcomes)


@pytest.mark.parametrize("kind", sorted(TALKS))
@pytest.mark.parametrize("filler", [b"A", b"\r\n", b"\0", b"* a\r\n", b"\xff"], ids=repr)
async def test_endless_words_end_at_a_limit(kind: str, filler: bytes) -> None:
    said, settings = TALKS[kind]

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said[: len(said) // 2])
        while True:
            writer.write(filler * 4_096)
            await writer.drain()

    async with talking(flood) as port:
        outcomes = await probe_all([_job("one", kind, port, settings)])

    _check(outcomes)
    assert outcomes["one"].error_code != ""
    assert (outcomes["one"].body_bytes or 0) <= 2**20 + 65_536


@pytest.mark.parametrize("kind", sorted(TALKS))
async def test_silence_at_any_point_ends_in_time(kind: str) -> None:
    said, settings = TALKS[kind]
    pieces = [said[: len(said) * part // 6] for part in range(6)]
    waiting = iter(pieces)

    async def pause(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(waiting))
        await asyncio.sleep(60)

    async with talking(pause) as port:
        outcomes = await probe_all([_job(part, kind, port, settings, 2) for part in range(6)])

    _check(outcomes)
    assert outcomes[0].error_code == "timeout"


@asynccontextmanager
async def _cutting(port: int, limits: Iterator[int]) -> Any:
    """Pass bytes on to and from ``port``, but to each who comes only so many."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = next(limits)
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)

        async def forth() -> None:
            while data := await reader.read(65_536):
                inner_writer.write(data)

        task = asyncio.create_task(forth())
        try:
            while left and (data := await inner_reader.read(left)):
                left -= len(data)
                writer.write(data)
        finally:
            task.cancel()
            inner_writer.transport.abort()

    async with talking(relay) as cutting_port:
        yield cutting_port


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("kind", "settings"), [("tls", {}), ("tcp", {"tls": True, "script": 'expect "never"'})])
async def test_handshake_cut_anywhere_is_the_servers_fault(
    server_tls: ssl.SSLContext, kind: str, settings: dict[str, Any]
) -> None:
    limits = list(range(0, 1_300, 29))
    async with talking(silent, tls=server_tls) as port, _cutting(port, iter(limits)) as cutting_port:
        config = {"host": "localhost", **settings}
        outcomes = await probe_all([_job(limit, kind, cutting_port, config) for limit in limits], max_in_flight=10)

    _check(outcomes)
    assert {outcomes[limit].error_code for limit in limits[:10]} == {"tls_failed"}


def _datagrams(chance: random.Random, kind: str) -> Callable[[bytes], list[bytes]]:
    """Answer with noise, and with answers that are right but for a byte or for their length."""

    def answer(question: bytes) -> list[bytes]:
        right = bytearray(_right_answer(kind, question))
        if chance.random() < 0.3:
            return [chance.randbytes(chance.choice((0, 1, 12, 47, 48, 500))), b""] * 3
        for _change in range(chance.randrange(4)):
            right[chance.randrange(2 if kind == "dns" else 0, len(right))] = chance.randrange(256)
        return [bytes(right[: chance.randrange(len(right) + 1)]), bytes(right)]

    return answer


def _right_answer(kind: str, question: bytes) -> bytes:
    if kind == "ntp":
        return b"\x24\x02" + bytes(10) + b"LOCL" + bytes(8) + question[40:48] + question[40:48] * 2
    if kind == "udp":
        return b"pong"
    query = dns.message.from_wire(question)
    answer = dns.message.make_response(query)
    name = query.question[0].name
    answer.answer.append(dns.rrset.from_text(name, 60, "IN", "CNAME", "a.example.com."))
    answer.answer.append(dns.rrset.from_text("a.example.com.", 60, "IN", "A", "192.0.2.1", "192.0.2.2"))
    answer.authority.append(dns.rrset.from_text(name, 60, "IN", "NSEC", "b.example.com. A RRSIG NSEC"))
    signature = f"A 13 3 60 20400101000000 20200101000000 1 example.com. {'AAAA' * 21}AA=="
    answer.answer.append(dns.rrset.from_text("a.example.com.", 60, "IN", "RRSIG", signature))
    return answer.to_wire()


@pytest.mark.parametrize("kind", sorted(DATAGRAMS))
async def test_noise_in_datagrams_is_the_servers_fault(kind: str) -> None:
    async with answering(_datagrams(random.Random(f"datagrams for {kind}"), kind)) as port:
        jobs = [_job(number, kind, port, DATAGRAMS[kind], 1) for number in range(4 * NOISES)]
        outcomes = await probe_all(jobs)

    _check(outcomes)
