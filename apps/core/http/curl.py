"""One HTTP transfer on a reusable curl handle, with every limit that a stranger's server makes necessary.

Each transfer opens a connection of its own: the address guard sees every one of them, nothing is shared between
tenants, and the times of its phases are real. A body is read up to its limit and then cut off: that is a success marked
``is_truncated``, since a probe looks at the first part only. It is unpacked only for whoever looks at what it says
(`Reply.content`), up to a limit, so that a bomb stays small.
"""

import _socket
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

import certifi
import pycurl

from apps.core.http import chains
from apps.core.http.bodies import NO_ROOM, BodyRoom
from apps.core.http.codings import UnreadableCoding, attempt, coding_of
from apps.core.http.failures import Failure, failure_by_proxy, failure_of, socket_failure
from apps.core.http.guard import forbidden_reason
from apps.core.http.headers import BLANK, without_trailers

MEBIBYTE = 1_048_576
SUPPRESS_CONNECT_HEADERS = 265  # of libcurl; pycurl has no name for it
USER_AGENT = "Obsera/0.1"
# Without the hybrid group that OpenSSL would make a second key for, at a tenth of the handshake's cost. It is not offered
# for a second round either, since servers that prefer it would then take one and show as slow.
KEY_GROUPS = "X25519:P-256:P-384:P-521"
SYSTEM_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"


class HttpVersion(StrEnum):
    """What a request may speak. ``AUTO`` takes HTTP/2 where TLS offers it."""

    AUTO = "auto"
    ONE = "1.1"
    TWO = "2"
    THREE = "3"


CURL_VERSIONS = {
    HttpVersion.AUTO: pycurl.CURL_HTTP_VERSION_2TLS,
    HttpVersion.ONE: pycurl.CURL_HTTP_VERSION_1_1,
    HttpVersion.TWO: pycurl.CURL_HTTP_VERSION_2TLS,
    HttpVersion.THREE: pycurl.CURL_HTTP_VERSION_3ONLY,
}
VERSION_NAMES = {
    pycurl.CURL_HTTP_VERSION_1_0: "1.0",
    pycurl.CURL_HTTP_VERSION_1_1: "1.1",
    pycurl.CURL_HTTP_VERSION_2_0: "2",
    pycurl.CURL_HTTP_VERSION_3: "3",
}
# What these send without a body is an empty one: many servers refuse them where no length is named.
METHODS_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
FEATURES = {HttpVersion.TWO: pycurl.VERSION_HTTP2, HttpVersion.THREE: pycurl.VERSION_HTTP3}


@dataclass(frozen=True, slots=True)
class Proxy:
    """What a request goes through: the proxy's address passes the guard, and it alone reaches the target.

    ``scheme`` is ``http`` (asked to CONNECT, for http targets too) or ``socks5`` (which looks the target's name up).
    """

    scheme: str
    host: str
    port: int
    literal_ip: str | None = None
    username: str = ""
    password: str = ""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'socks5h' if self.scheme == 'socks5' else self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Extras:
    """What few requests need. It is paid for with a handle of its own, so that plain ones stay cheap and keep nothing."""

    client_certificate: str = ""  # PEM, as is the key
    client_key: str = ""
    proxy: Proxy | None = None
    keeps_headers: bool = False
    reads_certificate: bool = False


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """What is asked; ``url`` comes from `check_url`, header lines are bytes without line ends."""

    method: str
    url: str
    header_lines: tuple[bytes, ...] = ()
    body: bytes | None = None
    verify_tls: bool = True
    http_version: HttpVersion = HttpVersion.AUTO
    max_bytes: int = MEBIBYTE
    extras: Extras | None = None
    # The request's bytes, kept by whoever sends it without libcurl: a check asks the same again and again.
    wire: bytes = field(default=b"", init=False, repr=False, compare=False)


@dataclass(slots=True)  # a frozen one costs three times as much to make, and each probe makes one
class Limits:
    """What one sending of a request may do. ``pinned`` is a name's "host:port:address,address", resolved beforehand."""

    timeout_seconds: float
    allow_private: bool
    connect_timeout_seconds: float | None = None
    pinned: str = ""
    reads_certificate: bool = False


