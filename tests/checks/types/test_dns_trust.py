"""DNSSEC against BIND: the chain of trust, absence that is proven, and spoiled answers that prove nothing."""

import struct
from collections.abc import Callable
from typing import Any

import dns.message
import dns.name
import dns.query
import dns.rrset
import pytest

from apps.checks.enums import Verdict
from apps.checks.types.dnssec import ROOT_ANCHORS, read_anchors
from tests.checks.types.asking import ask
from tests.checks.types.test_dns import _look, server
from tests.peers.nameserver import NameServer
from tests.peers.talker import answering

__all__ = ["server"]


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


def test_root_s_anchor_is_readable() -> None:
    assert [entry.key_tag for entries in read_anchors(ROOT_ANCHORS).values() for entry in entries] == [20326, 38696]
