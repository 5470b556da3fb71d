"""What a chain of certificates says, in plain values."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa

from apps.checks.types.texts import printable

MAX_NAMES = 20
MAX_CHAIN = 6
MAX_TEXT = 200
MAX_NAME = 100
# All that the library raises on certificates that are torn, forged or ahead of it.
PARSE_ERRORS = (
    ValueError,
    OverflowError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class UnreadableCertificate(ValueError):
    """The server sent something that is no certificate."""


@contextmanager
def _reading() -> Iterator[None]:
    """Name what goes wrong on the way: a certificate's parts are parsed when they are looked at, not before."""
    try:
        yield
    except PARSE_ERRORS as error:
        raise UnreadableCertificate(printable(str(error), MAX_NAME)) from error


def read_chain(sent: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    """Return the certificates as they were sent (DER, or PEM as libcurl gives them), the server's own first.

    This and the others here raise `UnreadableCertificate`.
    """
    with _reading():
        return tuple(map(_loaded, sent[:MAX_CHAIN]))


def _loaded(certificate: bytes) -> x509.Certificate:
    is_pem = certificate.startswith(b"-----BEGIN")
    return x509.load_pem_x509_certificate(certificate) if is_pem else x509.load_der_x509_certificate(certificate)


def first_end(chain: Sequence[x509.Certificate]) -> datetime:
    """Return when the first certificate of ``chain`` ends. A root's own end is nothing that a server can mend."""
    own, *others = chain
    with _reading():
        inner = [issuer for issuer in others if issuer.issuer != issuer.subject]
        return min(certificate.not_valid_after_utc for certificate in (own, *inner))


def facts_of(chain: Sequence[x509.Certificate]) -> Mapping[str, Any]:
    """Return what a screen shows of a chain."""
    own = chain[0]
    with _reading():
        return {
            "subject": _name(own.subject),
            "issuer": _name(own.issuer),
            "names": _names(own),
            "not_before": own.not_valid_before_utc.isoformat(),
            "not_after": own.not_valid_after_utc.isoformat(),
            "serial": f"{own.serial_number:x}",
            "sha256": fingerprint(own),
            "key": _key(own),
            "chain": [
                f"{_name(certificate.subject)} ({certificate.not_valid_after_utc:%Y-%m-%d})"
                for certificate in chain[1:]
            ],
        }


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate as lower-case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def issuer_text(certificate: x509.Certificate) -> str:
    """Return the issuer as one line."""
    with _reading():
        return _name(certificate.issuer)


def _name(name: x509.Name) -> str:
    return printable(name.rfc4514_string(), MAX_TEXT)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    names = [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    return [printable(name, MAX_NAME) for name in names[:MAX_NAMES]]


def _key(certificate: x509.Certificate) -> str:
    try:
        key = certificate.public_key()
    except Exception:  # noqa: BLE001 - keys of kinds that the library does not know raise several errors
        return ""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {key.curve.name}"
    if isinstance(key, dsa.DSAPublicKey):
        return f"DSA {key.key_size}"
    return type(key).__name__.removesuffix("PublicKey").lstrip("_")
