"""What NSEC and NSEC3 records prove to be missing (RFC 4035, section 5.4; RFC 5155, section 8; RFC 6840, section 4). Pure.

Each proof is made of the records of one zone, whose signatures have been checked before.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import dns.name
import dns.rdatatype
import dns.rrset
from dns.rdtypes.ANY.NSEC import NSEC
from dns.rdtypes.ANY.NSEC3 import NSEC3

SHA1, DIGEST_BYTES = 1, 20
OPT_OUT = 1
MAX_ROUNDS = 150  # of hashing: RFC 9276 lets validators refuse more, and zones should use none
WILDCARD = dns.name.Name(("*",))

Name = dns.name.Name
Type = dns.rdatatype.RdataType


class Unproven(Exception):
    """The records do not prove it; the text says what is missing."""


class Proof(Protocol):
    """The denials of one zone; ``name`` lies in it. Each method raises `Unproven`."""

    def deny_name(self, name: Name) -> None:
        """Return where there is no such name, and no wildcard that stands for it."""
        ...

    def deny_type(self, name: Name, wanted: Type) -> None:
        """Return where the name, or the wildcard that stands for it, has no such records, nor an alias."""
        ...

    def deny_closer(self, name: Name, encloser: Name) -> None:
        """Return where nothing is nearer to ``name`` than the wildcard right below ``encloser``."""
        ...


def proof_of(zone: Name, sets: Iterable[dns.rrset.RRset]) -> Proof:
    """Return what the denials of ``zone`` can prove."""
    records = [(entry.name, record) for entry in sets for record in entry]
    hashed = [(name, record) for name, record in records if isinstance(record, NSEC3)]
    if hashed:
        return _HashedNames(zone, hashed)
    return _PlainNames(zone, [(name, record) for name, record in records if isinstance(record, NSEC)])


def _wildcard_below(name: Name) -> Name:
    try:
        return WILDCARD.derelativize(name)
    except dns.name.NameTooLong as error:
        raise Unproven(f"nothing fits below {name}") from error


def _has(record: NSEC | NSEC3, wanted: Type) -> bool:
    window, low = divmod(int(wanted), 256)
    return any(
        number == window and len(bits) > low // 8 and bool(bits[low // 8] & 0x80 >> low % 8)
        for number, bits in record.windows
    )


def _is_cut(record: NSEC | NSEC3) -> bool:
    """Tell whether another zone begins here: what lies below is not this one's to deny."""
    return _has(record, dns.rdatatype.NS) and not _has(record, dns.rdatatype.SOA)


def _check_lack(name: Name, record: NSEC | NSEC3, wanted: Type) -> None:
    if _has(record, wanted) or _has(record, dns.rdatatype.CNAME):
        raise Unproven(f"{name} has such records")
    if wanted == dns.rdatatype.DS:
        if _has(record, dns.rdatatype.SOA) and name != dns.name.root:
            raise Unproven(f"the zone above {name} has to say so")
    elif _is_cut(record):
        raise Unproven(f"the zone of {name} has to say so")


class _PlainNames:
    """NSEC: names in their order, each naming the next."""

    def __init__(self, zone: Name, records: Sequence[tuple[Name, NSEC]]) -> None:
        self._zone = zone
        self._records = records

    def deny_name(self, name: Name) -> None:
        self._missing(_wildcard_below(self._missing(name)))

    def deny_type(self, name: Name, wanted: Type) -> None:
        own = self._at(name)
        if own is None:
            _owner, record = self._around(name)
            if record.next.is_subdomain(name):
                return  # it exists only because something lies below it, and has nothing itself
            name = _wildcard_below(self._missing(name))
            own = self._at(name)
        if own is None:
            raise Unproven(f"nothing tells what {name} has")
        _check_lack(name, own, wanted)

    def deny_closer(self, name: Name, encloser: Name) -> None:
        if self._missing(name) != encloser:
            raise Unproven(f"something nearer than {encloser} stands for {name}")

    def _at(self, name: Name) -> NSEC | None:
        return next((record for owner, record in self._records if owner == name), None)

    def _around(self, name: Name) -> tuple[Name, NSEC]:
        """Return the record in whose gap the name lies."""
        for owner, record in self._records:
            is_within = owner < name and (name < record.next or record.next == self._zone)
            is_below = name.is_subdomain(owner) and (_is_cut(record) or _has(record, dns.rdatatype.DNAME))
            if is_within and not is_below:
                return owner, record
        raise Unproven(f"nothing denies {name}")

    def _missing(self, name: Name) -> Name:
        """Return the nearest name above ``name`` that exists, once that itself does not."""
        owner, record = self._around(name)
        if record.next.is_subdomain(name):
            raise Unproven(f"{name} exists")
        shared = max(name.fullcompare(other)[2] for other in (owner, record.next))
        return name.split(shared)[1]


