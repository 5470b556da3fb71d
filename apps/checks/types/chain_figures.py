"""What a Prometheus is told of a server's certificates, under the names that blackbox_exporter gave these figures."""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from apps.checks.types.base import Outcome
from apps.checks.types.certificates import PARSE_ERRORS, UnreadableCertificate, facts_of, first_end, read_chain
from apps.checks.types.figures import Figure
from apps.core import clock
from apps.core.http import curl

PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# Whether the connection is good OpenSSL has judged; here it is only looked for the way to a root.
ISSUERS = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
SERVERS = ExtensionPolicy.permit_all().require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
# The exporter's labels, and which of our facts each tells.
LABELS = (
    ("fingerprint_sha256", "sha256"),
    ("subject", "subject"),
    ("issuer", "issuer"),
    ("subjectalternative", "names"),
    ("serialnumber", "serial"),
)


def chain_figures(outcome: Outcome) -> Iterator[Figure]:
    """Yield the figures of the chain that a probe was sent; only its end where no more can be read of it."""
    first, labels, end = outcome.cert_expires_at, "", None
    with suppress(UnreadableCertificate, *PARSE_ERRORS):
        if chain := read_chain(outcome.certificates):
            first, labels, end = first_end(chain), _labels(chain), verified_end(chain)
    if first is not None:
        text = "When the first certificate that the server sent ends, in unix time."
        yield "probe_ssl_earliest_cert_expiry", text, "", first.timestamp()
    if labels:
        yield "probe_ssl_last_chain_info", "The server's own certificate.", labels, 1
    if end is not None:
        text = "When the first certificate on the way to a trusted root ends, in unix time."
        yield "probe_ssl_last_chain_expiry_timestamp_seconds", text, "", end.timestamp()


def verified_end(chain: Sequence[x509.Certificate]) -> datetime | None:
    """Return when the first certificate ends on the way from the server's own to a trusted root, the root included.

    None where there is no such way. What the server sends beyond it, such as an old issuer of that root, does not count.
    """
    own, *others = chain
    name = _name_in(own)
    if name is None:
        return None
    roots = Path(curl.ca_file())
    builder = PolicyBuilder().store(_store(roots, roots.stat().st_mtime_ns)).time(clock.now())
    builder = builder.extension_policies(ca_policy=ISSUERS, ee_policy=SERVERS)
    try:
        way = builder.build_server_verifier(name).verify(own, others)
    except VerificationError:
        return None
    return min(certificate.not_valid_after_utc for certificate in way)


def _name_in(certificate: x509.Certificate) -> x509.DNSName | x509.IPAddress | None:
    """Return a name of the certificate's own, since the library wants one: whether it is the right one is judged by now."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    for name in names.get_values_for_type(x509.DNSName):
        return x509.DNSName(name.replace("*", "any", 1))
    for address in names.get_values_for_type(x509.IPAddress):
        return x509.IPAddress(address)
    return None


def _labels(chain: Sequence[x509.Certificate]) -> str:
    facts = facts_of(chain)
    texts = [(label, facts[fact]) for label, fact in LABELS]
    return "{" + ",".join(f'{label}="{_escaped(text)}"' for label, text in texts) + "}"


def _escaped(value: str | list[str]) -> str:
    text = value if isinstance(value, str) else ",".join(value)
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@lru_cache(maxsize=2)
def _store(roots: Path, _changed_at: int) -> Store:
    """Return the trusted roots; kept until the file changes. One that cannot be read leads nowhere."""
    return Store([root for root in map(_root, PEM.findall(roots.read_bytes())) if root is not None])


def _root(pem: bytes) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(pem)
    except PARSE_ERRORS:
        return None
