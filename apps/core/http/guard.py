"""Which addresses the product may connect to.

Python's own ``is_private`` is no guide (on 3.11.7 it lets shared, metadata, translated and tunnelled addresses through),
so the special blocks of the IANA registries are written down here. IPv6 addresses that carry an IPv4 address are judged
by what they carry as well.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# What an installation for one's own network may reach; everything else special stays shut for everybody.
INNER_REASONS = frozenset({"loopback", "private", "shared", "benchmarking"})

METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, GCP, OpenStack and others
        "169.254.169.253",  # AWS resolver
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "168.63.129.16",  # Azure's host agent
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle, older
        "fd00:ec2::254",  # AWS
        "fd00:ec2::253",
        "fd00:ec2::23",
        "fd20:ce::254",  # GCP
        "fd00:c1::a9fe:a9fe",  # Oracle
        "fd00:42::42",  # Scaleway
    )
)

V4_BLOCKS = tuple(
    (IPv4Network(block), reason)
    for block, reason in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "tunnel"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)

V6_BLOCKS = tuple(
    (IPv6Network(block), reason)
    for block, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("64:ff9b:1::/48", "private"),
        ("2001::/32", "tunnel"),
        ("2001:2::/48", "benchmarking"),
        ("2001:db8::/32", "documentation"),
        ("2001::/23", "reserved"),
        ("2002::/16", "tunnel"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
)
GLOBAL_UNICAST = IPv6Network("2000::/3")

# Prefixes whose last 32 bits are an IPv4 address that a gateway, or the kernel itself, connects to instead.
V4_TAILS = tuple(IPv6Network(block) for block in ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
SIX_TO_FOUR = IPv6Network("2002::/16")
TEREDO = IPv6Network("2001::/32")
ISATAP_MARK = 0x5EFE


Rule = Callable[[str, int | None], str | None]
_own_rule: Rule | None = None


def judge_by(rule: Rule | None) -> None:
    """Have every address of this process judged by ``rule(ip, port)`` instead, as an agent's allow-list does; None ends that."""
    global _own_rule
    _own_rule = rule


def forbidden_reason(ip: str, *, allow_private: bool, port: int | None = None) -> str | None:
    """Return why ``ip`` may not be connected to, as a stable code, or None where it may.

    ``port`` is None where it is not known yet, and 0 where there is none (pings); it matters to a process's own rule only.
    """
    if _own_rule is not None:
        return _own_rule(ip, port)
    return special_reason(ip, allow_private=allow_private)


@lru_cache(maxsize=16_384)
def special_reason(ip: str, *, allow_private: bool) -> str | None:
    """Return in which special block ``ip`` lies that may not be connected to, or None.

    ``allow_private`` opens loopback, private, shared and benchmarking networks; cloud metadata, link-local, multicast,
    unspecified, broadcast, documentation and reserved addresses stay shut.
    """
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return "invalid"
    for reason in _reasons(address):
        if reason is not None and not (allow_private and reason in INNER_REASONS):
            return reason
    return None


def _reasons(address: IPv4Address | IPv6Address) -> Iterator[str | None]:
    if isinstance(address, IPv4Address):
        yield _v4_reason(address)
        return
    embedded = tuple(_embedded(address))
    for inner in embedded:
        yield _v4_reason(inner)
    yield _v6_reason(address)


def _v4_reason(address: IPv4Address) -> str | None:
    if address in METADATA:
        return "metadata"
    return next((reason for block, reason in V4_BLOCKS if address in block), None)


def _v6_reason(address: IPv6Address) -> str | None:
    if address in METADATA:
        return "metadata"
    found = next((reason for block, reason in V6_BLOCKS if address in block), None)
    if found is not None or address in GLOBAL_UNICAST or any(address in block for block in V4_TAILS):
        return found
    return "reserved"


def _embedded(address: IPv6Address) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses that a translator or tunnel would read out of ``address``."""
    number = int(address)
    tail = IPv4Address(number & 0xFFFFFFFF)
    if number <= 1:  # unspecified and loopback are themselves, not ::0.0.0.1
        return
    if any(address in block for block in V4_TAILS):
        yield tail
    elif address in LOCAL_NAT64:  # RFC 6052 puts the address around bit 64 of a /48, or at the end of a /96
        upper = number >> 64 & 0xFFFF
        yield IPv4Address(upper << 16 | number >> 40 & 0xFFFF) if upper else tail
    elif address in SIX_TO_FOUR:
        yield IPv4Address(number >> 80 & 0xFFFFFFFF)
    elif address in TEREDO:  # the server in clear, the client inverted
        yield IPv4Address(number >> 64 & 0xFFFFFFFF)
        yield IPv4Address(~number & 0xFFFFFFFF)
    if number >> 32 & 0xFDFFFFFF == ISATAP_MARK:  # the universal bit may be set or not
        yield tail
