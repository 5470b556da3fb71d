"""TLS over bytes: the handshake and what follows it, without a socket."""

import os
import ssl
from functools import lru_cache
from typing import Any, cast

from apps.checks.types.base import ProbeFailure, TlsSettings
from apps.core.http import curl
from apps.core.http.failures import CERTIFICATE_CODES, OWN_ERRORS, UNPRINTABLE

CONTEXTS_KEPT = 256
RECORD = 16_384
DER = 2  # OpenSSL's X509_FILETYPE_ASN1


class SecureChannel:
    """One client's TLS connection: what comes in is fed to it, what must go out is taken from it."""

    def __init__(self, tls: TlsSettings, host: str) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        roots = curl.ca_file()
        context = _context(
            tls.verify, tls.client_certificate, tls.client_key, tls.alpn, roots, os.stat(roots).st_mtime_ns
        )
        try:
            self._object = context.wrap_bio(
                self._incoming, self._outgoing, server_hostname=(tls.server_name or host).removesuffix(".")
            )
        except ValueError as error:  # a name that cannot be asked for: empty, or with an empty label
            raise ProbeFailure("tls_failed", {"detail": "server name"}) from error

    def feed(self, data: bytes) -> None:
        """Take what came from the peer; nothing means that it has closed."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def take(self) -> bytes:
        """Return what must be sent now."""
        return self._outgoing.read()

    def shake(self) -> bool:
        """Go on with the handshake; False while the peer has to speak. Raises `ProbeFailure`."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise tls_failure(error) from error
        return True

    def read(self, limit: int) -> bytes | None:
        """Return clear text, empty at its end, None while more has to come. Raises `ProbeFailure`."""
        try:
            return self._object.read(min(limit, RECORD))
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:  # such as the refusal of a client's certificate, which TLS 1.3 tells late
            raise tls_failure(error) from error

    def write(self, data: bytes) -> None:
        """Encrypt all of ``data``: the outgoing side is memory and takes everything."""
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            raise tls_failure(error) from error

    def certificates(self) -> tuple[bytes, ...]:
        """Return the peer's chain as it was sent, as DER."""
        # A public method since Python 3.13 only; the inner one has stood since 3.10.
        inner = cast("Any", self._object)._sslobj
        return tuple(certificate.public_bytes(DER) for certificate in inner.get_unverified_chain() or ())

    def version(self) -> str:
        return self._object.version() or ""

    def alpn(self) -> str:
        return self._object.selected_alpn_protocol() or ""


def tls_failure(error: ssl.SSLError) -> ProbeFailure:
    """Name what OpenSSL's error means, by the same codes as HTTP's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        detail = UNPRINTABLE.sub(" ", error.verify_message or "")[:200]
        return ProbeFailure(CERTIFICATE_CODES.get(error.verify_code, "tls_invalid"), {"detail": detail})
    if isinstance(error, ssl.SSLEOFError):
        return ProbeFailure("tls_failed", {"detail": "connection closed"})
    reason = str(error.reason or "error").replace("_", " ").lower()
    return ProbeFailure("tls_failed", {"detail": UNPRINTABLE.sub(" ", reason)[:200]})


@lru_cache(maxsize=CONTEXTS_KEPT)
def _context(
    verify: bool, certificate: str, key: str, alpn: tuple[str, ...], ca_file: str, _changed_at: int
) -> ssl.SSLContext:
    """Return the settings as OpenSSL wants them; kept until the roots change, since loading those costs more than a
    handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if verify:
        context.load_verify_locations(ca_file)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if certificate or key:
        _load_client(context, certificate, key)
    return context


def _load_client(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load the client's certificate from memory: OpenSSL reads files only, and a key must not lie on a disk."""
    descriptor = os.memfd_create("client", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(f"{certificate}\n{key}\n".encode())
        # A key with a password would make OpenSSL ask for it on the terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    except (ssl.SSLError, ValueError, OSError) as error:
        # OpenSSL's errors are OSErrors too, with numbers of their own.
        if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and error.errno in OWN_ERRORS:
            raise ProbeFailure("own_fault", {"detail": error.strerror or "certificate"}, is_ours=True) from error
        detail = str(getattr(error, "reason", "") or type(error).__name__).replace("_", " ").lower()
        raise ProbeFailure("client_certificate_unusable", {"detail": detail[:200]}) from error
    finally:
        os.close(descriptor)