@dataclass(slots=True)  # a frozen one costs three times as much to make, and each probe makes one
class Reply:
    """What came back. Phases are microseconds from the start, as libcurl counts them; 0 where not reached
    (``first_byte_us`` means something with a status only)."""

    failure: Failure | None
    status: int
    http_version: str
    remote_ip: str
    body: bytes
    is_truncated: bool
    content_type: str
    redirect_url: str
    cert_expires_at: datetime | None  # the first end in the chain: see `chains.first_end`
    resolved_us: int
    connected_us: int
    secured_us: int
    sent_us: int
    first_byte_us: int
    total_us: int
    header_lines: tuple[bytes, ...] = ()
    chain: tuple[dict[str, str], ...] = ()  # of each certificate its Subject, Issuer …
    certificates: tuple[bytes, ...] = ()  # PEM, the server's own first
    coding: str = ""  # how ``body`` is packed, as the server names it
    _unpacked: bytes | tuple[str, bool] = field(init=False, repr=False, compare=False)

    @property
    def content(self) -> bytes:
        """What the body says: itself, or the first MiB of what is packed in it; raises `UnreadableCoding`."""
        if not self.coding:
            return self.body
        try:
            found = self._unpacked
        except AttributeError:  # nobody has asked yet
            found = self._unpacked = attempt(self.body, self.coding, MEBIBYTE)
        if isinstance(found, bytes):
            return found
        coding, is_known = found
        raise UnreadableCoding(coding, is_known=is_known)

    def forget(self) -> None:
        """Let go of what is large."""
        self.body = self._unpacked = b""
        self.header_lines = self.certificates = ()


def speaks(version: HttpVersion) -> bool:
    """Tell whether the libcurl in use was built with this version of HTTP."""
    wanted = FEATURES.get(version, 0)
    return bool(pycurl.version_info()[4] & wanted) == bool(wanted)


@cache
def ca_file() -> str:
    """Return the trusted roots: the operator's own choice, the system's (which knows private ones), else Mozilla's."""
    named = os.environ.get("SSL_CERT_FILE", "")
    return next((path for path in (named, SYSTEM_CA_FILE) if path and os.path.isfile(path)), certifi.where())


