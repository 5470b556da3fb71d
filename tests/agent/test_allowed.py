"""The allow-list: what it opens, what only a name opens, and that every connection of the engine meets it."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from apps.checks.engine.guarded_proxy import GuardedProxy
from apps.checks.engine.job import ProbeJob
from apps.checks.engine.network import LoopNetwork
from apps.checks.engine.once import probe_alone
from apps.checks.engine.resolver import HostResolver
from apps.checks.types.http import HttpConfig
from apps.checks.types.tcp import TcpConfig
from apps.core.http import guard
from config.agent.allowed import AllowList
from config.agent.errors import AgentError
from tests.peers.process import free_port


@pytest.mark.parametrize(
    ("ip", "is_open"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.1.1", True),
        ("fd12::1", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("169.254.1.1", False),
        ("fe80::1%eth0", False),
        ("169.254.169.254", False),
        ("100.100.100.200", False),
        ("fd00:ec2::254", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("not an address", False),
    ],
)
def test_without_entries_public_and_private_addresses_are_open(ip: str, is_open: bool) -> None:
    assert (AllowList().reason_against(ip, 443) is None) == is_open


def test_entries_close_everything_else() -> None:
    allowed = AllowList(["10.1.0.0/16", "fd00::/8"])

    opened = [
        ip for ip in ("10.1.2.3", "::ffff:10.1.2.3", "10.2.0.1", "93.184.216.34", "fd00::1", "2606:4700::1111")
        if allowed.reason_against(ip, 80) is None
    ]  # fmt: skip
    assert opened == ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"]
    assert allowed.reason_against("10.2.0.1", 80) == "allow-list"


@pytest.mark.parametrize("wide", ["0.0.0.0/0", "127.0.0.0/7", "168.0.0.0/5", "0.0.0.0/1"])
def test_a_wide_entry_does_not_name_what_is_special(wide: str) -> None:
    allowed = AllowList([wide])

    assert [allowed.reason_against(ip, 80) for ip in ("127.0.0.1", "169.254.169.254", "169.254.1.1")] == [
        "allow-list"
    ] * 3


def test_special_addresses_open_where_an_entry_lies_within_their_block() -> None:
    assert AllowList(["127.0.0.0/8"]).reason_against("127.0.0.1", 80) is None
    assert AllowList(["127.0.0.1"]).reason_against("127.0.0.2", 80) == "allow-list"
    assert AllowList(["169.254.0.0/16"]).reason_against("169.254.1.1", 80) is None
    assert AllowList(["169.254.0.0/16"]).reason_against("169.254.169.254", 80) == "allow-list"
    assert AllowList(["169.254.169.254"]).reason_against("169.254.169.254", 80) is None


def test_ports_limit_an_entry() -> None:
    allowed = AllowList(["10.0.0.0/8:443", "10.0.0.0/8:8000-8999", "[fd00::/8]:25"])

    def is_open(ip: str, port: int | None) -> bool:
        return allowed.reason_against(ip, port) is None

    assert [port for port in (80, 443, 444, 7_999, 8_000, 8_999, 9_000) if is_open("10.0.0.1", port)] == [
        443,
        8_000,
        8_999,
    ]
    assert (is_open("fd00::1", 25), is_open("fd00::1", 26)) == (True, False)
    assert is_open("10.0.0.1", None)  # some port of it is open: a name may resolve to it
    assert not is_open("10.0.0.1", 0)  # pings have no port, and ports were named
    assert str(allowed) == "10.0.0.0/8:443, 10.0.0.0/8:8000-8999, [fd00::/8]:25"


@pytest.mark.parametrize(
    "text",
    ["example.com", "10.0.0.0/33", "10.0.0.0/8:", "10.0.0.0/8:0", "10.0.0.0/8:9-8", "10.0.0.0/8:70000", "[::1]x"],
)
def test_what_is_no_network_is_refused_by_name(text: str) -> None:
    with pytest.raises(AgentError, match="--allow"):
        AllowList([text])


@pytest.fixture
def only_some_ports() -> Iterator[None]:
    """The process's guard judges by a list that names loopback, with one port."""
    guard.judge_by(AllowList(["127.0.0.1:1"]).reason_against)
    yield
    guard.judge_by(None)


@pytest.mark.usefixtures("only_some_ports")
async def test_every_way_out_of_the_engine_meets_the_list() -> None:
    port = free_port()
    configs = {"http": HttpConfig(url=f"http://127.0.0.1:{port}/"), "tcp": TcpConfig(host="127.0.0.1", port=port)}

    outcomes = [
        await probe_alone(ProbeJob(None, kind, config, timeout_seconds=3, allow_private=True))
        for kind, config in configs.items()
    ]

    assert [(outcome.error_code, outcome.error_values) for outcome in outcomes] == [
        ("address_forbidden", {"address": "127.0.0.1", "reason": "allow-list"})
    ] * 2


@pytest.mark.usefixtures("only_some_ports")
async def test_browsers_proxy_meets_the_lists_ports() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        resolver = HostResolver()
        net = LoopNetwork(resolver, timeout_seconds=60, allow_private=True)
        proxy = GuardedProxy(net, max_bytes=1_000)
        reader, writer = await asyncio.open_connection("127.0.0.1", await proxy.start())
        port = listener.getsockname()[1]
        writer.write(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % port)
        said = await reader.readline()
        writer.close()
        await writer.wait_closed()
        await proxy.close()
        resolver.close()
        with pytest.raises(BlockingIOError):
            listener.accept()

    assert said == b"HTTP/1.1 502 Bad Gateway\r\n"
    assert proxy.failures["127.0.0.1", port].values == {"address": "127.0.0.1", "reason": "allow-list"}


@pytest.mark.usefixtures("only_some_ports")
async def test_what_the_list_names_is_connected_to_even_where_a_tenant_may_not() -> None:
    config = TcpConfig(host="127.0.0.1", port=1)

    outcome = await probe_alone(ProbeJob(None, "tcp", config, timeout_seconds=3, allow_private=False))

    assert outcome.error_code == "connect_refused"
