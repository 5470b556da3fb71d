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
import dns.rcode
import dns.rdatatype
from django.conf import settings
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Network, ProbeFailure, TlsSettings
from apps.core.http.failures import NO_IPV6, NO_WAY
from apps.core.http.guard import forbidden_reason

UDP_TRIES = 3
UDP_TRY_SECONDS = 2.0
HEADER, TRUNCATED = 12, 0x02
# Of these, the next server is asked instead.
NOBODY_THERE = frozenset({"connect_refused", NO_WAY, NO_IPV6, "connect_failed"})
# How servers of before 1999 refuse what they do not know: https://www.rfc-editor.org/rfc/rfc6891#section-6.2.2
NO_EDNS = frozenset({dns.rcode.FORMERR, dns.rcode.NOTIMP})
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
    answer = await _exchange(net, server, query)
    if answer.rcode() in NO_EDNS and not dnssec:
        query.use_edns(False)
        answer = await _exchange(net, server, query)
    return answer


async def _exchange(net: Network, server: NameServer, query: dns.message.Message) -> dns.message.Message:
    if server.transport != Transport.UDP:
        return await _ask_streams(net, server, query)
    host, answer = await _ask_datagrams(net, server, query)
    if answer.flags & dns.flags.TC:
        return await _ask_stream(net, server, host, query)
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


async def _ask_datagrams(
    net: Network, server: NameServer, query: dns.message.Message
) -> tuple[str, dns.message.Message]:
    """Ask up to three times: a lost datagram says nothing of the server. Return who answered, and what."""
    for attempt in range(UDP_TRIES):
        host = server.hosts[attempt % len(server.hosts)]
        is_last = attempt + 1 == UDP_TRIES
        try:
            async with asyncio.timeout(None if is_last else UDP_TRY_SECONDS):
                return host, await _ask_datagram(net, host, server.port, query)
        except TimeoutError:
            continue
        except ProbeFailure as failure:
            if is_last or len(server.hosts) == 1 or failure.code not in NOBODY_THERE:
                raise
    raise ProbeFailure("timeout")


async def _ask_datagram(net: Network, host: str, port: int, query: dns.message.Message) -> dns.message.Message:
    line = await net.open_datagrams(host, port)
    try:
        await line.send(query.to_wire())
        while True:
            wire = await line.receive()
            is_cut = len(wire) >= HEADER and bool(wire[2] & TRUNCATED)
            if is_cut:  # it will be asked for again by TCP, and may end in the middle of a record
                wire = wire[:6] + bytes(6) + wire[HEADER:]
            answer = _read(wire, query, is_cut=is_cut)
            if answer is not None:
                return answer
    finally:
        line.close()


async def _ask_streams(net: Network, server: NameServer, query: dns.message.Message) -> dns.message.Message:
    """Ask the first server that takes the connection."""
    *others, last = server.hosts
    for host in others:
        try:
            return await _ask_stream(net, server, host, query)
        except ProbeFailure as failure:
            if failure.code not in NOBODY_THERE:
                raise
    return await _ask_stream(net, server, last, query)


async def _ask_stream(net: Network, server: NameServer, host: str, query: dns.message.Message) -> dns.message.Message:
    tls = TlsSettings(alpn=("dot",)) if server.transport == Transport.TLS else None
    stream = await net.open(host, server.port, tls=tls)
    wire = query.to_wire()
    await stream.write(struct.pack("!H", len(wire)) + wire)
    (size,) = struct.unpack("!H", await stream.read_exactly(2))
    answer = _read(await stream.read_exactly(size), query)
    stream.close()
    if answer is None:
        raise ProbeFailure("dns_malformed", {"detail": "an answer to another question"})
    return answer


def _read(wire: bytes, query: dns.message.Message, *, is_cut: bool = False) -> dns.message.Message | None:
    """Return the message; None for one that answers something else, as a forger's guess would."""
    if len(wire) < 2 or wire[:2] != struct.pack("!H", query.id):
        return None
    try:
        answer = dns.message.from_wire(wire, ignore_trailing=is_cut)
    except PARSE_ERRORS as error:
        raise ProbeFailure("dns_malformed", {"detail": type(error).__name__}) from error
    return answer if query.is_response(answer) else None
