"""What of a DNS answer belongs to its question: the aliases that lead away from the name, and the records at their end."""

from dataclasses import dataclass

import dns.message
import dns.name
import dns.rdatatype
import dns.rrset

MAX_HOPS = 16

Sets = dict[tuple[dns.name.Name, dns.rdatatype.RdataType], dns.rrset.RRset]


@dataclass(frozen=True, slots=True)
class Trail:
    """The aliases in their order, the name they end at, and its records of the wanted type; None where it has none."""

    aliases: tuple[dns.rrset.RRset, ...]
    end: dns.name.Name
    records: dns.rrset.RRset | None


def follow(answer: dns.message.Message) -> Trail:
    """Return what answers the question; records of other names are somebody's who was not asked about."""
    if not answer.question:  # which some refusals leave out
        return Trail((), dns.name.root, None)
    question = answer.question[0]
    sets = {(entry.name, entry.rdtype): entry for entry in answer.answer if entry.rdtype != dns.rdatatype.RRSIG}
    name = question.name
    aliases: list[dns.rrset.RRset] = []
    for _hop in range(MAX_HOPS):
        records = sets.get((name, question.rdtype))
        if records is not None:
            return Trail(tuple(aliases), name, records)
        found = _alias_of(name, sets)
        if found is None:
            break
        alias, name = found
        aliases.append(alias)
    return Trail(tuple(aliases), name, None)


def _alias_of(name: dns.name.Name, sets: Sets) -> tuple[dns.rrset.RRset, dns.name.Name] | None:
    """Return what stands for ``name`` and where it leads: a DNAME above it, whose CNAME is made up and never signed, or
    its own CNAME."""
    for depth in range(len(name) - 1, 0, -1):
        prefix, above = name.split(depth)
        alias = sets.get((above, dns.rdatatype.DNAME))
        if alias is not None:
            try:
                return alias, prefix.derelativize(alias[0].target)
            except dns.name.NameTooLong:
                return None
    alias = sets.get((name, dns.rdatatype.CNAME))
    return (alias, alias[0].target) if alias is not None else None