class Transfer:
    """A curl handle with its constant options set, for one transfer after the other (never two at once).

    What ``bodies`` has no room for ends as a failure of our own.
    """

    def __init__(self, bodies: BodyRoom | None = None) -> None:
        self.curl = pycurl.Curl()
        self._bodies = bodies or BodyRoom()
        self._body = bytearray()
        self.header_lines: list[bytes] = []
        self._room = 0
        self._allow_private = False
        self._reads_certificate = False
        self._verifies = True
        self._tried: list[str] = []  # the addresses that sockets were opened for
        self._extras: Extras | None = None
        self._refused: Failure | None = None
        self._forget()
        self._set_constants()

    def _set_constants(self) -> None:
        option = self.curl.setopt
        option(pycurl.NOSIGNAL, 1)  # signals and threads do not mix
        option(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        option(pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        option(pycurl.FOLLOWLOCATION, 0)
        option(pycurl.PROXY, "")  # a proxy from the environment would connect in our place, past the guard
        option(pycurl.NOPROXY, "*")
        option(pycurl.NETRC, pycurl.NETRC_IGNORED)
        option(pycurl.FRESH_CONNECT, 1)
        option(pycurl.FORBID_REUSE, 1)
        option(pycurl.SSL_SESSIONID_CACHE, 0)
        option(pycurl.CAINFO, ca_file())
        option(pycurl.SSL_EC_CURVES, KEY_GROUPS)
        option(pycurl.USERAGENT, USER_AGENT)
        option(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        option(pycurl.WRITEFUNCTION, self._take_body)
        option(pycurl.HEADERFUNCTION, self.header_lines.append)

    def prepare(self, request: OutboundRequest, limits: Limits) -> None:
        """Load a request. Every option that differs between requests is set each time, so that none is left over."""
        self._forget()  # again: whoever sent the last one may have been broken off before its end
        self._allow_private = limits.allow_private
        self._reads_certificate = limits.reads_certificate and request.url.startswith("https")
        self._verifies = request.verify_tls
        self._room = request.max_bytes
        option = self.curl.setopt
        option(pycurl.URL, request.url)
        option(pycurl.TIMEOUT_MS, max(1, int(limits.timeout_seconds * 1_000)))
        option(pycurl.CONNECTTIMEOUT_MS, int((limits.connect_timeout_seconds or limits.timeout_seconds) * 1_000) or 1)
        self._set_list(pycurl.HTTPHEADER, request.header_lines + _lines_for_no_body(request))
        self._set_list(pycurl.RESOLVE, (limits.pinned,) if limits.pinned else ())
        option(pycurl.HTTP_VERSION, CURL_VERSIONS[request.http_version])
        option(pycurl.SSL_VERIFYPEER, request.verify_tls)
        option(pycurl.SSL_VERIFYHOST, 2 if request.verify_tls else 0)
        option(pycurl.OPT_CERTINFO, self._reads_certificate)
        self._set_method(request.method, request.body)
        if request.extras is not None:
            self._set_extras(request.extras)

    @property
    def is_reusable(self) -> bool:
        """Tell whether another request may follow: not after extras, so that none of them is ever left over."""
        return self._extras is None

    def _set_extras(self, extras: Extras) -> None:
        self._extras = extras
        option = self.curl.setopt
        if extras.client_certificate:
            option(pycurl.SSLCERT_BLOB, extras.client_certificate.encode())
            option(pycurl.SSLKEY_BLOB, extras.client_key.encode())
        if extras.reads_certificate:
            self._reads_certificate = True
            option(pycurl.OPT_CERTINFO, 1)
        if extras.proxy is not None:
            option(pycurl.PROXY, extras.proxy.url)
            option(pycurl.NOPROXY, "")
            option(pycurl.HTTPPROXYTUNNEL, 1)  # so that a proxy's own answer is never taken for the target's
            option(SUPPRESS_CONNECT_HEADERS, 1)  # nor its cookies
            option(pycurl.PROXYUSERNAME, extras.proxy.username.encode())
            option(pycurl.PROXYPASSWORD, extras.proxy.password.encode())

    def _set_list(self, option: int, values: Sequence[bytes | str]) -> None:
        """Set a list option; pycurl takes an empty list for "leave it as it was"."""
        if values:
            self.curl.setopt(option, values)
        else:
            self.curl.unsetopt(option)

    def _set_method(self, method: str, body: bytes | None) -> None:
        self.curl.setopt(pycurl.HTTPGET, 1)
        if method == "GET" and body is None:
            self.curl.unsetopt(pycurl.CUSTOMREQUEST)
            return
        if method == "HEAD":
            self.curl.unsetopt(pycurl.CUSTOMREQUEST)
            self.curl.setopt(pycurl.NOBODY, 1)
            return
        if body is not None or method in METHODS_WITH_LENGTH:
            self.curl.setopt(pycurl.POSTFIELDS, body or b"")
        self.curl.setopt(pycurl.CUSTOMREQUEST, method)

    def _open_socket(self, _purpose: int, address: Any) -> int:
        """Open the socket for an address, unless the guard refuses it. This is the last look: names were resolved by now."""
        family, kind, protocol, (ip, port, *_scope) = address
        reason = forbidden_reason(ip, allow_private=self._allow_private, port=port)
        if reason is not None:
            self._refused = Failure("address_forbidden", {"address": ip, "reason": reason})
            return int(pycurl.SOCKET_BAD)
        try:
            link = _socket.socket(family, kind, protocol)
        except OSError as error:
            self._refused = socket_failure(error, ip)
            return int(pycurl.SOCKET_BAD)
        self._tried.append(ip)
        return link.detach()  # libcurl owns and closes the descriptor

    def _take_body(self, chunk: bytes) -> int | None:
        self._room -= len(chunk)
        if self._room < 0:
            chunk = chunk[: self._room]
            self._is_truncated = True
        self._body += chunk
        if not self._bodies.take(len(chunk)):
            self._is_crowded = True
            self._drop_body()  # at once: others of this round have room then
        # 0 ends the transfer with a write error, which `finish` knows.
        return 0 if self._is_truncated or self._is_crowded else None

    def finish(self, number: int = 0, message: str = "") -> Reply:
        """Read the result of the transfer that ended with libcurl's error ``number`` and make ready for the next."""
        try:
            return self._reply(number, message)
        finally:
            self._forget()

    def _drop_body(self) -> None:
        self._bodies.give(len(self._body))
        self._body = bytearray()  # parts in a list would cost 20 times as much where they have two bytes each

    def _forget(self) -> None:
        self._drop_body()
        self._is_truncated = self._is_crowded = False
        self._refused = None
        self.header_lines.clear()
        self._tried.clear()

    def _reply(self, number: int, message: str) -> Reply:
        info, raw = self.curl.getinfo, self.curl.getinfo_raw
        chain = tuple(map(dict, raw(pycurl.INFO_CERTINFO))) if self._reads_certificate else ()
        extras = self._extras
        headers = without_trailers(self.header_lines)
        return Reply(
            failure=self._failure(number, message) if number else self._cut_off(headers),
            status=info(pycurl.RESPONSE_CODE),
            http_version=VERSION_NAMES.get(info(pycurl.INFO_HTTP_VERSION), ""),
            remote_ip=info(pycurl.PRIMARY_IP) or "",
            body=bytes(self._body),
            is_truncated=self._is_truncated,
            content_type=_text(raw(pycurl.CONTENT_TYPE)),
            redirect_url=_text(raw(pycurl.REDIRECT_URL)),
            cert_expires_at=chains.first_end(chain, is_verified=self._verifies) if chain else None,
            resolved_us=info(pycurl.NAMELOOKUP_TIME_T),
            connected_us=info(pycurl.CONNECT_TIME_T),
            secured_us=info(pycurl.APPCONNECT_TIME_T),
            sent_us=info(pycurl.PRETRANSFER_TIME_T),
            first_byte_us=info(pycurl.STARTTRANSFER_TIME_T),
            total_us=info(pycurl.TOTAL_TIME_T),
            header_lines=tuple(headers) if extras and extras.keeps_headers else (),
            chain=tuple(map(chains.shown, chain)) if extras and extras.reads_certificate else (),
            certificates=tuple(facts.get(b"Cert", b"") for facts in chain),
            coding=coding_of(headers) if self._body else "",
        )

    def _cut_off(self, headers: Sequence[bytes]) -> Failure | None:
        """Name an end within the headers of HTTP/1, which libcurl takes for the end of the answer."""
        if self._body or (headers and headers[-1] in BLANK):
            return None
        return Failure("connection_lost", {"detail": "closed early"})

    def _failure(self, number: int, message: str) -> Failure | None:
        if self._is_crowded:
            return NO_ROOM
        if self._is_truncated:
            return None
        is_beside = self._tried and self._refused and self._refused.lacks_family  # other addresses were asked
        if self._refused is not None and number == pycurl.E_COULDNT_CONNECT and not is_beside:
            return self._refused
        failure = failure_of(self.curl, number, message, self._tried)
        if self._extras is not None and self._extras.proxy is not None:
            return failure_by_proxy(failure, message, self._extras.proxy.host)
        return failure

    def close(self) -> None:
        self._forget()
        self.curl.close()


def _lines_for_no_body(request: OutboundRequest) -> tuple[bytes, ...]:
    """Return what keeps libcurl from naming a type for a body that is none."""
    if request.body is not None or request.method not in METHODS_WITH_LENGTH:
        return ()
    is_named = any(line.lower().startswith(b"content-type") for line in request.header_lines)
    return () if is_named else (b"Content-Type:",)


def pin(host: str, port: int, addresses: Sequence[str]) -> str:
    """Return the `Limits.pinned` that makes libcurl use these addresses for a name without resolving it."""
    return f"+{host}:{port}:{','.join(f'[{ip}]' if ':' in ip else ip for ip in addresses)}"


def _text(sent: bytes | None) -> str:
    """Return what a server sent as text; its bytes may be anything."""
    return sent.decode("utf-8", "replace") if sent else ""
