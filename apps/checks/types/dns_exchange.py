"""One question to a name server and its answer, over UDP, TCP or TLS."""

import asyncio
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
from django.conf import settings
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Network, ProbeFailure, TlsSettings
from apps.core.http.guard import forbidden_reason

UDP_TRIES = 3
UDP_TRY_SECONDS = 2.0
PAYLOAD = 1_232  # what passes nearly every network unfragmented: https://www.dnsflagday.net/2020/
RESOLV_CONF = Path("/etc/resolv.conf")
# What the parser raises besides its own errors on messages that are torn in unusual places.
PARSE_ERRORS = (dns.exception.DNSException, ValueError, struct.error, IndexError, OverflowError)


class Transport(TextChoices):
    """How a name server is spoken to."""

    UDP = "udp", _("UDP, and TCP where the answer is too long")
    TCP = "tcp", "TCP"
    TLS = "tls", _("TLS")


@dataclass(frozen=True, slots=True)
class NameServer:
    """Whom to ask, and how. Several hosts are asked in turn."""

    hosts: Sequence[str]
    port: int
    transport: str


async def ask(
    net: Network,
    server: NameServer,
    name: dns.name.Name,
    record_type: str,
    *,
    recurse: bool = True,
    dnssec: bool = False,
) -> dns.message.Message:
    """Return the answer to one question; raises `ProbeFailure`, ``dns_malformed`` where it cannot be read.

    ``dnssec`` asks for signatures, and for answers that the server itself holds for forged, so that we can judge.
    """
    query = dns.message.make_query(name, record_type, use_edns=0, payload=PAYLOAD, want_dnssec=dnssec)
    if not recurse:
        query.flags &= ~dns.flags.RD
    if dnssec:
        query.flags |= dns.flags.CD
    if server.transport != Transport.UDP:
        return await _ask_stream(net, server, query)
    answer = await _ask_datagrams(net, server, query)
    if answer.flags & dns.flags.TC:
        return await _ask_stream(net, server, query)
    return answer


def system_servers(*, allow_private: bool) -> tuple[str, ...]:
    """Return this machine's name servers, or public ones where those may not be reached."""
    try:
        changed_at = RESOLV_CONF.stat().st_mtime_ns
        found = _configured(RESOLV_CONF, changed_at)
    except OSError:
        found = ()
    allowed = tuple(ip for ip in found if forbidden_reason(ip, allow_private=allow_private) is None)
    # This machine's own servers are private addresses, which this tenant's checks must not reach.
    return allowed or tuple(settings.PUBLIC_NAME_SERVERS)


@lru_cache(maxsize=4)
def _configured(path: Path, _changed_at: int) -> tuple[str, ...]:
    lines: Iterable[list[str]] = (line.split() for line in path.read_text(errors="replace").splitlines())
    return tuple(words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")[:3]


async def _ask_datagrams(net: Network, server: NameServer, query: dns.message.Message) -> dns.message.Message:
    """Ask up to three times: a lost datagram says nothing of the server."""
    for attempt in range(UDP_TRIES):
        line = await net.open_datagrams(server.hosts[attempt % len(server.hosts)], server.port)
        await line.send(query.to_wire())
        try:
            async with asyncio.timeout(UDP_TRY_SECONDS if attempt + 1 < UDP_TRIES else None):
                while True:
                    answer = _read(await line.receive(), query)
                    if answer is not None:
                        return answer
        except TimeoutError:
            continue
        finally:
            line.close()
    raise ProbeFailure("timeout")


async def _ask_stream(net: Network, server: NameServer, query: dns.message.Message) -> dns.message.Message:
    tls = TlsSettings(alpn=("dot",)) if server.transport == Transport.TLS else None
    stream = await net.open(server.hosts[0], server.port, tls=tls)
    wire = query.to_wire()
    await stream.write(struct.pack("!H", len(wire)) + wire)
    (size,) = struct.unpack("!H", await stream.read_exactly(2))
    answer = _read(await stream.read_exactly(size), query)
    stream.close()
    if answer is None:
        raise ProbeFailure("dns_malformed", {"detail": "an answer to another question"})
    return answer


def _read(wire: bytes, query: dns.message.Message) -> dns.message.Message | None:
    """Return the message; None for one that answers something else, as a forger's guess would."""
    if len(wire) < 2 or wire[:2] != struct.pack("!H", query.id):
        return None
    try:
        answer = dns.message.from_wire(wire)
    except PARSE_ERRORS as error:
        raise ProbeFailure("dns_malformed", {"detail": type(error).__name__}) from error
    return answer if query.is_response(answer) else None
