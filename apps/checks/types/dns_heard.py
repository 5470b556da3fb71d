"""What the name servers that we chose have answered of late: some know names of their own network alone.

Such a name is a witness of theirs. It is asked for again, since what was heard before a question says nothing of whom to blame
for its end.
"""

from dataclasses import dataclass, field
from math import inf
from time import monotonic

import dns.name

from apps.checks.types.dns_exchange import NameServer

KEPT_SERVERS = 64
KEPT_NAMES = 8
# The root and what lies right below it, which every cache has for days. (A name's last label is the root's.)
SHORT_NAME = 2
# Servers that knew the witness within this time are judged by it alone: from their cache they would answer other names still.
WITNESS_SECONDS = 86_400.0


@dataclass(slots=True)
class _Heard:
    """What was answered by some servers."""

    names: dict[dns.name.Name, str] = field(default_factory=dict)  # and for which type; the latest stands last
    witness_at: float = -inf  # monotonic


_heard: dict[NameServer, _Heard] = {}


def note_name(servers: NameServer, name: dns.name.Name, record_type: str) -> None:
    """Remember that the servers told something of a name, if only that there is none."""
    if len(name) <= SHORT_NAME:
        return
    names = _note(servers).names
    names.pop(name, None)
    names[name] = record_type
    if len(names) > KEPT_NAMES:
        del names[next(iter(names))]


def note_witness(servers: NameServer) -> None:
    """Remember that the servers know what every resolver does that has a way to the world."""
    _note(servers).witness_at = monotonic()


def other_name(servers: NameServer, name: dns.name.Name) -> tuple[dns.name.Name, str] | None:
    """Return what servers that do not know the witness answered last, neither above nor below ``name``, with its type."""
    heard = _heard.get(servers)
    if heard is None or monotonic() - heard.witness_at < WITNESS_SECONDS:
        return None
    for other, record_type in reversed(heard.names.items()):
        if not other.is_subdomain(name) and not name.is_subdomain(other):
            return other, record_type
    return None


def forget() -> None:
    """Know nothing of any server."""
    _heard.clear()


def _note(servers: NameServer) -> _Heard:
    heard = _heard.pop(servers) if servers in _heard else _Heard()
    _heard[servers] = heard  # at the end: the one at the front goes first
    if len(_heard) > KEPT_SERVERS:
        del _heard[next(iter(_heard))]
    return heard
