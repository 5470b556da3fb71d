"""The way out below HTTP, on both event loops: who may be reached, how long it may take, what a failure is called."""

import asyncio
import errno
import socket
import struct
import threading

import pytest

from apps.checks.engine import resolver as resolver_module
from apps.checks.engine.network import Connected, LoopNetwork
from apps.checks.engine.stream import LoopDatagrams
from apps.checks.types.base import Phases, ProbeFailure
from tests.checks.engine.loops import on_both_loops
from tests.checks.engine.networks import failure_of, network
from tests.peers.process import free_port
from tests.peers.talker import answering, endless, saying, silent, talking


@on_both_loops
async def test_stream_reads_by_size_by_separator_and_to_the_end() -> None:
    async with talking(saying(b"one\r", b"\ntwoth", b"ree")) as port, network() as net:
        stream = await net.open("127.0.0.1", port)

        assert await stream.read_until(b"\r\n") == b"one\r\n"
        assert await stream.read_exactly(3) == b"two"
        assert await stream.read_exactly(5) == b"three"
        assert await stream.read_some() == b""
        assert await stream.read_some() == b""
        assert (stream.remote_ip, stream.dns_ms, stream.tls_ms) == ("127.0.0.1", None, None)
        assert net.phases.received_bytes == 13
        assert net.phases.first_byte_ms is not None


@on_both_loops
async def test_name_is_looked_up_and_both_phases_are_measured() -> None:
    async with talking(saying(b"hello")) as port, network(lookup=lambda _host: ("127.0.0.1",)) as net:
        stream = await net.open("service.example", port)

        assert await stream.read_some() == b"hello"
        assert stream.dns_ms is not None
        assert stream.connect_ms > 0
        assert net.phases.dns_ms == stream.dns_ms


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.1", "loopback"),
        ("2130706433", "loopback"),
        ("::1", "loopback"),
        ("[::1]", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("10.0.0.1", "private"),
        ("169.254.169.254", "metadata"),
        ("0.0.0.0", "unspecified"),
        ("localhost", "loopback"),
    ],
)
@on_both_loops
async def test_private_addresses_are_refused_before_anything_is_sent(host: str, reason: str) -> None:
    reached = asyncio.Event()

    async def note(_reader: object, _writer: object) -> None:
        reached.set()

    async with talking(note) as port, network(allow_private=False) as net:
        stream_failure = await failure_of(net, host, port)
        with pytest.raises(ProbeFailure) as datagrams:
            await net.open_datagrams(host, port)

    for failure in (stream_failure, datagrams.value):
        assert (failure.code, failure.values["reason"]) == ("address_forbidden", reason)
    assert not reached.is_set()


@on_both_loops
async def test_metadata_stays_shut_where_private_targets_are_allowed() -> None:
    async with network(lookup=lambda _host: ("169.254.169.254",)) as net:
        failure = await failure_of(net, "innocent.example", 80)

    assert (failure.code, failure.values["reason"]) == ("address_forbidden", "metadata")


@on_both_loops
async def test_rebinding_name_is_judged_by_the_address_it_connects_to() -> None:
    answers = iter([("203.0.113.7", "127.0.0.1"), ("127.0.0.1",)])

    async with network(allow_private=False, lookup=lambda _host: next(answers)) as net:
        assert (await failure_of(net, "one.example", 80)).code == "address_forbidden"
        assert (await failure_of(net, "two.example", 80)).code == "address_forbidden"


@on_both_loops
async def test_second_address_is_tried_where_the_first_refuses() -> None:
    async with talking(saying(b"hello")) as port, network(lookup=lambda _host: ("127.0.0.9", "127.0.0.1")) as net:
        stream = await net.open("service.example", port)

        assert (stream.remote_ip, await stream.read_some()) == ("127.0.0.1", b"hello")


@on_both_loops
async def test_second_address_is_tried_beside_one_that_dawdles() -> None:
    async with talking(saying(b"hello")) as port:
        with socket.socket() as full, socket.socket() as one, socket.socket() as more:
            full.bind(("127.0.0.9", port))
            full.listen(0)
            for link in (one, more):
                link.setblocking(False)
                link.connect_ex(("127.0.0.9", port))  # the queue is full then: further connections get no answer
            async with network(lookup=lambda _host: ("127.0.0.9", "127.0.0.1")) as net:
                stream = await net.open("service.example", port)

                assert stream.remote_ip == "127.0.0.1"
                assert stream.connect_ms >= 200


@on_both_loops
async def test_what_goes_wrong_before_the_connection_has_its_name() -> None:
    def missing(_host: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with network(lookup=missing) as net:
        assert (await failure_of(net, "nobody.example", 80)).values["host"] == "nobody.example"
        assert (await failure_of(net, "nobody.example", 80)).code == "dns_failure"
        assert (await failure_of(net, "a..b", 80)).code == "dns_failure"
        assert (await failure_of(net, "127.0.0.1", free_port())).code == "connect_refused"


@on_both_loops
async def test_name_server_that_does_not_answer_uses_up_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver_module, "SLOW_SECONDS", 600.0)  # nobody looks whether others are answered
    over = threading.Event()

    def slow(_host: str) -> tuple[str, ...]:
        over.wait(60)
        return ("127.0.0.1",)

    async with network(timeout=3, lookup=slow) as net:
        failure = await failure_of(net, "slow.example", 80)

        assert (failure.code, failure.values) == ("dns_timeout", {"host": "slow.example"})
        assert net.phases.dns_ms is not None
        assert net.phases.dns_ms >= 2_900
    over.set()


