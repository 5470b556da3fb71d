"""TLS of the way out below HTTP, on both event loops."""

import asyncio
import ssl
from collections.abc import Iterator

import pytest
import trustme
from cryptography import x509

from apps.checks.engine import secure
from apps.checks.types.base import ProbeFailure, TlsSettings
from apps.core.http import curl
from tests.checks.engine.loops import on_both_loops
from tests.checks.engine.networks import failure_of, network
from tests.peers.talker import saying, silent, talking
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


def _server_context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def _issuer(authority: trustme.CA) -> x509.Name:
    return x509.load_pem_x509_certificate(authority.cert_pem.bytes()).subject


@pytest.mark.usefixtures("_trusted")
@on_both_loops
async def test_secured_stream_has_its_phase_version_and_chain(authority: trustme.CA) -> None:
    async with talking(saying(b"hel", b"lo"), tls=_server_context(authority, "localhost")) as port, network() as net:
        stream = await net.open("localhost", port, tls=TlsSettings())

        assert await stream.read_exactly(5) == b"hello"
        assert await stream.read_some() == b""
        assert stream.tls_ms is not None
        assert (stream.tls_version(), stream.alpn(), len(stream.certificates())) == ("TLSv1.3", "", 1)
        assert net.phases.certificates == stream.certificates()
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
        assert (await failure_of(net, "localhost", port, TlsSettings())).code == "tls_name_mismatch"
        await net.open("localhost", port, tls=TlsSettings(server_name="other.example"))
        await net.open("localhost", port, tls=TlsSettings(verify=False))
    async with talking(silent, tls=_server_context(trustme.CA(), "localhost")) as port, network() as net:
        failure = await failure_of(net, "localhost", port, TlsSettings())
        assert failure.code in {"tls_unknown_issuer", "tls_self_signed"}
        assert net.phases.connect_ms is not None
        assert net.phases.tls_ms is None


@pytest.mark.usefixtures("_trusted")
@on_both_loops
async def test_name_beyond_ascii_is_matched_as_certificates_spell_it(authority: trustme.CA) -> None:
    context = _server_context(authority, "xn--strae-oqa.example")  # with its own letter, not with the "ss" of old

    async with talking(saying(b"hello"), tls=context) as port, network(lookup=lambda _host: ("127.0.0.1",)) as net:
        stream = await net.open("Straße.example", port, tls=TlsSettings())

        assert await stream.read_some() == b"hello"


@on_both_loops
async def test_what_is_no_tls_is_named() -> None:
    async with talking(saying(b"220 mail.example ESMTP\r\n")) as port, network() as net:
        assert (await failure_of(net, "127.0.0.1", port, TlsSettings())).code == "tls_failed"
    async with talking(saying()) as port, network() as net:
        failure = await failure_of(net, "127.0.0.1", port, TlsSettings())
        assert (failure.code, failure.values["detail"]) == ("tls_failed", "connection closed")
    async with talking(silent) as port, network(timeout=2) as net:
        assert (await failure_of(net, "127.0.0.1", port, TlsSettings())).code == "tls_timeout"


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

        failure = await failure_of(net, "localhost", port, TlsSettings(client_certificate=pem, client_key="nonsense"))
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
            await failure_of(net, "127.0.0.1", port, TlsSettings())

    assert secure._context.cache_info().misses == 1
