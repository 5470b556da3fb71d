"""The DNS check against BIND: records, comparisons, transports, DNSSEC whole and broken, hostile answers."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rrset
import pytest
import trustme

from apps.checks.enums import Verdict
from apps.checks.types import dns_exchange
from apps.checks.types.base import Outcome, ProbeFailure
from apps.checks.types.dns import DnsConfig
from apps.checks.types.dnssec import ROOT_ANCHORS, read_anchors
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.engine.networks import network
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
        ("any.wild.hashed.test", "A", "NOERROR", ""),
        ("a.b.wild.hashed.test", "A", "NOERROR", ""),
        ("www.old.signed.test", "A", "NOERROR", ""),
        ("www.old.hashed.test", "A", "NOERROR", ""),
        ("nope.optout.test", "A", "NXDOMAIN", "dnssec_unproven"),
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


ABSENT = [
    ("nope.{zone}", "A", "NXDOMAIN"),
    ("far.below.nope.{zone}", "A", "NXDOMAIN"),
    ("below.www.{zone}", "A", "NXDOMAIN"),
    ("dangling.{zone}", "A", "NXDOMAIN"),
    ("www.{zone}", "MX", "NOERROR"),
    ("alias.{zone}", "MX", "NOERROR"),
    ("_tcp.{zone}", "A", "NOERROR"),  # is there only because something is below it
    ("any.wild.{zone}", "MX", "NOERROR"),
    ("{zone}", "SSHFP", "NOERROR"),
    ("www.{zone}", "DS", "NOERROR"),
]


@pytest.mark.parametrize("zone", ["signed.test", "hashed.test"])
@pytest.mark.parametrize(("name", "record_type", "rcode"), ABSENT)
async def test_absence_is_proven(server: NameServer, zone: str, name: str, record_type: str, rcode: str) -> None:
    settings = {"rcode": rcode, "matching": "none", "dnssec": True, "trust_anchor": server.anchor}
    outcome = await _look(server, name.format(zone=zone), record_type, **settings)

    assert (outcome.error_code, dict(outcome.error_values)) == ("", {})
    assert outcome.details["is_secure"] is True


async def test_missing_key_of_a_child_is_its_parent_s_word(server: NameServer) -> None:
    settings = {"matching": "none", "dnssec": True, "trust_anchor": server.anchor}
    missing = await _look(server, "plain.test", "DS", **settings)
    there = await _look(server, "signed.test", "DS", **settings)

    assert (missing.verdict, missing.details["is_secure"]) == (Verdict.SUCCESS, True)
    assert there.error_code == "dns_records_present"


Spoil = Callable[[dns.message.Message, Callable[[str, str], dns.message.Message]], dns.message.Message]


def _between(server: NameServer, name: str, spoil: Spoil) -> Callable[[bytes], list[bytes]]:
    """Stand between the check and the server, and spoil the answers about ``name``."""

    def ask_server(query: dns.message.Message) -> dns.message.Message:
        return dns.query.udp(query, "127.0.0.1", port=server.port, timeout=60)

    def other(other_name: str, record_type: str) -> dns.message.Message:
        return ask_server(dns.message.make_query(other_name, record_type, want_dnssec=True, payload=4_096))

    def answer(wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        found = ask_server(query)
        if str(query.question[0].name) == f"{name}.":
            found = spoil(found, other)
        made = dns.message.make_response(query)
        made.set_rcode(found.rcode())
        made.answer, made.authority = found.answer, found.authority
        return [made.to_wire()]

    return answer


async def _look_between(
    server: NameServer, name: str, spoil: Spoil, record_type: str = "A", **config: Any
) -> tuple[str, str]:
    settings = {"dnssec": True, "trust_anchor": server.anchor, **config}
    async with answering(_between(server, name, spoil)) as port:
        outcome = await ask("dns", name=name, record_type=record_type, server="127.0.0.1", port=port, **settings)
    return outcome.error_code, str(outcome.error_values.get("detail", ""))


def _renamed(sets: list[dns.rrset.RRset], name: str) -> list[dns.rrset.RRset]:
    """Return sets under another name, as a wildcard's are."""
    for entry in sets:
        entry.name = dns.name.from_text(name)
    return sets


NOWHERE = {"rcode": "NXDOMAIN", "matching": "none"}