@on_both_loops
async def test_unanswered_connection_times_out_as_one() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()), socket.socket() as more:
            more.setblocking(False)
            more.connect_ex(full.getsockname())
            async with network(timeout=0.3) as net:
                failure = await failure_of(net, "127.0.0.1", full.getsockname()[1])

    assert failure.code == "connect_timeout"


@on_both_loops
async def test_silence_times_out_and_half_an_answer_too_by_another_name() -> None:
    async with talking(silent) as port, network(timeout=2) as net:
        stream = await net.open("127.0.0.1", port)
        with pytest.raises(ProbeFailure, match="'timeout'"):
            await stream.read_until(b"\n")
    async with talking(saying(b"half", then_waits=True)) as port, network(timeout=2) as net:
        stream = await net.open("127.0.0.1", port)
        with pytest.raises(ProbeFailure, match="'transfer_timeout'"):
            await stream.read_until(b"\n")


@on_both_loops
async def test_closed_connection_is_told_from_a_broken_answer() -> None:
    async with talking(saying()) as port, network() as net:
        stream = await net.open("127.0.0.1", port)
        with pytest.raises(ProbeFailure, match="'empty_response'"):
            await stream.read_exactly(1)
    async with talking(saying(b"half")) as port, network() as net:
        stream = await net.open("127.0.0.1", port)
        with pytest.raises(ProbeFailure, match="'connection_lost'"):
            await stream.read_exactly(5)


@on_both_loops
async def test_endless_answer_is_cut_off() -> None:
    async with talking(endless) as port, network() as net:
        line = await net.open("127.0.0.1", port)
        with pytest.raises(ProbeFailure, match="'answer_too_large'"):
            await line.read_until(b"\n", limit=1_000)
        whole = await net.open("127.0.0.1", port)
        with pytest.raises(ProbeFailure, match="'answer_too_large'"):
            await whole.read_exactly(2_000_000)
        with pytest.raises(ProbeFailure, match="'answer_too_large'"):
            await whole.read_until(b"\n", limit=2_000_000)


@on_both_loops
async def test_server_that_resets_as_it_accepts_is_the_one_to_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = LoopNetwork._connect

    async def connect_and_dawdle(net: LoopNetwork, ip: str, port: int) -> Connected:
        connected = await connect(net, ip, port)
        server, _address = await asyncio.to_thread(listener.accept)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.close()
        return connected  # on loopback the reset is here by now

    monkeypatch.setattr(LoopNetwork, "_connect", connect_and_dawdle)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with network() as net:
            stream = await net.open("127.0.0.1", listener.getsockname()[1])
            with pytest.raises(ProbeFailure) as caught:
                await stream.read_some()

    assert (stream.remote_ip, net.phases.remote_ip) == ("127.0.0.1", "127.0.0.1")
    assert (caught.value.code, caught.value.is_ours) == ("empty_response", False)


@on_both_loops
async def test_everything_is_closed_with_the_probe() -> None:
    ended = asyncio.Event()

    async def wait_for_the_end(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()

    async with talking(wait_for_the_end) as port:
        async with network() as net:
            await net.open("127.0.0.1", port)
        await asyncio.wait_for(ended.wait(), 60)


@on_both_loops
async def test_datagrams_come_from_the_one_that_was_asked() -> None:
    async with answering(lambda data: [data.upper()]) as port, network() as net:
        line = await net.open_datagrams("127.0.0.1", port)
        with socket.socket(type=socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"forged", line._socket.getsockname())
        await line.send(b"ping")

        assert await line.receive() == b"PING"


@on_both_loops
async def test_closed_udp_port_refuses() -> None:
    async with network() as net:
        line = await net.open_datagrams("127.0.0.1", free_port())
        await line.send(b"ping")
        with pytest.raises(ProbeFailure, match="'connect_refused'"):
            await line.receive()


class _Unreachable(socket.socket):
    """A datagram socket to which a router has answered that nobody is there."""

    def recv(self, _size: int, _flags: int = 0) -> bytes:
        raise OSError(errno.EHOSTUNREACH, "No route to host")


async def test_router_s_word_that_nobody_is_there_is_named() -> None:
    with _Unreachable(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.setblocking(False)
        link.connect(("127.0.0.1", 9))
        deadline = asyncio.get_running_loop().time() + 5
        line = LoopDatagrams(link, Phases(), remote_ip="127.0.0.1", deadline=deadline, dns_ms=None)

        with pytest.raises(ProbeFailure) as caught:
            await line.receive()

    assert caught.value.code == "network_unreachable"
