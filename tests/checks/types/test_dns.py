"""The DNS check against BIND: records, comparisons, transports, DNSSEC whole and broken, hostile answers."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import dns.flags
import dns.message
import dns.rrset
import pytest
import trustme

from apps.checks.enums import Verdict
from apps.checks.types import dns_exchange
from apps.checks.types.base import Outcome, ProbeFailure
from apps.checks.types.dns import DnsConfig
from apps.checks.types.dnssec import ROOT_ANCHORS, read_anchors
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask
from tests.peers.nameserver import NameServer, name_server
from tests.peers.talker import answering, endless, silent, talking


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Iterator[NameServer]:
    with name_server(tmp_path_factory.mktemp("named"), authority) as running:
        yield running


async def _look(server: NameServer, name: str, record_type: str = "A", **config: Any) -> Outcome:
    return await ask(
        "dns", name=name, record_type=record_type, **{"server": "127.0.0.1", "port": server.port, **config}
    )


@pytest.mark.parametrize(
    ("name", "record_type", "answers"),
    [
        ("www.signed.test", "A", ["192.0.2.1", "192.0.2.2"]),
        ("www.signed.test", "AAAA", ["2001:db8::1"]),
        ("alias.signed.test", "CNAME", ["www.signed.test."]),
        ("alias.signed.test", "A", ["192.0.2.1", "192.0.2.2"]),
        ("signed.test", "MX", ["10 mail.signed.test.", "20 Backup.Mail.test."]),
        ("signed.test", "NS", ["ns.test."]),
        ("signed.test", "TXT", ["v=spf1 -all"]),
        ("signed.test", "SOA", ["ns.test. admin.test. 1 3600 600 86400 60"]),
        ("signed.test", "CAA", ['0 issue "letsencrypt.org"']),
        ("_sip._tcp.signed.test", "SRV", ["1 2 5060 sip.signed.test."]),
    ],
)
async def test_records_are_read(server: NameServer, name: str, record_type: str, answers: list[str]) -> None:
    outcome = await _look(server, name, record_type, matching="equals", expected="\n".join(answers))

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details == {"rcode": "NOERROR", "answers": answers, "is_authoritative": True, "ttl": 300}
    assert outcome.remote_ip == "127.0.0.1"
    assert outcome.first_byte_ms is not None


@pytest.mark.parametrize("record_type", ["DS", "DNSKEY"])
async def test_keys_are_read(server: NameServer, record_type: str) -> None:
    outcome = await _look(server, "signed.test", record_type)

    assert (outcome.verdict, len(outcome.details["answers"])) == (Verdict.SUCCESS, 1 if record_type == "DS" else 2)


@pytest.mark.parametrize(
    ("matching", "expected", "code"),
    [
        ("any", "", ""),
        ("includes", "192.0.2.2", ""),
        ("includes", "192.0.2.9", "dns_records_unmet"),
        ("equals", "192.0.2.2\n\n 192.0.2.1", ""),
        ("equals", "192.0.2.2", "dns_records_unmet"),
        ("pattern", r"^192\.0\.2\.\d$", ""),
        ("pattern", r"^10\.", "dns_records_unmet"),
        ("none", "", "dns_records_present"),
    ],
)
async def test_records_are_compared(server: NameServer, matching: str, expected: str, code: str) -> None:
    outcome = await _look(server, "www.plain.test", matching=matching, expected=expected)

    assert outcome.error_code == code
    if code == "dns_records_unmet":
        assert outcome.error_values == {"found": "192.0.2.1, 192.0.2.2", "expected": expected}


async def test_spelling_of_names_does_not_matter(server: NameServer) -> None:
    outcome = await _look(server, "signed.test", "MX", matching="includes", expected="20  backup.mail.TEST")

    assert outcome.verdict == Verdict.SUCCESS


async def test_status_and_absence_can_be_expected(server: NameServer) -> None:
    missing = await _look(server, "nope.plain.test")
    wanted = await _look(server, "nope.plain.test", rcode="NXDOMAIN")
    refused = await _look(server, "www.plain.test", rcode="NXDOMAIN")
    empty = await _look(server, "www.plain.test", "MX")
    none = await _look(server, "www.plain.test", "MX", matching="none")

    assert (missing.error_code, missing.error_values) == (
        "dns_rcode_unmet",
        {"rcode": "NXDOMAIN", "expected": "NOERROR"},
    )
    assert refused.error_values == {"rcode": "NOERROR", "expected": "NXDOMAIN"}
    assert (wanted.verdict, empty.error_code, none.verdict) == (Verdict.SUCCESS, "dns_no_records", Verdict.SUCCESS)


async def test_authority_is_told_from_hearsay(server: NameServer) -> None:
    own = await _look(server, "www.plain.test", needs_authority=True)
    async with answering(_replying(flags=dns.flags.QR)) as port:
        hearsay = await ask("dns", name="www.example", server="127.0.0.1", port=port, needs_authority=True)

    assert own.verdict == Verdict.SUCCESS
    assert hearsay.error_code == "dns_not_authoritative"


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


@pytest.mark.parametrize(
    ("name", "record_type", "rcode", "code"),
    [
        ("www.signed.test", "A", "NOERROR", ""),
        ("alias.signed.test", "A", "NOERROR", ""),
        ("any.wild.signed.test", "A", "NOERROR", ""),
        ("signed.test", "DNSKEY", "NOERROR", ""),
        ("signed.test", "DS", "NOERROR", ""),
        ("nope.signed.test", "A", "NXDOMAIN", ""),
        ("www.plain.test", "A", "NOERROR", "dnssec_unsigned"),
        ("nope.plain.test", "A", "NXDOMAIN", "dnssec_unsigned"),
        ("www.forged.test", "A", "NOERROR", "dnssec_invalid"),
        ("www.forged.test", "AAAA", "NOERROR", ""),
        ("www.expired.test", "A", "NOERROR", "dnssec_invalid"),
        ("www.misled.test", "A", "NOERROR", "dnssec_invalid"),
    ],
)
async def test_chain_of_trust_is_followed_from_the_root(
    server: NameServer, name: str, record_type: str, rcode: str, code: str
) -> None:
    outcome = await _look(server, name, record_type, rcode=rcode, dnssec=True, trust_anchor=server.anchor)

    assert outcome.error_code == code
    assert outcome.verdict == (Verdict.FAILURE if code else Verdict.SUCCESS)
    assert outcome.details.get("is_secure") == (None if code else True)


async def test_stranger_s_root_is_not_trusted(server: NameServer) -> None:
    outcome = await _look(server, "www.signed.test", dnssec=True)

    assert (outcome.error_code, outcome.error_values) == (
        "dnssec_invalid",
        {"detail": "no key of . matches its DS"},
    )


async def test_zone_beside_the_anchor_is_not_trusted(server: NameServer) -> None:
    anchor = server.anchor.replace(".", "elsewhere.", 1)
    outcome = await _look(server, "www.signed.test", dnssec=True, trust_anchor=anchor)

    assert outcome.error_values == {"detail": "no trust anchor leads here"}


async def test_reverse_name_is_made_of_an_address() -> None:
    asked: list[str] = []

    def answer(wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        asked.append(str(query.question[0].name))
        return _replying()(wire)

    async with answering(answer) as port:
        await ask("dns", name="192.0.2.5", record_type="PTR", server="127.0.0.1", port=port)
        await ask("dns", name="2001:db8::1", record_type="PTR", server="127.0.0.1", port=port)

    assert asked == ["5.2.0.192.in-addr.arpa.", f"1.{'0.' * 23}8.b.d.0.1.0.0.2.ip6.arpa."]


def _replying(
    *, flags: int = dns.flags.QR | dns.flags.AA, before: tuple[bytes, ...] = ()
) -> Callable[[bytes], list[bytes]]:
    def reply(wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        answer = dns.message.make_response(query)
        answer.flags = dns.flags.Flag(flags)
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.1"))
        return [*before, answer.to_wire()]

    return reply


async def test_text_that_no_database_takes_is_cleaned() -> None:
    def reply(wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        answer = dns.message.make_response(query)
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "TXT", r'"a\000b\255"'))
        return [answer.to_wire()]

    async with answering(reply) as port:
        outcome = await ask("dns", name="a.example", record_type="TXT", server="127.0.0.1", port=port)

    assert outcome.details["answers"] == ["a b�"]


async def test_lost_datagram_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns_exchange, "UDP_TRY_SECONDS", 0.1)
    heard: list[bytes] = []

    def second_time(wire: bytes) -> list[bytes]:
        heard.append(wire)
        return _replying()(wire) if len(heard) == 2 else []

    async with answering(second_time) as port:
        outcome = await ask("dns", name="www.example", server="127.0.0.1", port=port)

    assert (outcome.verdict, len(heard)) == (Verdict.SUCCESS, 2)


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
        hanging = await ask("dns", name="a.example", server="127.0.0.1", port=port, transport="tcp", timeout=0.3)
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


def test_root_s_anchor_is_readable() -> None:
    assert [entry.key_tag for entries in read_anchors(ROOT_ANCHORS).values() for entry in entries] == [20326, 38696]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "a..b"}, "name"),
        ({"name": "x" * 64 + ".example"}, "name"),
        ({"name": "a.example", "server": "http://a.example"}, "server"),
        ({"name": "a.example", "matching": "equals"}, "expected"),
        ({"name": "a.example", "matching": "pattern", "expected": "("}, "expected"),
        ({"name": "a.example", "trust_anchor": "nonsense"}, "trust_anchor"),
        ({"name": "a.example", "trust_anchor": ". IN A 192.0.2.1"}, "trust_anchor"),
        ({"name": "a.example", "record_type": "NOPE"}, "record_type"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, str], field: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(DnsConfig, given)

    assert list(caught.value.errors) == [field]
