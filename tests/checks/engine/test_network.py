"""The way out below HTTP, on both event loops: who may be reached, how long it may take, what a failure is called."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import trustme
from cryptography import x509

from apps.checks.engine import secure
from apps.checks.engine.network import LoopNetwork
from apps.checks.engine.resolver import HostResolver, Lookup, system_lookup
from apps.checks.types.base import ProbeFailure, TlsSettings
from apps.core.http import curl
from tests.checks.engine.loops import on_both_loops
from tests.peers.talker import answering, endless, saying, silent, talking
from tests.peers.web import saying as web_saying
from tests.peers.web import serving


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def _trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with authority.cert_pem.tempfile() as path:
        monkeypatch.setattr(curl, "ca_file", lambda: path)
        yield


@asynccontextmanager
async def network(
    *, timeout: float = 5, allow_private: bool = True, lookup: Lookup = system_lookup
) -> AsyncIterator[LoopNetwork]:
    resolver = HostResolver(lookup)
    net = LoopNetwork(resolver, timeout_seconds=timeout, allow_private=allow_private)
    try:
        yield net
    finally:
        net.close()
        resolver.close()


def _server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def _issuer(authority: trustme.CA) -> x509.Name:
    return x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _failure(net: LoopNetwork, host: str, port: int, tls: TlsSettings | None = None) -> ProbeFailure:
    with pytest.raises(ProbeFailure) as caught:
        await net.open(host, port, tls=tls)
    return caught.value


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
        stream_failure = await _failure(net, host, port)
        with pytest.raises(ProbeFailure) as datagrams:
            await net.open_datagrams(host, port)

    for failure in (stream_failure, datagrams.value):
        assert (failure.code, failure.values["reason"]) == ("address_forbidden", reason)
    assert not reached.is_set()


@on_both_loops
async def test_metadata_stays_shut_where_private_targets_are_allowed() -> None:
    async with network(lookup=lambda _host: ("169.254.169.254",)) as net:
        failure = await _failure(net, "innocent.example", 80)

    assert (failure.code, failure.values["reason"]) == ("address_forbidden", "metadata")


@on_both_loops
async def test_rebinding_name_is_judged_by_the_address_it_connects_to() -> None:
    answers = iter([("203.0.113.7", "127.0.0.1"), ("127.0.0.1",)])

    async with network(allow_private=False, lookup=lambda _host: next(answers)) as net:
        assert (await _failure(net, "one.example", 80)).code == "address_forbidden"
        assert (await _failure(net, "two.example", 80)).code == "address_forbidden"


@on_both_loops
async def test_second_address_is_tried_where_the_first_refuses() -> None:
    async with talking(saying(b"hello")) as port, network(lookup=lambda _host: ("127.0.0.9", "127.0.0.1")) as net:
        stream = await net.open("service.example", port)

        assert (stream.remote_ip, await stream.read_some()) == ("127.0.0.1", b"hello")


@on_both_loops
async def test_second_address_is_tried_beside_one_that_dawdles() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.9", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.9", port)), socket.socket() as more:
            more.setblocking(False)
            more.connect_ex(("127.0.0.9", port))  # the queue is full now: further connections get no answer
            server = await asyncio.start_server(saying(b"hello"), "127.0.0.1", port)
            async with server, network(lookup=lambda _host: ("127.0.0.9", "127.0.0.1")) as net:
                stream = await net.open("service.example", port)

                assert stream.remote_ip == "127.0.0.1"
                assert 200 <= stream.connect_ms < 2_000


@on_both_loops
async def test_what_goes_wrong_before_the_connection_has_its_name() -> None:
    def missing(_host: str) -> tuple[str, ...]:
        raise OSError(-2, "Name or service not known")

    async with network(lookup=missing) as net:
        assert (await _failure(net, "nobody.example", 80)).values["host"] == "nobody.example"
        assert (await _failure(net, "nobody.example", 80)).code == "dns_failure"
        assert (await _failure(net, "a..b", 80)).code == "dns_failure"
        assert (await _failure(net, "127.0.0.1", _closed_port())).code == "connect_refused"


@on_both_loops
async def test_unanswered_connection_times_out_as_one() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        with socket.create_connection(full.getsockname()), socket.socket() as more:
            more.setblocking(False)
            more.connect_ex(full.getsockname())
            async with network(timeout=0.3) as net:
                failure = await _failure(net, "127.0.0.1", full.getsockname()[1])

    assert failure.code == "connect_timeout"


@on_both_loops
async def test_silence_times_out_and_half_an_answer_too_by_another_name() -> None:
    async with talking(silent) as port, network(timeout=0.2) as net:
        stream = await net.open("127.0.0.1", port)
        with pytest.raises(ProbeFailure, match="'timeout'"):
            await stream.read_until(b"\n")
    async with talking(saying(b"half", then_waits=True)) as port, network(timeout=0.2) as net:
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
async def test_everything_is_closed_with_the_probe() -> None:
    ended = asyncio.Event()

    async def wait_for_the_end(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()

    async with talking(wait_for_the_end) as port:
        async with network() as net:
            await net.open("127.0.0.1", port)
        await asyncio.wait_for(ended.wait(), 2)


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
        line = await net.open_datagrams("127.0.0.1", _closed_port())
        await line.send(b"ping")
        with pytest.raises(ProbeFailure, match="'connect_refused'"):
            await line.receive()


@pytest.mark.usefixtures("_trusted")
@on_both_loops
async def test_secured_stream_has_its_phase_version_and_chain(authority: trustme.CA) -> None:
    async with talking(saying(b"hel", b"lo"), tls=_server_context(authority, "localhost")) as port, network() as net:
        stream = await net.open("localhost", port, tls=TlsSettings())

        assert await stream.read_exactly(5) == b"hello"
        assert await stream.read_some() == b""
        assert stream.tls_ms is not None
        assert (stream.tls_version(), stream.alpn(), len(stream.certificates())) == ("TLSv1.3", "", 1)
        assert net.phases.certificate == stream.certificates()[0]
        assert x509.load_der_x509_certificate(stream.certificates()[0]).issuer == _issuer(authority)


@pytest.mark.usefixtures("_trusted")
@on_both_loops
async def test_megabyte_passes_through_tls_whole(authority: trustme.CA) -> None:
    sent = bytes(range(256)) * 4_000

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(sent)))
        await writer.drain()

    async with talking(echo, tls=_server_context(authority, "localhost")) as port, network() as net:
        stream = await net.open("localhost", port, tls=TlsSettings())
        await stream.write(sent)

        assert await stream.read_exactly(len(sent)) == sent


@pytest.mark.usefixtures("_trusted")
@on_both_loops
async def test_certificate_for_another_name_and_unknown_issuer_are_named(authority: trustme.CA) -> None:
    async with talking(silent, tls=_server_context(authority, "other.example")) as port, network() as net:
        assert (await _failure(net, "localhost", port, TlsSettings())).code == "tls_name_mismatch"
        await net.open("localhost", port, tls=TlsSettings(server_name="other.example"))
        await net.open("localhost", port, tls=TlsSettings(verify=False))
    async with talking(silent, tls=_server_context(trustme.CA(), "localhost")) as port, network() as net:
        failure = await _failure(net, "localhost", port, TlsSettings())
        assert failure.code in {"tls_unknown_issuer", "tls_self_signed"}
        assert net.phases.connect_ms is not None
        assert net.phases.tls_ms is None


@on_both_loops
async def test_what_is_no_tls_is_named() -> None:
    async with talking(saying(b"220 mail.example ESMTP\r\n")) as port, network() as net:
        assert (await _failure(net, "127.0.0.1", port, TlsSettings())).code == "tls_failed"
    async with talking(saying()) as port, network() as net:
        failure = await _failure(net, "127.0.0.1", port, TlsSettings())
        assert (failure.code, failure.values["detail"]) == ("tls_failed", "connection closed")
    async with talking(silent) as port, network(timeout=0.2) as net:
        assert (await _failure(net, "127.0.0.1", port, TlsSettings())).code == "tls_timeout"


@pytest.mark.usefixtures("_trusted")
@on_both_loops
async def test_starttls_secures_the_open_connection_and_refuses_injected_text(authority: trustme.CA) -> None:
    context = _server_context(authority, "localhost")

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = await reader.readline()
        writer.write(b"go\ninjected" if greeting == b"inject\n" else b"go\n")
        await writer.start_tls(context)
        writer.write(b"secret")

    async with talking(upgrade) as port, network() as net:
        stream = await net.open("localhost", port)
        await stream.write(b"please\n")
        assert await stream.read_until(b"\n") == b"go\n"
        await stream.start_tls(TlsSettings())
        assert await stream.read_exactly(6) == b"secret"

        other = await net.open("localhost", port)
        await other.write(b"inject\n")
        await other.read_until(b"\n")
        with pytest.raises(ProbeFailure) as caught:
            await other.start_tls(TlsSettings())
        assert caught.value.values["detail"] == "data before the handshake"


@pytest.mark.usefixtures("_trusted")
@on_both_loops
async def test_client_certificate_and_alpn_are_shown(authority: trustme.CA) -> None:
    context = _server_context(authority, "localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["imap"])
    authority.configure_trust(context)
    client = authority.issue_cert("client.example")
    pem = client.cert_chain_pems[0].bytes().decode()
    key = client.private_key_pem.bytes().decode()

    async with talking(saying(b"welcome"), tls=context) as port, network() as net:
        stream = await net.open(
            "localhost", port, tls=TlsSettings(client_certificate=pem, client_key=key, alpn=("imap",))
        )
        assert (await stream.read_exactly(7), stream.alpn()) == (b"welcome", "imap")

        failure = await _failure(net, "localhost", port, TlsSettings(client_certificate=pem, client_key="nonsense"))
        assert failure.code == "client_certificate_unusable"


@pytest.mark.usefixtures("_trusted")
@on_both_loops
async def test_missing_client_certificate_is_named_though_told_after_the_handshake(authority: trustme.CA) -> None:
    context = _server_context(authority, "localhost")
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)

    with serving(web_saying(b"welcome"), tls=context, listens=False) as web:
        async with network() as net:
            stream = await net.open("localhost", web.port, tls=TlsSettings())
            with pytest.raises(ProbeFailure) as caught:
                await stream.read_exactly(7)

    assert caught.value.code == "tls_failed"
    assert caught.value.values["detail"] == "tlsv13 alert certificate required"


@on_both_loops
async def test_settings_are_made_ready_once() -> None:
    secure._context.cache_clear()
    async with talking(saying()) as port, network() as net:
        for _round in range(3):
            await _failure(net, "127.0.0.1", port, TlsSettings())

    assert secure._context.cache_info().misses == 1
