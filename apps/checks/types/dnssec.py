"""A DNSSEC chain of trust, from a trust anchor down to an answer (RFC 4035, section 5)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import dns.dnssec
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zonefile
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.RRSIG import RRSIG

from apps.checks.types.base import ProbeFailure
from apps.checks.types.dns_trail import follow
from apps.checks.types.dnssec_denial import Proof, Unproven, proof_of
from apps.core import clock

# https://data.iana.org/root-anchors/root-anchors.xml
ROOT_ANCHORS = """
. 3600 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. 3600 IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
"""
# Bounds on what a hostile zone can make us compute: keys times signatures is the cost of KeyTrap (CVE-2023-50387).
MAX_KEYS = 12
MAX_SIGNATURES = 4
MAX_SETS = 40
MAX_QUESTIONS = 40
RRSIG_TYPE = dns.rdatatype.RRSIG
DENIALS = frozenset({dns.rdatatype.SOA, dns.rdatatype.NSEC, dns.rdatatype.NSEC3})

Ask = Callable[[dns.name.Name, str], Awaitable[dns.message.Message]]
Keys = dict[dns.name.Name, dns.rrset.RRset]


class BadAnchor(ValueError):
    """The trust anchor cannot be read."""


def read_anchors(text: str) -> dict[dns.name.Name, list[DS]]:
    """Return the DS records of a trust anchor by zone; raises `BadAnchor`."""
    try:
        found = dns.zonefile.read_rrsets(text, rdclass=None, default_ttl=3_600)
    except (dns.exception.DNSException, ValueError) as error:
        raise BadAnchor(str(error)) from error
    anchors = {rrset.name: [rdata for rdata in rrset if isinstance(rdata, DS)] for rrset in found}
    if not anchors or not all(anchors.values()):
        raise BadAnchor("not a DS record")
    return anchors


class ChainOfTrust:
    """Judges answers by what ``ask`` (which asks for signatures) finds on the way down from ``anchors``."""

    def __init__(self, ask: Ask, anchors: dict[dns.name.Name, list[DS]]) -> None:
        self._ask = ask
        self._anchors = anchors
        self._trusted: Keys = {}
        self._questions = 0

    async def judge(self, answer: dns.message.Message) -> None:
        """Return where all that answers the question is signed, and what it leaves out is proven to be missing.

        Raises `ProbeFailure`: ``dnssec_unsigned`` where there is no signature, ``dnssec_invalid`` where one is wrong,
        ``dnssec_unproven`` where signed records do not prove a denial, or that a wildcard may stand for a name.
        """
        if not answer.question:
            raise ProbeFailure("dnssec_unsigned", {"name": _question(answer)})
        sections = (answer.answer, answer.authority)
        if any(len([entry for entry in section if entry.rdtype != RRSIG_TYPE]) > MAX_SETS for section in sections):
            raise ProbeFailure("dnssec_invalid", {"detail": "too many records"})
        trail = follow(answer)
        found = [*trail.aliases, *([trail.records] if trail.records is not None else [])]
        expanded = []
        for rrset in found:
            encloser = await self._check(rrset, answer.answer)
            if encloser is not None:
                expanded.append((rrset.name, encloser))
        if trail.records is not None and not expanded:
            return
        proofs = await self._proofs(answer)
        for name, encloser in expanded:
            _prove(proofs, name, partial(_deny_closer, name=name, encloser=encloser))
        if trail.records is None:
            _prove(proofs, trail.end, partial(_deny, answer=answer, name=trail.end))

    async def _check(self, rrset: dns.rrset.RRset, section: Iterable[dns.rrset.RRset]) -> dns.name.Name | None:
        """Check a signature; return the name below which a wildcard was expanded into this one, or None."""
        signatures = _signatures(rrset, section)
        zone = _signer(rrset, signatures)
        _validate(rrset, signatures, await self._keys_of(zone))
        await asyncio.sleep(
            0
        )  # a hostile zone can make each take some fifty signatures: others have their turn between
        return _encloser(rrset, signatures)

    async def _proofs(self, answer: dns.message.Message) -> dict[dns.name.Name, Proof]:
        """Return what each zone denies in an answer, once that is signed."""
        denials: dict[dns.name.Name, list[dns.rrset.RRset]] = {}
        for rrset in answer.authority:
            if rrset.rdtype not in DENIALS:
                continue
            encloser = await self._check(rrset, answer.authority)
            if encloser is not None:
                raise ProbeFailure("dnssec_invalid", {"detail": f"{rrset.name} denies by a wildcard"})
            if rrset.rdtype != dns.rdatatype.SOA:
                zone = _signer(rrset, _signatures(rrset, answer.authority))
                denials.setdefault(zone, []).append(rrset)
        if not denials:
            is_signed = any(rrset.rdtype == dns.rdatatype.SOA for rrset in answer.authority)
            if is_signed:
                raise ProbeFailure("dnssec_unproven", {"detail": f"nothing denies {_question(answer)}"})
            raise ProbeFailure("dnssec_unsigned", {"name": _question(answer)})
        try:
            return {zone: proof_of(zone, sets) for zone, sets in denials.items()}
        except Unproven as error:
            raise ProbeFailure("dnssec_unproven", {"detail": str(error)[:200]}) from error

    async def _keys_of(self, zone: dns.name.Name) -> Keys:
        """Return the keys of ``zone`` once they are trusted: by an anchor, or by its parent's word for them."""
        if zone in self._trusted:
            return {zone: self._trusted[zone]}
        entries = self._anchors.get(zone)
        if entries is None:
            entries = await self._delegation(zone)
        answer = await self._question(zone, "DNSKEY")
        keys = _found(answer, zone, dns.rdatatype.DNSKEY)
        if keys is None:
            raise ProbeFailure("dnssec_invalid", {"detail": f"{zone} has no keys"})
        if len(keys) > MAX_KEYS:
            raise ProbeFailure("dnssec_invalid", {"detail": f"{zone} has too many keys"})
        vouched = [key for key in keys if isinstance(key, DNSKEY) and _is_vouched_for(zone, key, entries)]
        if not vouched:
            raise ProbeFailure("dnssec_invalid", {"detail": f"no key of {zone} matches its DS"})
        entry_keys = dns.rrset.from_rdata_list(zone, keys.ttl, vouched)
        _validate(keys, _signatures(keys, answer.answer), {zone: entry_keys})
        self._trusted[zone] = keys
        return {zone: keys}

    async def _delegation(self, zone: dns.name.Name) -> list[DS]:
        """Return what the parent says of the zone's keys, once its own word is trusted."""
        if zone == dns.name.root:
            raise ProbeFailure("dnssec_invalid", {"detail": "no trust anchor leads here"})
        answer = await self._question(zone, "DS")
        entries = _found(answer, zone, dns.rdatatype.DS)
        if entries is None:
            raise ProbeFailure("dnssec_unsigned", {"name": str(zone)})
        signatures = _signatures(entries, answer.answer)
        parent = _signer(entries, signatures)
        if parent == zone:  # a zone's word for itself would go round in circles
            raise ProbeFailure("dnssec_invalid", {"detail": f"{zone} signs its own DS"})
        _validate(entries, signatures, await self._keys_of(parent))
        return [entry for entry in entries if isinstance(entry, DS)][:MAX_KEYS]

    async def _question(self, name: dns.name.Name, record_type: str) -> dns.message.Message:
        self._questions += 1
        if self._questions > MAX_QUESTIONS:
            raise ProbeFailure("dnssec_invalid", {"detail": "the chain is too long"})
        return await self._ask(name, record_type)


