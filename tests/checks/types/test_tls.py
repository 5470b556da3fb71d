"""The TLS check: a certificate's days, its chain, its name, and servers that never finish."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from django.core.exceptions import ValidationError

from apps.checks.enums import Verdict
from apps.checks.types.tls import TlsConfig
from apps.core import clock
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask
from tests.peers.talker import saying, silent, talking

pytestmark = pytest.mark.usefixtures("trusted")
FAR = datetime(2041, 2, 3, 4, 5, 6, tzinfo=UTC)


def _context(
    authority: trustme.CA, *names: str, ends: datetime = FAR, **limits: ssl.TLSVersion
) -> tuple[ssl.SSLContext, x509.Certificate]:
    issued = authority.issue_cert(*names, not_after=ends)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    for name, version in limits.items():
        setattr(context, name, version)
    return context, x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())


async def test_good_certificate_tells_all_about_itself(authority: trustme.CA) -> None:
    context, certificate = _context(authority, "localhost", "other.example")
    async with talking(silent, tls=context) as port:
        outcome = await ask("tls", host="localhost", port=port)

    days = (FAR - clock.now()) // timedelta(days=1)
    assert (outcome.verdict, outcome.error_code, outcome.cert_expires_at) == (Verdict.SUCCESS, "", FAR)
    assert outcome.tls_ms is not None
    assert outcome.details == {
        "days_left": days,
        "not_after": "2041-02-03T04:05:06+00:00",
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "subject": certificate.subject.rfc4514_string(),
        "names": ["localhost", "other.example"],
        "issuer": certificate.issuer.rfc4514_string(),
        "chain": [],
        "key": "EC secp256r1",
        "sha256": fingerprint_of(certificate),
        "serial": f"{certificate.serial_number:x}",
        "tls_version": "TLSv1.3",
    }


def fingerprint_of(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize(
    ("days", "verdict", "code"),
    [
        (30, Verdict.SUCCESS, ""),
        (10, Verdict.DEGRADED, "certificate_ends_soon"),
        (2, Verdict.FAILURE, "certificate_ends_soon"),
        (-1, Verdict.FAILURE, "tls_expired"),
    ],
)
async def test_days_left_decide(authority: trustme.CA, days: int, verdict: Verdict, code: str) -> None:
    ends = (clock.now() + timedelta(days=days, hours=1)).replace(microsecond=0)
    context, _certificate = _context(authority, "localhost", ends=ends)
    async with talking(silent, tls=context) as port:
        outcome = await ask("tls", host="localhost", port=port, warn_days=14, fail_days=3)

    assert (outcome.verdict, outcome.error_code) == (verdict, code)
    assert (outcome.cert_expires_at, outcome.details["days_left"]) == (ends, days)
    if code == "certificate_ends_soon":
        assert outcome.error_values == {"days": days, "date": f"{ends:%Y-%m-%d}"}


async def test_certificate_that_has_ended_is_said_to_where_nothing_is_verified(authority: trustme.CA) -> None:
    ends = (clock.now() - timedelta(days=5)).replace(microsecond=0)
    context, _certificate = _context(authority, "localhost", ends=ends)
    async with talking(silent, tls=context) as port:
        outcome = await ask("tls", host="localhost", port=port, verify_tls=False, warn_days=0, fail_days=0)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "certificate_ended")
    assert outcome.error_values == {"date": f"{ends:%Y-%m-%d}"}


async def test_issuer_that_ends_first_counts(authority: trustme.CA) -> None:
    inner = authority.create_child_ca()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inner.issue_cert("localhost", not_after=datetime(3090, 1, 1, tzinfo=UTC)).configure_cert(context)
    inner_end = x509.load_pem_x509_certificate(inner.cert_pem.bytes()).not_valid_after_utc
    async with talking(silent, tls=context) as port:
        outcome = await ask("tls", host="localhost", port=port)

    assert outcome.verdict == Verdict.SUCCESS
    assert len(outcome.details["chain"]) == 1
    assert outcome.details["days_left"] == (inner_end - clock.now()) // timedelta(days=1)


async def test_bad_certificates_are_named_and_still_shown(authority: trustme.CA) -> None:
    wrong_name, _certificate = _context(authority, "other.example")
    stranger, _certificate = _context(trustme.CA(), "localhost")
    async with talking(silent, tls=wrong_name) as port:
        misnamed = await ask("tls", host="localhost", port=port)
        renamed = await ask("tls", host="localhost", port=port, server_name="other.example")
    async with talking(silent, tls=stranger) as port:
        unknown = await ask("tls", host="localhost", port=port)
        accepted = await ask("tls", host="localhost", port=port, verify_tls=False)

    assert (misnamed.verdict, misnamed.error_code) == (Verdict.FAILURE, "tls_name_mismatch")
    assert (misnamed.details["names"], misnamed.cert_expires_at) == (["other.example"], FAR)
    assert renamed.verdict == Verdict.SUCCESS
    assert (unknown.verdict, unknown.error_code) == (Verdict.FAILURE, "tls_unknown_issuer")
    assert unknown.details["names"] == ["localhost"]
    assert accepted.verdict == Verdict.SUCCESS


async def test_fingerprint_issuer_and_version_are_judged(authority: trustme.CA) -> None:
    context, certificate = _context(authority, "localhost", maximum_version=ssl.TLSVersion.TLSv1_2)
    right = ":".join(f"{byte:02X}" for byte in bytes.fromhex(fingerprint_of(certificate)))
    async with talking(silent, tls=context) as port:
        good = await ask("tls", host="localhost", port=port, fingerprint=right, issuer="o=trustme")
        other = await ask("tls", host="localhost", port=port, fingerprint="00" * 32)
        issuer = await ask("tls", host="localhost", port=port, issuer="Let's Encrypt")
        old = await ask("tls", host="localhost", port=port, lowest_version="TLSv1.3")

    assert (good.verdict, good.error_code) == (Verdict.SUCCESS, "")
    assert (other.error_code, other.error_values["fingerprint"]) == ("fingerprint_unmet", fingerprint_of(certificate))
    assert issuer.error_code == "issuer_unmet"
    assert (old.error_code, old.error_values) == ("tls_version_old", {"version": "TLSv1.2", "expected": "TLSv1.3"})


@pytest.mark.parametrize(
    ("prelude", "dialogue"),
    [
        (
            "smtp",
            [
                (b"", b"220-hello\r\n220 ready\r\n"),
                (b"EHLO", b"250-me\r\n250 STARTTLS\r\n"),
                (b"STARTTLS", b"220 go\r\n"),
            ],
        ),
        ("imap", [(b"", b"* OK hello\r\n"), (b"a STARTTLS", b"* OK [ALERT] busy\r\na OK go\r\n")]),
        ("pop3", [(b"", b"+OK hello\r\n"), (b"STLS", b"+OK go\r\n")]),
    ],
)
async def test_mail_protocols_are_upgraded(
    authority: trustme.CA, prelude: str, dialogue: list[tuple[bytes, bytes]]
) -> None:
    context, _certificate = _context(authority, "localhost")

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for asked, answer in dialogue:
            if asked:
                assert (await reader.readline()).startswith(asked)
            writer.write(answer)
        await writer.start_tls(context)

    async with talking(upgrade) as port:
        outcome = await ask("tls", host="localhost", port=port, prelude=prelude)

    assert (outcome.verdict, outcome.error_code, outcome.cert_expires_at) == (Verdict.SUCCESS, "", FAR)


async def test_server_without_starttls_says_so() -> None:
    async with talking(saying(b"554 no\r\n")) as port:
        outcome = await ask("tls", host="localhost", port=port, prelude="smtp")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "prelude_refused")
    assert outcome.error_values == {"answer": "554 no"}


async def test_half_open_handshake_refusal_and_garbage() -> None:
    async with talking(silent) as port:
        assert (await ask("tls", host="localhost", port=port, timeout=2)).error_code == "tls_timeout"
    assert (await ask("tls", host="127.0.0.1", port=port)).error_code == "connect_refused"
    async with talking(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert (await ask("tls", host="localhost", port=port)).error_code == "tls_failed"


async def test_private_address_is_refused() -> None:
    outcome = await ask("tls", host="localhost", port=1, allow_private=False)

    assert (outcome.error_code, outcome.error_values["reason"]) == ("address_forbidden", "loopback")


def test_thresholds_and_fingerprint_must_make_sense() -> None:
    with pytest.raises(ValidationError):
        TlsConfig(host="a.example", warn_days=3, fail_days=4).clean()
    with pytest.raises(ConfigErrors) as caught:
        parse_config(TlsConfig, {"host": "https://a.example", "fingerprint": "12"})
    assert sorted(caught.value.errors) == ["fingerprint", "host"]
    with pytest.raises(ConfigErrors) as caught:
        parse_config(TlsConfig, {"host": "a.example", "warn_days": ""})
    assert sorted(caught.value.errors) == ["warn_days"]
