"""The agent's own allow-list: which addresses and ports may be probed from here at all, whatever the server orders."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from apps.core.http.guard import special_reason
from config.agent.errors import AgentError

ANYWHERE = ("0.0.0.0/0", "::/0")
# What may be probed without being named: the places that agents are for.
PLAIN_REASONS = (None, "private")
OUTSIDE = "allow-list"
HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Entry:
    """A network, the ports in it, and the special block that it names by lying within."""

    network: IPv4Network | IPv6Network
    ports: range | None
    names: str | None

    def __str__(self) -> str:
        if self.ports is None:
            return str(self.network)
        place = f"[{self.network}]" if self.network.version == 6 else str(self.network)
        last = self.ports[-1]
        return f"{place}:{self.ports.start}" + (f"-{last}" if last != self.ports.start else "")

    def holds(self, address: IPv4Address | IPv6Address, port: int | None, reason: str | None) -> bool:
        """Tell whether this entry opens ``address``; ``port`` None asks whether any port of it is open."""
        if address.version != self.network.version or address not in self.network:
            return False
        if port is not None and self.ports is not None and port not in self.ports:
            return False
        return reason in PLAIN_REASONS or reason == self.names


class AllowList:
    """Networks, each with all its ports or some. Without any entry: public and private addresses, all ports.

    Loopback, the local link, cloud metadata and the other special blocks are open only where an entry lies within
    them: a wide one such as 0.0.0.0/0 does not name them.
    """

    def __init__(self, texts: Iterable[str] = ()) -> None:
        named = tuple(map(_entry, texts))
        self.is_limited = bool(named)
        self.entries = named or tuple(map(_entry, ANYWHERE))
        self.reason_against = lru_cache(maxsize=16_384)(self._reason_against)

    def __str__(self) -> str:
        return ", ".join(map(str, self.entries))

    def _reason_against(self, ip: str, port: int | None) -> str | None:
        """Return a stable code where ``ip`` may not be connected to, or None; a rule for `guard.judge_by`."""
        try:
            address = ip_address(ip.partition("%")[0])
        except ValueError:
            return "invalid"
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # which the kernel connects to
        reason = special_reason(str(address), allow_private=False)
        if any(entry.holds(address, port, reason) for entry in self.entries):
            return None
        return OUTSIDE


def _entry(text: str) -> Entry:
    place, ports = _parted(text.strip())
    try:
        network = ip_network(place, strict=False)
        chosen = _ports(ports) if ports else None
    except ValueError as error:
        raise AgentError(
            f"--allow: “{text}” is no network. Write 10.0.0.0/8, 10.1.2.3, 10.0.0.0/8:443, 10.0.0.0/8:8000-8999, "
            "fd00::/8 or [fd00::/8]:443."
        ) from error
    first, last = (special_reason(str(network[place]), allow_private=False) for place in (0, -1))
    return Entry(network, chosen, first if first == last else None)


def _parted(text: str) -> tuple[str, str]:
    """Part network and ports; an IPv6 network with ports stands in brackets."""
    if text.startswith("["):
        place, _bracket, rest = text[1:].partition("]")
        if rest and not rest.startswith(":"):
            raise AgentError(f"--allow: “{text}” is no network. After the bracket comes a colon and the ports.")
        return place, rest[1:]
    if text.count(":") == 1:
        place, _colon, ports = text.partition(":")
        return place, ports or "none"
    return text, ""


def _ports(text: str) -> range:
    low, _dash, high = text.partition("-")
    first, last = int(low), int(high or low)
    if not 1 <= first <= last <= HIGHEST_PORT:
        raise ValueError(text)
    return range(first, last + 1)
