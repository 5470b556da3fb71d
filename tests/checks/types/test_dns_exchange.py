"""Asking a name server: every transport, what gets lost or cut on the way, and servers that are old, hostile or gone."""

import errno
import socket
import struct
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rrset
import pytest

from apps.checks.engine import network as network_module
from apps.checks.enums import Verdict
from apps.checks.types import dns_exchange
from apps.checks.types.base import ProbeFailure
from tests.checks.engine.networks import network
from tests.checks.engine.test_own_faults import _Only, _refusing
from tests.checks.types.asking import ask
from tests.checks.types.test_dns import _look, _replying, server
from tests.peers.nameserver import NameServer
from tests.peers.talker import answering, endless, silent, talking

__all__ = ["server"]


@pytest.mark.usefixtures("trusted")
async def test_every_transport_brings_the_same(server: NameServer) -> None:
    for transport, port in (("udp", server.port), ("tcp", server.port), ("tls", server.tls_port)):
        outcome = await _look(server, "www.plain.test", transport=transport, port=port)

        assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
        assert outcome.details["answers"] == ["192.0.2.1", "192.0.2.2"]
        assert (outcome.tls_ms is not None) == (transport == "tls")


async def test_answer_too_long_for_a_datagram_comes_over_tcp(server: NameServer) -> None:
    outcome = await _look(server, "huge.plain.test", "TXT")

    assert outcome.verdict == Verdict.SUCCESS
    assert outcome.body_bytes is not None
    assert outcome.body_bytes > 50_000
    assert [len(text) for text in outcome.details["answers"]] == [150]


async def test_lost_datagram_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_exchange, "UDP_TRY_SECONDS", 0.1)
    heard: list[bytes] = []

    def second_time(wire: bytes) -> list[bytes]:
        heard.append(wire)
        return _replying()(wire) if len(heard) == 2 else []

    async with answering(second_time) as port:
        outcome = await ask("dns", name="www.example", server="127.0.0.1", port=port)

    assert (outcome.verdict, len(heard)) == (Verdict.SUCCESS, 2)


async def test_server_that_knows_no_extensions_is_asked_without_them() -> None:
    asked: list[int] = []

    def old(wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        asked.append(query.edns)
        if query.edns < 0:
            return _replying()(wire)
        return [wire[:2] + struct.pack("!HHHHH", 0x8001, 0, 0, 0, 0)]  # FORMERR, and not even the question

    async with answering(old) as port:
        outcome = await ask("dns", name="www.example", server="127.0.0.1", port=port)

    assert (outcome.verdict, asked) == (Verdict.SUCCESS, [0, -1])


async def test_answer_cut_in_the_middle_of_a_record_comes_over_tcp() -> None:
    async def by_tcp(reader: Any, writer: Any) -> None:
        (size,) = struct.unpack("!H", await reader.readexactly(2))
        whole = _replying()(await reader.readexactly(size))[0]
        writer.write(struct.pack("!H", len(whole)) + whole)
        await writer.drain()

    def cut(wire: bytes) -> list[bytes]:
        return [_replying(flags=dns.flags.QR | dns.flags.TC)(wire)[0][:-3]]

    async with talking(by_tcp) as tcp_port, answering(cut) as udp_port, network() as net:
        opened = net.open
        net.open = lambda host, _port, **options: opened(host, tcp_port, **options)  # type: ignore[method-assign]
        server = dns_exchange.NameServer(("127.0.0.1",), udp_port, "udp")
        answer = await dns_exchange.ask(net, server, dns.name.from_text("www.example"), "A")

    assert [str(record) for record in answer.answer[0]] == ["192.0.2.1"]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_next_server_is_asked_where_nobody_listens(server: NameServer, transport: str) -> None:
    async with network() as net:
        servers = dns_exchange.NameServer(("127.0.0.2", "127.0.0.1"), server.port, transport)
        answer = await dns_exchange.ask(net, servers, dns.name.from_text("www.plain.test"), "A")

        assert len(answer.answer[0]) == 2
        nobody = dns_exchange.NameServer(("127.0.0.2", "127.0.0.3"), server.port, transport)
        with pytest.raises(ProbeFailure) as caught:
            await dns_exchange.ask(net, nobody, dns.name.from_text("www.plain.test"), "A")

    assert caught.value.code == "connect_refused"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_next_server_is_asked_where_this_machine_has_no_ipv6(
    server: NameServer, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_module, "socket", _Only(socket, _refusing(errno.EAFNOSUPPORT, socket.AF_INET6)))
    async with network() as net:
        servers = dns_exchange.NameServer(("::1", "127.0.0.1"), server.port, transport)
        answer = await dns_exchange.ask(net, servers, dns.name.from_text("www.plain.test"), "A")

    assert len(answer.answer[0]) == 2


async def test_guessed_answer_is_passed_over() -> None:
    async with answering(_replying(before=(b"", b"\x00", b"\x00\x01" + b"\x80\x00" * 5))) as port:
        outcome = await ask("dns", name="www.example", server="127.0.0.1", port=port)

    assert (outcome.verdict, outcome.details["answers"]) == (Verdict.SUCCESS, ["192.0.2.1"])


async def test_compression_loop_and_torn_message_are_malformed() -> None:
    def loop(wire: bytes) -> list[bytes]:
        return [wire[:2] + struct.pack("!HHHHH", 0x8400, 1, 1, 0, 0) + b"\xc0\x0c\x00\x01\x00\x01"]

    def torn(wire: bytes) -> list[bytes]:
        return [_replying()(wire)[0][:-2]]

    for answer in (loop, torn, lambda wire: [wire[:2] + b"\xff" * 500]):
        async with answering(answer) as port:
            outcome = await ask("dns", name="www.example", server="127.0.0.1", port=port)

        assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "dns_malformed")


