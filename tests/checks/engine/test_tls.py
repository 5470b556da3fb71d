"""Certificates, good and bad, and HTTP/2's refusal."""

import datetime
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apps.checks.enums import Verdict
from apps.core.http import curl
from tests.checks.engine.probing import job, probe, probe_all
from tests.peers.web import answer, saying, serving

UTC = datetime.UTC
EXPIRED = datetime.datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def _trusted(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with authority.cert_pem.tempfile() as path:
        monkeypatch.setattr(curl, "ca_file", lambda: path)
        yield


def _context(authority: trustme.CA, *names: str, expires: datetime.datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=expires).configure_cert(context)
    return context


async def test_good_certificate_gives_its_phase_and_its_end(authority: trustme.CA) -> None:
    ends = datetime.datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    with serving(saying(answer()), tls=_context(authority, "localhost", expires=ends)) as web:
        outcome = await probe(web.url(host="localhost"))

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.tls_ms is not None
    assert outcome.tls_ms > 0
    assert outcome.cert_expires_at == ends


async def test_certificate_is_not_read_where_nobody_looks(authority: trustme.CA) -> None:
    with serving(saying(answer()), tls=_context(authority, "localhost")) as web:
        outcomes = await probe_all([replace(job("one", web.url(host="localhost")), reads_certificate=False)])

    assert (outcomes["one"].verdict, outcomes["one"].cert_expires_at) == (Verdict.SUCCESS, None)


async def test_expired_certificate_is_named(authority: trustme.CA) -> None:
    with serving(saying(answer()), tls=_context(authority, "localhost", expires=EXPIRED)) as web:
        outcome = await probe(web.url(host="localhost"))
        unverified = await probe(web.url(host="localhost"), verify_tls=False)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "tls_expired")
    assert outcome.cert_expires_at == EXPIRED
    assert (unverified.verdict, unverified.cert_expires_at) == (Verdict.SUCCESS, EXPIRED)


async def test_certificate_of_another_name_is_named(authority: trustme.CA) -> None:
    with serving(saying(answer()), tls=_context(authority, "other.example")) as web:
        outcome = await probe(web.url(host="localhost"))
        unverified = await probe(web.url(host="localhost"), verify_tls=False)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "tls_name_mismatch")
    assert unverified.verdict == Verdict.SUCCESS


async def test_certificate_of_another_address_is_named(authority: trustme.CA) -> None:
    with serving(saying(answer()), tls=_context(authority, "127.0.0.2")) as web:
        outcome = await probe(web.url())

    assert outcome.error_code == "tls_name_mismatch"


async def test_unknown_issuer_is_named() -> None:
    with serving(saying(answer()), tls=_context(trustme.CA(), "localhost")) as web:
        outcome = await probe(web.url(host="localhost"))
        unverified = await probe(web.url(host="localhost"), verify_tls=False)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "tls_unknown_issuer")
    assert unverified.verdict == Verdict.SUCCESS


async def test_self_signed_certificate_is_named(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    with serving(saying(answer()), tls=context) as web:
        outcome = await probe(web.url(host="localhost"))

    assert outcome.error_code == "tls_self_signed"


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(
        name,
        name,
        key.public_key(),
        1,
        datetime.datetime(2020, 1, 1, tzinfo=UTC),
        datetime.datetime(2040, 1, 1, tzinfo=UTC),
    )
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    encoding = serialization.Encoding.PEM
    file = folder / "self-signed.pem"
    file.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + builder.sign(key, hashes.SHA256()).public_bytes(encoding)
    )
    return file


async def test_verification_switched_off_stays_with_its_check(authority: trustme.CA) -> None:
    with serving(saying(answer()), tls=_context(authority, "localhost", expires=EXPIRED)) as web:
        codes = [
            (await probe(web.url(host="localhost"), verify_tls=verify)).error_code for verify in (False, True, False)
        ]

    assert codes == ["", "tls_expired", ""]


async def test_port_without_tls_is_named() -> None:
    with serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), listens=False) as web:
        outcome = await probe(f"https://127.0.0.1:{web.port}/")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "tls_failed")


async def test_handshake_that_never_comes_times_out() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        outcome = await probe(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=2)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "tls_timeout")
    assert outcome.connect_ms is not None
    assert outcome.tls_ms is None


async def test_server_without_http2_fails_where_it_is_wanted(authority: trustme.CA) -> None:
    with serving(saying(answer()), tls=_context(authority, "localhost")) as web:
        outcome = await probe(web.url(host="localhost"), http_version="2")
        best = await probe(web.url(host="localhost"), http_version="auto")

    assert (outcome.verdict, outcome.error_code, outcome.error_values) == (
        Verdict.FAILURE,
        "http_version_mismatch",
        {"version": "1.1"},
    )
    assert (best.verdict, best.http_version) == (Verdict.SUCCESS, "1.1")
