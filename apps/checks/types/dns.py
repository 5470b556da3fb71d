"""The DNS check: the records of a name, what they should be, and whether their signatures hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from ipaddress import ip_address
from time import perf_counter
from typing import Any, ClassVar, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.reversename
from django.core.exceptions import ValidationError
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, Outcome, ProbeContext, ProbeFailure
from apps.checks.types.dns_exchange import NameServer, Transport, ask, system_servers
from apps.checks.types.dns_ours import ask_ours
from apps.checks.types.dns_records import spelling_found, spelling_written, text_of
from apps.checks.types.dns_trail import follow
from apps.checks.types.dnssec import ROOT_ANCHORS, BadAnchor, ChainOfTrust, read_anchors
from apps.checks.types.hosts import NetworkConfig, bare_host, check_host_field, port_setting
from apps.checks.types.messages import Message
from apps.checks.types.patterns import PatternTooSlow, bounded_search, check_pattern
from apps.checks.types.probing import Findings, run_probe
from apps.checks.types.texts import printable
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

RECORD_TYPES = (
    *("A", "AAAA", "CAA", "CNAME", "DNSKEY", "DS", "HTTPS", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "SSHFP", "SVCB"),
    *("TLSA", "TXT"),
)
RCODES = ("NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", "FORMERR", "NOTIMP")
SEARCH_SECONDS = 0.2  # for all records of one answer
SHOWN_ANSWERS = 20
SHOWN_LENGTH = 150


class Matching(TextChoices):
    """How the records found are compared with those listed."""

    ANY = "any", _("There is a record")
    INCLUDES = "includes", _("All listed values are among the records")
    EQUALS = "equals", _("The records are exactly the listed values")
    PATTERN = "pattern", _("A record matches the pattern")
    NONE = "none", _("There is no record")
    FREE = "free", _("It does not matter; the status alone counts")


def _check_name(name: str) -> None:
    try:
        dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError) as error:
        raise ValidationError(_("This is no name that DNS could hold."), code="bad_name") from error


def _check_anchor(text: str) -> None:
    try:
        read_anchors(text)
    except BadAnchor as error:
        raise ValidationError(
            _("Give DS records, one a line, such as “example.com. DS 12345 13 2 ab12…”."), code="bad_anchor"
        ) from error


@dataclass(frozen=True, kw_only=True)
class DnsConfig(NetworkConfig):
    """What a DNS check asks, whom, and what it wants to hear."""

    name: str = setting(
        label=_("Name to look up"),
        help=_("For PTR, an IP address will do."),
        placeholder="example.com",
        max_length=255,
        check=_check_name,
    )
    record_type: str = setting("A", label=_("Record type"), choices=tuple((name, name) for name in RECORD_TYPES))
    server: str = setting(
        "",
        label=_("Name server"),
        help=_(
            "A name or an IP address. Empty: those of the machine that checks, or public ones where those are private."
        ),
        max_length=255,
        check=check_host_field,
    )
    port: int = port_setting(53, help=_("53 is usual, and 853 for TLS."))
    transport: str = setting(
        Transport.UDP.value, label=_("Transport"), choices=tuple((way.value, way.label) for way in Transport)
    )
    rcode: str = setting("NOERROR", label=_("Expected status"), choices=tuple((name, name) for name in RCODES))
    matching: str = setting(
        Matching.ANY.value, label=_("Records"), choices=tuple((way.value, way.label) for way in Matching)
    )
    expected: str = setting(
        "",
        label=_("Expected values"),
        help=_("One a line, as in a zone file: 192.0.2.1, or 10 mail.example.com. Or one pattern."),
        widget=Widget.AREA,
        max_length=8_000,
    )
    is_recursive: bool = setting(
        True, label=_("Ask the server to resolve"), help=_("Switch off to hear what the server itself holds.")
    )
    needs_authority: bool = setting(
        False, label=_("The server must be authoritative"), help=_("Fail when it only passes on what others said.")
    )
    dnssec: bool = setting(
        False,
        label=_("DNSSEC must be valid"),
        help=_("Fail when the answer is unsigned, or its signatures do not lead up to the trust anchor."),
    )
    trust_anchor: str = setting(
        "",
        label=_("Trust anchor"),
        help=_("DS records of a private zone, one a line. Empty: those of the root."),
        widget=Widget.AREA,
        max_length=4_000,
        check=_check_anchor,
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        listed = self.matching in {Matching.INCLUDES, Matching.EQUALS, Matching.PATTERN}
        if listed and not self.expected.strip():
            errors["expected"] = _("Say which values are expected.")
        if self.matching == Matching.PATTERN and "expected" not in errors:
            try:
                check_pattern(self.expected)
            except ValidationError as error:
                errors["expected"] = error.messages
        return errors

    @cached_property
    def question(self) -> dns.name.Name:
        if self.record_type == "PTR":
            try:
                return dns.reversename.from_address(str(ip_address(bare_host(self.name))))
            except ValueError:
                pass
        return dns.name.from_text(self.name)

    @cached_property
    def values(self) -> frozenset[str]:
        lines = (line.strip() for line in self.expected.splitlines())
        return frozenset(spelling_written(line, self.record_type) for line in lines if line)

    def name_server(self, *, allow_private: bool) -> NameServer:
        hosts = (bare_host(self.server),) if self.server else system_servers(allow_private=allow_private)
        return NameServer(hosts, self.port, self.transport)


class DnsCheck:
    """Asks a name server and judges its answer."""

    kind: ClassVar[str] = "dns"
    label: ClassVar[Text] = _("DNS")
    help: ClassVar[Text] = _("Looks records up, compares them, and can insist on valid DNSSEC.")
    icon: ClassVar[str] = "address-book"
    group: ClassVar[Group] = Group.NETWORK
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = DnsConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "dns_malformed": (
            _("The name server's answer cannot be read (%(detail)s)."),
            _("Check that a name server listens on this port."),
        ),
        "dns_rcode_unmet": (
            _("The name server answered %(rcode)s; expected was %(expected)s."),
            _("Check the name, the zone and its delegation."),
        ),
        "dns_no_records": (_("There is no such record."), _("Add it to the zone, or change the record type.")),
        "dns_records_present": (_("There are records: %(found)s."), _("Remove them, or change what is expected.")),
        "dns_records_unmet": (
            _("The records are %(found)s; expected was %(expected)s."),
            _("Correct the zone, or change what is expected."),
        ),
        "dns_pattern_slow": (
            _("The pattern takes too long on these records."),
            _("Write it without repetitions inside repetitions."),
        ),
        "dns_not_authoritative": (
            _("The server is not authoritative for this name."),
            _("Check the delegation, or ask one of the zone's own servers."),
        ),
        "dnssec_unsigned": (
            _("There is no DNSSEC signature for %(name)s."),
            _("Sign the zone and have its DS record published in the parent zone."),
        ),
        "dnssec_invalid": (
            _("DNSSEC does not hold (%(detail)s)."),
            _("Check keys, signatures and their dates, and the DS record in the parent zone."),
        ),
        "dnssec_unproven": (
            _("DNSSEC does not prove what the answer leaves out (%(detail)s)."),
            _("Check the zone's NSEC or NSEC3 records; zones with opt-out cannot prove that a name is missing."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "rcode": Fact(_("Status")),
        "answers": Fact(_("Records")),
        "ttl": Fact(_("Time to live"), _("s")),
        "is_authoritative": Fact(_("Authoritative")),
        "is_secure": Fact(_("DNSSEC valid")),
    }

    def sample(self) -> DnsConfig:
        return DnsConfig(name="example.com", record_type="MX", matching="equals", expected="10 mail.example.com.")

    def target(self, config: BaseConfig) -> str:
        wanted = cast("DnsConfig", config)
        return f"{wanted.record_type} {wanted.name}"

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("DnsConfig", config)

        async def talk(findings: Findings) -> None:
            server = wanted.name_server(allow_private=context.allow_private)
            put = ask if wanted.server else ask_ours
            asking = partial(put, context.net, server, recurse=wanted.is_recursive, dnssec=wanted.dnssec)
            answer = await asking(wanted.question, wanted.record_type)
            found = _note(answer, findings)
            _judge(answer, wanted, found)
            if wanted.dnssec:
                anchors = read_anchors(wanted.trust_anchor or ROOT_ANCHORS)
                await ChainOfTrust(asking, anchors).judge(answer)
                findings.details["is_secure"] = True

        return await run_probe(context, talk)


def _note(answer: dns.message.Message, findings: Findings) -> list[dns.rdata.Rdata]:
    """Return the records of the wanted type, and note what a screen shows."""
    records = follow(answer).records
    found = sorted(records or (), key=text_of)
    findings.details.update(
        rcode=dns.rcode.to_text(answer.rcode()),
        answers=[printable(text_of(rdata), SHOWN_LENGTH) for rdata in found[:SHOWN_ANSWERS]],
        is_authoritative=bool(answer.flags & dns.flags.AA),
    )
    if records is not None:
        findings.details["ttl"] = records.ttl
    return found


def _judge(answer: dns.message.Message, wanted: DnsConfig, found: list[dns.rdata.Rdata]) -> None:
    rcode = dns.rcode.to_text(answer.rcode())
    if rcode != wanted.rcode:
        raise ProbeFailure("dns_rcode_unmet", {"rcode": rcode, "expected": wanted.rcode})
    if wanted.needs_authority and not answer.flags & dns.flags.AA:
        raise ProbeFailure("dns_not_authoritative")
    if wanted.matching == Matching.FREE:
        return
    if wanted.matching == Matching.NONE:
        if found:
            raise ProbeFailure("dns_records_present", {"found": _shown_records(found)})
    elif wanted.matching == Matching.ANY:
        if not found and wanted.rcode == "NOERROR":
            raise ProbeFailure("dns_no_records")
    elif not COMPARISONS[wanted.matching](wanted, found):
        raise ProbeFailure(
            "dns_records_unmet", {"found": _shown_records(found), "expected": _shown(wanted.expected.splitlines())}
        )


def _includes(wanted: DnsConfig, found: Sequence[dns.rdata.Rdata]) -> bool:
    return wanted.values <= set(map(spelling_found, found))


def _equals(wanted: DnsConfig, found: Sequence[dns.rdata.Rdata]) -> bool:
    return wanted.values == set(map(spelling_found, found))


def _matches(wanted: DnsConfig, found: Sequence[dns.rdata.Rdata]) -> bool:
    left = SEARCH_SECONDS
    try:
        for text in map(text_of, found):
            began = perf_counter()
            if bounded_search(wanted.expected, text, seconds=max(0.001, left)):
                return True
            left -= perf_counter() - began
    except PatternTooSlow as error:
        raise ProbeFailure("dns_pattern_slow") from error
    return False


COMPARISONS: Mapping[str, Callable[[DnsConfig, Sequence[dns.rdata.Rdata]], bool]] = {
    Matching.INCLUDES: _includes,
    Matching.EQUALS: _equals,
    Matching.PATTERN: _matches,
}


def _shown_records(records: Sequence[dns.rdata.Rdata]) -> str:
    return _shown([text_of(rdata) for rdata in records[:SHOWN_ANSWERS]])


def _shown(texts: Sequence[str]) -> str:
    return ", ".join(printable(text, SHOWN_LENGTH) for text in texts[:SHOWN_ANSWERS])[:500] or "–"
