"""Questions to name servers that we chose: where they do not answer for others either, nothing is held against a name.

They report a broken zone and their own trouble in the same words, or with none at all. So they are asked, by the same
way, for a witness: what every working resolver knows. Those of a closed network do not, and are asked for a name that they
answered before.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace

import dns.message
import dns.name
import dns.rcode

from apps.checks.types.base import Network, ProbeFailure
from apps.checks.types.dns_exchange import NameServer, ask
from apps.checks.types.dns_heard import note_name, note_witness, other_name

# All else says that the server could not, or would not, find out.
OF_THE_NAME = frozenset({dns.rcode.NOERROR, dns.rcode.NXDOMAIN})
# To refuse the witness is a policy, of a server that works: unless it refuses the name as well, and so perhaps all that we ask.
SIGNS_OF_LIFE = OF_THE_NAME | {dns.rcode.REFUSED}
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
    witness = asyncio.create_task(_word_of_others(net.beside(), servers, name, has_trouble))
    try:
        answer = await _ask_each(net, servers, name, record_type, recurse=recurse, dnssec=dnssec)
        if answer.rcode() in OF_THE_NAME:
            note_name(servers, name, record_type)
            return answer
        has_trouble.set()
        if await witness not in SIGNS_OF_LIFE - {answer.rcode()}:
            raise _failure(name, dns.rcode.to_text(answer.rcode()))
        return answer
    except ProbeFailure as failure:
        has_trouble.set()
        if failure.is_ours or await witness in SIGNS_OF_LIFE:
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


async def _word_of_others(
    net: Network, servers: NameServer, name: dns.name.Name, has_trouble: asyncio.Event
) -> dns.rcode.Rcode | None:
    """Return what the servers say of other names; they are asked once there is trouble, or the question takes long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(min(SLOW_SECONDS, net.seconds_left() / 2)):
            await has_trouble.wait()
    other = other_name(servers, name)
    seconds = net.seconds_left()
    word = await _word(net, servers, WITNESS, WITNESS_TYPE, seconds=seconds / 2 if other else seconds)
    if word in OF_THE_NAME:
        note_witness(servers)
    elif other:
        word_of_other = await _word(net, servers, *other, seconds=net.seconds_left())
        word = word_of_other if word_of_other in OF_THE_NAME else word
    return word


async def _word(
    net: Network, servers: NameServer, name: dns.name.Name, record_type: str, *, seconds: float
) -> dns.rcode.Rcode | None:
    """Return the status of an answer; None where there is none."""
    try:
        async with asyncio.timeout(seconds):
            return (await _ask_each(net, servers, name, record_type)).rcode()
    except (TimeoutError, ProbeFailure):
        return None


def _failure(name: dns.name.Name, detail: str) -> ProbeFailure:
    return ProbeFailure("resolver_failure", {"host": name.to_text(omit_final_dot=True), "detail": detail}, is_ours=True)
