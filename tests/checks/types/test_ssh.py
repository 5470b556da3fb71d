"""The SSH check against OpenSSH, and against servers that only pretend."""

import asyncio
import struct
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519

from apps.checks.enums import Verdict
from apps.checks.types.ssh import SshConfig
from apps.checks.types.ssh_keys import fingerprint
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask
from tests.peers.sshd import SshServer, ssh_server
from tests.peers.talker import Handler, endless, saying, silent, talking

KINDS = ("ed25519", "ecdsa", "rsa")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("sshd"), *KINDS) as running:
        yield running


async def test_server_is_greeted(server: SshServer) -> None:
    outcome = await ask("ssh", host="127.0.0.1", port=server.port, banner="OpenSSH")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details["banner"].startswith("SSH-2.0-OpenSSH_")
    assert "fingerprint" not in outcome.details
    assert outcome.first_byte_ms is not None


async def test_other_greeting_is_shown(server: SshServer) -> None:
    outcome = await ask("ssh", host="127.0.0.1", port=server.port, banner="dropbear")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "ssh_banner_unmet")
    assert outcome.error_values["expected"] == "dropbear"


@pytest.mark.parametrize("kind", KINDS)
async def test_host_key_of_every_kind_is_proven(server: SshServer, kind: str) -> None:
    expected = server.fingerprints[kind]

    right = await ask("ssh", host="127.0.0.1", port=server.port, key_kind=kind, fingerprint=expected)
    wrong = await ask("ssh", host="127.0.0.1", port=server.port, key_kind=kind, fingerprint="SHA256:" + "A" * 43)

    assert (right.verdict, right.error_code) == (Verdict.SUCCESS, "")
    assert right.details["fingerprint"] == expected
    assert (wrong.verdict, wrong.error_code) == (Verdict.FAILURE, "ssh_key_unmet")
    assert wrong.error_values == {"fingerprint": expected}


async def test_missing_kind_of_key_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    with ssh_server(tmp_path_factory.mktemp("sshd"), "ed25519") as server:
        outcome = await ask("ssh", host="127.0.0.1", port=server.port, key_kind="rsa")
        other = await ask("ssh", host="127.0.0.1", port=server.port, fingerprint=server.fingerprints["ed25519"])

    assert outcome.error_code == "ssh_no_key"
    assert other.verdict == Verdict.SUCCESS


def _impostor(key: bytes) -> Handler:
    """Return a server that shows ``key`` and signs with another."""

    def string(data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + data

    def packet(payload: bytes) -> bytes:
        padding = 16 - (len(payload) + 5) % 8
        return struct.pack("!IB", len(payload) + padding + 1, padding) + payload + bytes(padding)

    async def read_packet(reader: asyncio.StreamReader) -> None:
        await reader.readexactly(struct.unpack("!I", await reader.readexactly(4))[0])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome to\r\nthis house\r\nSSH-2.0-impostor\r\n")
        await reader.readline()
        await read_packet(reader)
        writer.write(packet(bytes([2]) + string(b"ignore me")))
        writer.write(
            packet(bytes([20]) + bytes(16) + string(b"curve25519-sha256") + string(b"ssh-ed25519") * 9 + bytes(5))
        )
        await read_packet(reader)
        half = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
        forged = ed25519.Ed25519PrivateKey.generate().sign(b"whatever")
        signature = string(string(b"ssh-ed25519") + string(forged))
        writer.write(packet(bytes([31]) + string(key) + string(half) + signature))
        await reader.read()

    return serve


async def test_copied_host_key_is_not_enough() -> None:
    public = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    key = struct.pack("!I", 11) + b"ssh-ed25519" + struct.pack("!I", 32) + public

    async with talking(_impostor(key)) as port:
        outcome = await ask("ssh", host="127.0.0.1", port=port, fingerprint=fingerprint(key))

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "ssh_key_unproven")
    assert outcome.details == {"banner": "SSH-2.0-impostor"}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"SSH-1.5-old\r\n", "ssh_old_protocol"),
        (b"220 mail.example ESMTP\r\n" * 60, "wrong_protocol"),
        (b"x" * 5_000, "wrong_protocol"),
        (b"220 hello\r\n", "connection_lost"),
        (b"", "empty_response"),
    ],
)
async def test_other_servers_are_told_apart(said: bytes, code: str) -> None:
    async with talking(saying(said)) as port:
        outcome = await ask("ssh", host="127.0.0.1", port=port)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)


@pytest.mark.parametrize(
    "packet",
    [
        struct.pack("!I", 2**31),
        struct.pack("!IB", 5, 200) + bytes(4),
        struct.pack("!IB", 6, 0) + bytes([99]) + bytes(4),
        (struct.pack("!IB", 6, 0) + bytes([2]) + bytes(4)) * 30,
    ],
)
async def test_broken_key_exchange_is_named(packet: bytes) -> None:
    async with talking(saying(b"SSH-2.0-broken\r\n", packet, then_waits=True)) as port:
        outcome = await ask("ssh", host="127.0.0.1", port=port, key_kind="rsa")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "wrong_protocol")


async def test_silent_endless_closed_and_private() -> None:
    async with talking(silent) as port:
        assert (await ask("ssh", host="127.0.0.1", port=port, timeout=2)).error_code == "timeout"
    async with talking(endless) as port:
        assert (await ask("ssh", host="127.0.0.1", port=port)).error_code == "wrong_protocol"
    assert (await ask("ssh", host="127.0.0.1", port=port)).error_code == "connect_refused"
    refused = await ask("ssh", host="127.0.0.1", allow_private=False)
    assert (refused.error_code, refused.error_values["reason"]) == ("address_forbidden", "loopback")


def test_fingerprint_must_look_like_one() -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(SshConfig, {"host": "a.example", "fingerprint": "12:34:56"})

    assert list(caught.value.errors) == ["fingerprint"]