@pytest.mark.parametrize("zone", ["signed.test", "hashed.test"])
async def test_denial_of_something_else_proves_nothing(server: NameServer, zone: str) -> None:
    def of_another_name(_found: Any, other: Any) -> dns.message.Message:
        return other(f"nope.{zone}", "A")  # type: ignore[no-any-return]

    def of_another_type(_found: Any, other: Any) -> dns.message.Message:
        return other(f"www.{zone}", "MX")  # type: ignore[no-any-return]

    there = await _look_between(server, f"www.{zone}", of_another_name, **NOWHERE)
    has_it = await _look_between(server, f"www.{zone}", of_another_type, matching="none")
    elsewhere = await _look_between(server, f"alias.{zone}", of_another_type, "MX", matching="none")

    assert there[0] == has_it[0] == elsewhere[0] == "dnssec_unproven"
    assert there[1] in {f"nothing denies www.{zone}.", f"www.{zone}. exists"}
    assert has_it[1] == f"www.{zone}. has such records"


@pytest.mark.parametrize("zone", ["signed.test", "hashed.test"])
async def test_denial_without_all_its_parts_proves_nothing(server: NameServer, zone: str) -> None:
    """Whichever is left out: the name itself, the wildcard in its place, or the nearest name above it."""
    seen: list[int] = []
    complaints = []
    for left_out in range(4):

        def lacking(found: dns.message.Message, _other: Any, left_out: int = left_out) -> dns.message.Message:
            denials = sorted({entry.name for entry in found.authority if entry.rdtype in (47, 50)})
            seen.append(len(denials))
            if left_out < len(denials):
                found.authority = [entry for entry in found.authority if entry.name != denials[left_out]]
            return found

        complaints.append((await _look_between(server, f"below.nope.{zone}", lacking, **NOWHERE))[0])
    bare = await _look_between(server, f"nope.{zone}", lambda found, _other: _bare(found), **NOWHERE)

    assert seen[0] > 1
    assert complaints == ["dnssec_unproven"] * seen[0] + [""] * (4 - seen[0])
    assert bare == ("dnssec_unproven", f"nothing denies nope.{zone}.")


def _bare(found: dns.message.Message) -> dns.message.Message:
    found.authority = [
        entry for entry in found.authority if entry.rdtype == 6 or (entry.rdtype == 46 and entry.covers == 6)
    ]
    return found


@pytest.mark.parametrize("zone", ["signed.test", "hashed.test"])
async def test_wildcard_stands_for_nothing_that_exists(server: NameServer, zone: str) -> None:
    def expanded(_found: Any, other: Any) -> dns.message.Message:
        found = other(f"any.wild.{zone}", "A")
        found.answer = _renamed(found.answer, f"known.wild.{zone}.")
        return found  # type: ignore[no-any-return]

    def unproven(found: dns.message.Message, _other: Any) -> dns.message.Message:
        found.authority = []
        return found

    forged = await _look_between(server, f"known.wild.{zone}", expanded)
    stripped = await _look_between(server, f"any.wild.{zone}", unproven)

    assert forged == ("dnssec_unproven", f"nothing denies known.wild.{zone}.")
    assert stripped[0] in {"dnssec_unproven", "dnssec_unsigned"}


async def test_parent_cannot_deny_what_its_child_holds(server: NameServer) -> None:
    def parent_s(_found: Any, other: Any) -> dns.message.Message:
        found = other("plain.test", "DS")
        found.set_rcode(3)
        return found  # type: ignore[no-any-return]

    complaint = await _look_between(server, "www.plain.test", parent_s, **NOWHERE)

    assert complaint == ("dnssec_unproven", "nothing denies www.plain.test.")


async def test_records_of_another_name_are_no_answer(server: NameServer) -> None:
    def another_s(_found: Any, other: Any) -> dns.message.Message:
        return other("www.signed.test", "A")  # type: ignore[no-any-return]

    complaint = await _look_between(server, "mail.plain.test", another_s, dnssec=False, trust_anchor="")

    assert complaint == ("dns_no_records", "")


async def test_refusal_without_a_question_is_no_proof() -> None:
    def refuse(wire: bytes) -> list[bytes]:
        return [wire[:2] + struct.pack("!HHHHH", 0x8005, 0, 0, 0, 0)]

    async with answering(refuse) as port:
        outcome = await ask(
            "dns", name="a.example", server="127.0.0.1", port=port, rcode="REFUSED", matching="none", dnssec=True
        )

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "dnssec_unsigned")


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
