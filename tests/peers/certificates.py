"""A certificate for localhost, as the files that servers read."""

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class TlsFiles:
    """PEM files: the certificate with its chain, its key, and the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path


def tls_files(authority: trustme.CA, folder: Path) -> TlsFiles:
    """Write a certificate for localhost into ``folder``."""
    issued = authority.issue_cert("localhost")
    files = TlsFiles(folder / "server.pem", folder / "server.key", folder / "authority.pem")
    files.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    files.key.write_bytes(issued.private_key_pem.bytes())
    files.authority.write_bytes(authority.cert_pem.bytes())
    return files