def test_message_torn_at_any_byte_is_malformed_and_nothing_else() -> None:
    query = dns.message.make_query("www.example.", "A")
    answer = dns.message.make_response(query)
    for record_type, text in (("A", "192.0.2.1"), ("MX", "10 mail.example."), ("TXT", '"a" "b"'), ("SRV", "1 2 3 x.")):
        answer.answer.append(dns.rrset.from_text("www.example.", 60, "IN", record_type, text))
    wire = answer.to_wire()
    codes = []

    for at in range(2, len(wire)):
        for value in (0x00, 0x3F, 0xC0, 0xFF):
            try:
                dns_exchange._read(wire[:at] + bytes([value]) + wire[at + 1 :], query)
            except ProbeFailure as failure:
                codes.append(failure.code)

    assert set(codes) == {"dns_malformed"}
    assert len(codes) > 50


async def test_silent_refusing_and_endless_servers() -> None:
    async with answering(lambda _wire: []) as port:
        assert (await ask("dns", name="a.example", server="127.0.0.1", port=port, timeout=0.3)).error_code == "timeout"
    assert (await ask("dns", name="a.example", server="127.0.0.1", port=port)).error_code == "connect_refused"
    async with talking(silent) as port:
        hanging = await ask("dns", name="a.example", server="127.0.0.1", port=port, transport="tcp", timeout=2)
    async with talking(endless) as port:
        flooding = await ask("dns", name="a.example", server="127.0.0.1", port=port, transport="tcp")

    assert (hanging.error_code, flooding.error_code) == ("timeout", "dns_malformed")


async def test_private_name_server_is_refused(server: NameServer) -> None:
    outcome = await ask("dns", name="www.plain.test", server="127.0.0.1", port=server.port, allow_private=False)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "loopback")


def test_system_s_servers_are_used_where_they_may_be(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("# ours\nsearch example\nnameserver 10.0.0.53\nnameserver 8.8.8.8\n")
    monkeypatch.setattr(dns_exchange, "RESOLV_CONF", path)

    assert dns_exchange.system_servers(allow_private=True) == ("10.0.0.53", "8.8.8.8")
    assert dns_exchange.system_servers(allow_private=False) == ("8.8.8.8",)
    path.write_text("nameserver 127.0.0.53\n")
    assert dns_exchange.system_servers(allow_private=False) == ("9.9.9.9", "1.1.1.1")
