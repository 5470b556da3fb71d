"""The DNS check against BIND: records, comparisons, and settings that cannot work."""

from collections.abc import Callable, Iterator
from typing import Any

import dns.flags
import dns.message
import dns.rrset
import pytest
import trustme

from apps.checks.enums import Verdict
from apps.checks.types.base import Outcome
from apps.checks.types.dns import DnsConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask
from tests.peers.nameserver import NameServer, name_server
from tests.peers.talker import answering


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
        ("free", "", ""),
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


DKIM = f"v=DKIM1; p={'A' * 300}"
DIGEST = "ab" * 100
HALVES = f"{DIGEST[:128]} {DIGEST[128:].upper()}"


@pytest.mark.parametrize(
    ("record_type", "records", "expected", "is_met"),
    [
        ("TXT", ['"v=spf1 -all"'], '"v=spf1 -all"', True),
        ("TXT", ['"v=spf1 " "-all"'], '"v=spf1" " -all"', True),
        ("TXT", ['"v=spf1 " "-all"'], "v=spf1 -all", True),
        ("TXT", [f'"{DKIM[:200]}" "{DKIM[200:]}"'], f'"{DKIM}"', True),
        ("TXT", [f'"{DKIM[:200]}" "{DKIM[200:]}"'], DKIM, True),
        ("TXT", ['";marked"'], ";marked", True),
        ("TXT", [r'"say \"yes\""'], r'"say \"yes\""', True),
        ("TXT", [r'"say \"yes\""'], 'say "yes"', True),
        ("TXT", [r'"caf\195\169"'], "café", True),
        ("TXT", [r'"caf\195\169"'], '"café"', True),
        ("TXT", ['"v=spf1 -all"'], '"V=spf1 -all"', False),
        ("TXT", [r'"\"quoted\""'], '"quoted"', False),
        ("TXT", ['"v=spf1 -all"'], '"v=spf1', False),
        ("HTTPS", ["1 . alpn=h2,h3 port=8443"], "1 . port=8443 alpn=h2,h3", True),
        ("HTTPS", ["1 . alpn=h2"], '1 . alpn="h2"', True),
        ("HTTPS", ["1 . alpn=h2"], "1 . alpn=h3", False),
        ("SVCB", ["1 Svc.Example.com. alpn=h2"], "1 svc.example.com alpn=h2", True),
        ("TLSA", [f"3 0 0 {DIGEST}"], f"3 0 0 {HALVES}", True),
        ("TLSA", [f"3 0 0 {DIGEST}"], f"3 0 0 {DIGEST}", True),
        ("TLSA", [f"3 0 0 {DIGEST}"], f"3 0 0 {DIGEST[2:]}", False),
        ("CAA", ['0 issue "ca.example"'], "0 issue ca.example", True),
        ("SSHFP", ["4 2 " + "ab" * 32], "4 2 " + "AB" * 16 + " " + "AB" * 16, True),
        ("A", ["192.0.2.1", "192.0.2.2"], "192.0.2.1\nno address", False),
    ],
)
async def test_values_are_read_as_in_a_zone_file(
    record_type: str, records: list[str], expected: str, is_met: bool
) -> None:
    def reply(wire: bytes) -> list[bytes]:
        query = dns.message.from_wire(wire)
        answer = dns.message.make_response(query)
        answer.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", record_type, *records))
        return [answer.to_wire()]

    async with answering(reply) as port:
        settings = {"record_type": record_type, "server": "127.0.0.1", "port": port, "expected": expected}
        includes = await ask("dns", name="a.example", matching="includes", **settings)
        equals = await ask("dns", name="a.example", matching="equals", **settings)

    code = "" if is_met else "dns_records_unmet"
    assert (includes.error_code, equals.error_code) == (code, code)


async def test_status_and_absence_can_be_expected(server: NameServer) -> None:
    missing = await _look(server, "nope.plain.test")
    wanted = await _look(server, "nope.plain.test", rcode="NXDOMAIN")
    refused = await _look(server, "www.plain.test", rcode="NXDOMAIN")
    empty = await _look(server, "www.plain.test", "MX")
    none = await _look(server, "www.plain.test", "MX", matching="none")
    free = await _look(server, "www.plain.test", "MX", matching="free")
    unmet = await _look(server, "nope.plain.test", matching="free")

    assert (missing.error_code, missing.error_values) == (
        "dns_rcode_unmet",
        {"rcode": "NXDOMAIN", "expected": "NOERROR"},
    )
    assert refused.error_values == {"rcode": "NOERROR", "expected": "NXDOMAIN"}
    assert (wanted.verdict, empty.error_code, none.verdict) == (Verdict.SUCCESS, "dns_no_records", Verdict.SUCCESS)
    assert (free.verdict, unmet.error_code) == (Verdict.SUCCESS, "dns_rcode_unmet")


async def test_authority_is_told_from_hearsay(server: NameServer) -> None:
    own = await _look(server, "www.plain.test", needs_authority=True)
    async with answering(_replying(flags=dns.flags.QR)) as port:
        hearsay = await ask("dns", name="www.example", server="127.0.0.1", port=port, needs_authority=True)

    assert own.verdict == Verdict.SUCCESS
    assert hearsay.error_code == "dns_not_authoritative"


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
