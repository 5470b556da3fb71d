"""The DNS records of a name, as sets that can be compared."""

from collections.abc import Iterable
from hashlib import sha256

import dns.exception
import dns.name
import dns.rcode

from apps.checks.types.base import ProbeContext, ProbeFailure
from apps.checks.types.dns_exchange import NameServer, Transport, system_servers
from apps.checks.types.dns_ours import ask_ours
from apps.checks.types.dns_trail import follow
from apps.checks.types.texts import printable

RECORD_TYPES = ("A", "AAAA", "CAA", "CNAME", "DS", "HTTPS", "MX", "NS", "SOA", "SRV", "SVCB", "TLSA", "TXT")
MAX_RECORDS = 10  # of one type; more stand as their number and a digest
RECORD_LENGTH = 80
PORT = 53


async def record_set(context: ProbeContext, host: str, types: Iterable[str]) -> dict[str, list[str]]:
    """Return the records of each type, sorted; a name without such records has an empty list."""
    servers = NameServer(system_servers(allow_private=context.allow_private), PORT, Transport.UDP)
    try:
        name = dns.name.from_text(host)
    except dns.exception.DNSException as error:
        raise ProbeFailure("dns_failure", {"host": host, "detail": "name"}) from error
    found = {}
    for kind in sorted({one.upper() for one in types}):
        answer = await ask_ours(context.net, servers, name, kind)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise ProbeFailure("dns_no_answer", {"host": host, "detail": dns.rcode.to_text(answer.rcode())})
        found[kind] = _listed(sorted(record.to_text() for record in follow(answer).records or ()))
    return found


def _listed(records: list[str]) -> list[str]:
    if len(records) <= MAX_RECORDS:
        return [_brief(record) for record in records]
    return [f"{len(records)} #{sha256(' '.join(records).encode()).hexdigest()[:16]}"]


def _brief(record: str) -> str:
    line = printable(record, RECORD_LENGTH)
    return line if line == record else f"{line} #{sha256(record.encode()).hexdigest()[:8]}"
