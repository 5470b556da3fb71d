"""Questions to name servers that we chose: where they do not answer for others either, nothing is held against a name.

They report a broken zone and their own trouble in the same words, or with none at all. So they are asked, by the same
way, for a witness: what every working resolver knows.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace

import dns.message
import dns.name
import dns.rcode

from apps.checks.types.base import Network, ProbeFailure
from apps.checks.types.dns_exchange import NameServer, ask

# All else says that the server could not, or would not, find out.
OF_THE_NAME = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})
# Not of addresses, since some resolvers look for those of such names in the local network alone; and kept for a quarter of
# an hour only: what a resolver has in its cache says little of how it fares.
WITNESS, WITNESS_TYPE = dns.name.from_text("com."), "SOA"
# A question that takes longer, or half of the time that is left, has the witness asked for beside it: later there is none.
SLOW_SECONDS = 0.5


async def ask_ours(
    net: Network,
    servers: NameServer,
    name: dns.name.Name,
    record_type: str,
    *,
    recurse: bool = True,
    dnssec: bool = False,
) -> dns.message.Message:
    """As `ask`; ``resolver_failure``, a fault of ours, where the servers do not answer for other names either."""
    has_trouble = asyncio.Event()
    witness = asyncio.create_task(_is_witness_answered(net.beside(), servers, has_trouble))
    try:
        answer = await _ask_each(net, servers, name, record_type, recurse=recurse, dnssec=dnssec)
        if answer.rcode() in OF_THE_NAME:
            return answer
        has_trouble.set()
        if await witness:
            return answer
        raise _failure(name, dns.rcode.to_text(answer.rcode()))
    except ProbeFailure as failure:
        has_trouble.set()
        if failure.is_ours or await witness:
            raise
        raise _failure(name, failure.code) from failure
    finally:
        witness.cancel()
        await asyncio.gather(witness, return_exceptions=True)  # a socket is closed after its last watcher only


async def _ask_each(
    net: Network,
    servers: NameServer,
    name: dns.name.Name,
    record_type: str,
    *,
    recurse: bool = True,
    dnssec: bool = False,
) -> dns.message.Message:
    """Ask until one says something of the name, as the system's resolver does; else return the last word there was."""
    answer = await ask(net, servers, name, record_type, recurse=recurse, dnssec=dnssec)
    for first in range(1, len(servers.hosts)):
        if answer.rcode() in OF_THE_NAME:
            break
        in_turn = replace(servers, hosts=(*servers.hosts[first:], *servers.hosts[:first]))
        with suppress(ProbeFailure):
            answer = await ask(net, in_turn, name, record_type, recurse=recurse, dnssec=dnssec)
    return answer


async def _is_witness_answered(net: Network, servers: NameServer, has_trouble: asyncio.Event) -> bool:
    """Tell whether the servers know the witness; they are asked once there is trouble, or the question takes long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(min(SLOW_SECONDS, net.seconds_left() / 2)):
            await has_trouble.wait()
    try:
        answer = await _ask_each(net, servers, WITNESS, WITNESS_TYPE)
    except ProbeFailure:
        return False
    return answer.rcode() in OF_THE_NAME


def _failure(name: dns.name.Name, detail: str) -> ProbeFailure:
    return ProbeFailure("resolver_failure", {"host": name.to_text(omit_final_dot=True), "detail": detail}, is_ours=True)
