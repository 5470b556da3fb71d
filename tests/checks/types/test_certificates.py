"""Reading certificates that nobody sane would issue."""

import warnings

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from apps.checks.types import certificates
from apps.checks.types.probing import chain_end


def test_certificate_torn_at_any_byte_is_unreadable_and_nothing_else(authority: trustme.CA) -> None:
    issued = authority.issue_cert("localhost", "127.0.0.1").cert_chain_pems[0].bytes()
    der = x509.load_pem_x509_certificate(issued).public_bytes(Encoding.DER)
    refused = 0

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library's about certificates that it bears for now
        for at in range(len(der)):
            for value in (0x00, 0x7F, 0xFF):
                torn = der[:at] + bytes([value]) + der[at + 1 :]
                chain_end((torn,))
                try:
                    chain = certificates.read_chain((torn,))
                    certificates.facts_of(chain)
                    certificates.first_end(chain)
                    certificates.issuer_text(chain[0])
                except certificates.UnreadableCertificate:
                    refused += 1

    assert refused > 100


def test_nothing_sent_is_unreadable() -> None:
    with pytest.raises(certificates.UnreadableCertificate):
        certificates.read_chain((b"",))
    assert chain_end((b"nonsense",)) is None
