"""An authority of the tests' own, and real servers that start once."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from apps.core.http import curl
from tests.peers.dovecot import Dovecot, dovecot


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def authority_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "roots.pem"
    path.write_bytes(authority.cert_pem.bytes())
    return path


@pytest.fixture
def trusted(authority_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let probes trust the tests' authority."""
    monkeypatch.setattr(curl, "ca_file", lambda: str(authority_file))


@pytest.fixture(scope="session")
def mailboxes(authority: trustme.CA) -> Iterator[Dovecot]:
    with dovecot(authority) as server:
        yield server
