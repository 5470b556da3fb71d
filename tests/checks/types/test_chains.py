"""The chain that a server sends: whose end counts, and what a Prometheus is told of it."""

import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from apps.checks.enums import Verdict
from apps.checks.formats import metrics_of
from apps.checks.types.base import Outcome
from apps.core import clock
from tests.checks.types.asking import ask
from tests.peers.web import Web, answer, saying, serving

pytestmark = pytest.mark.usefixtures("trusted")
DAY = timedelta(days=1)
FAR = datetime(3090, 1, 1, tzinfo=UTC)
OVER = datetime(2021, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def inner(authority: trustme.CA) -> trustme.CA:
    """An issuer that ends before what it issues here."""
    return authority.create_child_ca()


@pytest.fixture
def behind_inner(inner: trustme.CA) -> Iterator[Web]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inner.issue_cert("localhost", not_after=FAR).configure_cert(context)
    with serving(saying(answer()), tls=context) as web:
        yield web


@pytest.fixture
def behind_old(authority: trustme.CA, tmp_path: Path) -> Iterator[Web]:
    """A server that sends, beside its own, what signed its root before that was trusted, which is over since."""
    root = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    older = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Older Root")])
    crossed = (
        x509.CertificateBuilder()
        .subject_name(root.subject)
        .issuer_name(older)
        .public_key(root.public_key())
        .serial_number(7)
        .not_valid_before(OVER - 900 * DAY)
        .not_valid_after(OVER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    issued = authority.issue_cert("localhost", not_after=FAR)
    path = tmp_path / "chain.pem"
    path.write_bytes(issued.private_key_and_cert_chain_pem.bytes() + crossed.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    with serving(saying(answer()), tls=context) as web:
        yield web


def end_of(authority: trustme.CA) -> datetime:
    return x509.load_pem_x509_certificate(authority.cert_pem.bytes()).not_valid_after_utc


def figures_of(kind: str, outcome: Outcome) -> Mapping[str, float]:
    lines = [line for line in metrics_of(kind, outcome).splitlines() if line.startswith("probe_ssl")]
    return {name: float(value) for name, _space, value in (line.rpartition(" ") for line in lines)}


async def test_issuer_that_ends_first_counts(behind_inner: Web, inner: trustme.CA) -> None:
    end = end_of(inner)
    days = (end - clock.now()) // DAY

    outcome = await ask("http", url=behind_inner.url(host="localhost"), certificate_issuer="trustme")
    late = await ask(
        "http",
        url=behind_inner.url(host="localhost"),
        conditions=[f"[CERTIFICATE_EXPIRATION] > {24 * (days + 2)}h"],
    )

    assert (outcome.verdict, outcome.details["certificate_days"]) == (Verdict.SUCCESS, days)
    assert outcome.cert_expires_at == end
    assert late.error_code == "condition_failed"


async def test_issuer_that_is_over_counts_only_where_nobody_verifies(behind_old: Web) -> None:
    url = behind_old.url(host="localhost")

    verified = await ask("http", url=url, certificate_days=30)
    unverified = await ask("http", url=url, certificate_days=30, verify_tls=False)

    assert (verified.verdict, verified.cert_expires_at) == (Verdict.SUCCESS, FAR)
    assert verified.details["certificate_chain"] == 2
    assert (unverified.error_code, unverified.cert_expires_at) == ("certificate_ends_soon", OVER)


async def test_prometheus_is_told_of_the_first_end_and_of_the_way_to_the_root(
    behind_inner: Web, inner: trustme.CA, authority: trustme.CA
) -> None:
    web = await ask("http", url=behind_inner.url(host="localhost"))
    port = await ask("tcp", host="localhost", port=behind_inner.port, tls=True)

    first = min(end_of(inner), end_of(authority)).timestamp()
    told = figures_of("http", web)
    assert told["probe_ssl_earliest_cert_expiry"] == end_of(inner).timestamp()
    assert told["probe_ssl_last_chain_expiry_timestamp_seconds"] == first
    assert figures_of("tcp", port) == told


async def test_way_to_the_root_passes_by_what_is_over(behind_old: Web, authority: trustme.CA) -> None:
    web = await ask("http", url=behind_old.url(host="localhost"))
    port = await ask("tcp", host="localhost", port=behind_old.port, tls=True)

    told = figures_of("http", web)
    assert figures_of("tcp", port) == told
    assert told["probe_ssl_earliest_cert_expiry"] == OVER.timestamp()
    assert told["probe_ssl_last_chain_expiry_timestamp_seconds"] == min(FAR, end_of(authority)).timestamp()


async def test_prometheus_is_told_whose_certificate_it_is(authority: trustme.CA) -> None:
    issued = authority.issue_cert("localhost", "a.example", common_name='a "quoted" name')
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    own = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    with serving(saying(answer()), tls=context) as web:
        outcome = await ask("http", url=web.url(host="localhost"))

    subject = own.subject.rfc4514_string().replace("\\", "\\\\").replace('"', '\\"')
    labels = (
        f'fingerprint_sha256="{own.fingerprint(hashes.SHA256()).hex()}",subject="{subject}",'
        f'issuer="{own.issuer.rfc4514_string()}",subjectalternative="localhost,a.example",'
        f'serialnumber="{own.serial_number:x}"'
    )
    assert figures_of("http", outcome)[f"probe_ssl_last_chain_info{{{labels}}}"] == 1


async def test_chain_of_strangers_leads_to_no_root() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with serving(saying(answer()), tls=context) as web:
        outcome = await ask("http", url=web.url(host="localhost"), verify_tls=False)

    assert [name.partition("{")[0] for name in figures_of("http", outcome)] == [
        "probe_ssl_earliest_cert_expiry",
        "probe_ssl_last_chain_info",
    ]