def _deny(proof: Proof, *, answer: dns.message.Message, name: dns.name.Name) -> None:
    if answer.rcode() == dns.rcode.NXDOMAIN:
        proof.deny_name(name)
    else:
        proof.deny_type(name, answer.question[0].rdtype)


def _deny_closer(proof: Proof, *, name: dns.name.Name, encloser: dns.name.Name) -> None:
    proof.deny_closer(name, encloser)


def _prove(proofs: dict[dns.name.Name, Proof], name: dns.name.Name, deny: Callable[[Proof], None]) -> None:
    """Return once a zone that holds ``name`` proves it; the nearest one is heard first."""
    missing = f"nothing denies {name}"
    for zone in sorted(proofs, key=len, reverse=True):
        if not name.is_subdomain(zone):
            continue
        try:
            return deny(proofs[zone])
        except Unproven as error:
            missing = str(error)
    raise ProbeFailure("dnssec_unproven", {"detail": missing[:200]})


def _encloser(rrset: dns.rrset.RRset, signatures: dns.rrset.RRset) -> dns.name.Name | None:
    """Return the name right above the wildcard that a signature was made for; None where it was made for the name itself."""
    labels = min(signature.labels for signature in signatures if isinstance(signature, RRSIG))
    own = len(rrset.name) - 1 - rrset.name.is_wild()
    return rrset.name.split(labels + 1)[1] if labels < own else None


def _question(answer: dns.message.Message) -> str:
    return str(answer.question[0].name) if answer.question else "–"


def _found(
    answer: dns.message.Message, name: dns.name.Name, record_type: dns.rdatatype.RdataType
) -> dns.rrset.RRset | None:
    return next((rrset for rrset in answer.answer if rrset.name == name and rrset.rdtype == record_type), None)


def _signatures(rrset: dns.rrset.RRset, section: Iterable[dns.rrset.RRset]) -> dns.rrset.RRset:
    for found in section:
        if found.rdtype == dns.rdatatype.RRSIG and found.covers == rrset.rdtype and found.name == rrset.name:
            if len(found) > MAX_SIGNATURES:
                raise ProbeFailure("dnssec_invalid", {"detail": f"{rrset.name} has too many signatures"})
            return found
    raise ProbeFailure("dnssec_unsigned", {"name": str(rrset.name)})


def _signer(rrset: dns.rrset.RRset, signatures: dns.rrset.RRset) -> dns.name.Name:
    """Return the zone that signed, which must hold the name."""
    zones = {signature.signer for signature in signatures if isinstance(signature, RRSIG)}
    zone = zones.pop()
    if zones or not rrset.name.is_subdomain(zone):
        raise ProbeFailure("dnssec_invalid", {"detail": f"{rrset.name} is signed by a stranger"})
    return zone


def _validate(rrset: dns.rrset.RRset, signatures: dns.rrset.RRset, keys: Keys) -> None:
    try:
        dns.dnssec.validate(rrset, signatures, dict(keys), now=clock.now().timestamp())
    except (dns.exception.DNSException, ValueError) as error:
        kind = dns.rdatatype.to_text(rrset.rdtype)
        detail = f"{rrset.name} {kind}: {str(error)[:120] or type(error).__name__}"
        raise ProbeFailure("dnssec_invalid", {"detail": detail}) from error


def _is_vouched_for(zone: dns.name.Name, key: DNSKEY, entries: list[DS]) -> bool:
    tag = dns.dnssec.key_id(key)
    for entry in entries:
        if (entry.key_tag, entry.algorithm) != (tag, key.algorithm):
            continue
        try:
            if dns.dnssec.make_ds(zone, key, entry.digest_type, validating=True) == entry:
                return True
        except (dns.exception.DNSException, ValueError):  # a digest that is unknown or too weak
            continue
    return False