class _HashedNames:
    """NSEC3: hashes of names in their order, each naming the next."""

    def __init__(self, zone: Name, records: Sequence[tuple[Name, NSEC3]]) -> None:
        self._zone = zone
        first = records[0][1]
        self._salt, self._rounds = first.salt, first.iterations
        if self._rounds > MAX_ROUNDS:
            raise Unproven(f"{zone} hashes its names {self._rounds} times")
        self._records = [
            (_hash_in(owner), record)
            for owner, record in records
            if record.algorithm == SHA1
            and record.flags in (0, OPT_OUT)
            and (record.salt, record.iterations) == (self._salt, self._rounds)
            and len(record.next) == DIGEST_BYTES
            and _hash_in(owner)
            and owner.parent() == zone
        ]
        self._known: dict[Name, bytes] = {}

    def deny_name(self, name: Name) -> None:
        encloser = self._missing(name)
        self._gap_of(_wildcard_below(encloser))

    def deny_type(self, name: Name, wanted: Type) -> None:
        own = self._at(name)
        if own is None:
            name = _wildcard_below(self._missing(name))
            own = self._at(name)
        if own is None:
            raise Unproven(f"nothing tells what {name} has")
        _check_lack(name, own, wanted)

    def deny_closer(self, name: Name, encloser: Name) -> None:
        self._check_gap(name.split(len(encloser) + 1)[1])

    def _missing(self, name: Name) -> Name:
        """Return the nearest name above ``name`` that exists, once the next nearer one does not."""
        for depth in range(len(name), len(self._zone) - 1, -1):
            encloser = name.split(depth)[1]
            record = self._at(encloser)
            if record is None:
                continue
            if depth == len(name):
                raise Unproven(f"{name} exists")
            if _is_cut(record) or _has(record, dns.rdatatype.DNAME):
                raise Unproven(f"the zone of {name} has to say so")
            self._check_gap(name.split(depth + 1)[1])
            return encloser
        raise Unproven(f"nothing denies {name}")

    def _check_gap(self, name: Name) -> None:
        if self._gap_of(name).flags & OPT_OUT:  # RFC 5155, section 9.2
            raise Unproven(f"{name} may exist unsigned: the zone uses opt-out")

    def _at(self, name: Name) -> NSEC3 | None:
        wanted = self._hash(name)
        return next((record for owner, record in self._records if owner == wanted), None)

    def _gap_of(self, name: Name) -> NSEC3:
        wanted = self._hash(name)
        for owner, record in self._records:
            is_after, is_before = owner < wanted, wanted < record.next
            if (is_after or is_before) if record.next <= owner else (is_after and is_before):
                return record
        raise Unproven(f"nothing denies {name}")

    def _hash(self, name: Name) -> bytes:
        found = self._known.get(name)
        if found is None:
            found = name.canonicalize().to_wire() or b""
            for _round in range(self._rounds + 1):
                found = hashlib.sha1(found + self._salt, usedforsecurity=False).digest()
            self._known[name] = found
        return found


def _hash_in(owner: Name) -> bytes:
    """Return the hash that a record's owner is named by; nothing for what is none."""
    try:
        found = base64.b32hexdecode(owner.labels[0].upper())
    except (binascii.Error, ValueError):
        return b""
    return found if len(found) == DIGEST_BYTES else b""
