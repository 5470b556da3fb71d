"""The guard against every kind of address that is not the public internet."""

import pytest

from apps.core.http.guard import forbidden_reason

# Address, the reason where only public ones are allowed, and the reason where inner networks are open as well.
VECTORS = [
    ("127.0.0.1", "loopback", None),
    ("127.255.255.254", "loopback", None),
    ("::1", "loopback", None),
    ("10.1.2.3", "private", None),
    ("172.16.0.1", "private", None),
    ("172.31.255.255", "private", None),
    ("192.168.1.1", "private", None),
    ("fc00::1", "private", None),
    ("fd12:3456::1", "private", None),
    ("fec0::1", "private", None),
    ("100.64.0.1", "shared", None),
    ("100.127.255.255", "shared", None),
    ("198.18.0.1", "benchmarking", None),
    ("2001:2::1", "benchmarking", None),
    ("169.254.1.1", "link-local", "link-local"),
    ("fe80::1", "link-local", "link-local"),
    ("fe80::1%eth0", "link-local", "link-local"),
    ("169.254.169.254", "metadata", "metadata"),
    ("169.254.170.2", "metadata", "metadata"),
    ("168.63.129.16", "metadata", "metadata"),
    ("100.100.100.200", "metadata", "metadata"),
    ("192.0.0.192", "metadata", "metadata"),
    ("fd00:ec2::254", "metadata", "metadata"),
    ("fd20:ce::254", "metadata", "metadata"),
    ("0.0.0.0", "unspecified", "unspecified"),
    ("0.1.2.3", "unspecified", "unspecified"),
    ("::", "unspecified", "unspecified"),
    ("255.255.255.255", "broadcast", "broadcast"),
    ("224.0.0.1", "multicast", "multicast"),
    ("239.255.255.255", "multicast", "multicast"),
    ("ff02::1", "multicast", "multicast"),
    ("192.0.0.8", "reserved", "reserved"),
    ("240.0.0.1", "reserved", "reserved"),
    ("5f00::1", "reserved", "reserved"),
    ("100::1", "reserved", "reserved"),
    ("2001:10::1", "reserved", "reserved"),
    ("192.0.2.1", "documentation", "documentation"),
    ("198.51.100.1", "documentation", "documentation"),
    ("203.0.113.1", "documentation", "documentation"),
    ("2001:db8::1", "documentation", "documentation"),
    ("3fff::1", "documentation", "documentation"),
    ("192.88.99.1", "tunnel", "tunnel"),
    # IPv4 in IPv6's clothes
    ("::ffff:127.0.0.1", "loopback", None),
    ("::ffff:7f00:1", "loopback", None),
    ("::ffff:169.254.169.254", "metadata", "metadata"),
    ("::ffff:100.64.0.1", "shared", None),
    ("::ffff:0:10.0.0.1", "private", None),
    ("::127.0.0.1", "loopback", None),
    ("::a9fe:a9fe", "metadata", "metadata"),
    ("64:ff9b::a9fe:a9fe", "metadata", "metadata"),
    ("64:ff9b::7f00:1", "loopback", None),
    ("64:ff9b:1::a9fe:a9fe", "metadata", "metadata"),
    ("64:ff9b:1:a9fe:a9:fe00::", "metadata", "metadata"),
    ("64:ff9b:1::808:808", "private", None),
    ("2002:7f00:1::", "loopback", "tunnel"),
    ("2002:a9fe:a9fe::1", "metadata", "metadata"),
    ("2002:808:808::1", "tunnel", "tunnel"),
    ("2001:0:7f00:1:0:0:f7f7:f7f7", "loopback", "tunnel"),
    ("2001:0:808:808:0:0:5601:5601", "metadata", "metadata"),
    ("2a00::5efe:10.0.0.1", "private", None),
    ("2a00::200:5efe:a9fe:a9fe", "metadata", "metadata"),
    ("fe80::5efe:8.8.8.8", "link-local", "link-local"),
    # not an address at all
    ("", "invalid", "invalid"),
    ("localhost", "invalid", "invalid"),
    ("127.1", "invalid", "invalid"),
    ("010.0.0.1", "invalid", "invalid"),
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "2a00:1450::5",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize(("ip", "strict", "inner"), VECTORS)
def test_special_address_is_named(ip: str, strict: str, inner: str | None) -> None:
    assert forbidden_reason(ip, allow_private=False) == strict
    assert forbidden_reason(ip, allow_private=True) == inner


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_address_is_allowed(ip: str) -> None:
    assert forbidden_reason(ip, allow_private=False) is None
    assert forbidden_reason(ip, allow_private=True) is None
