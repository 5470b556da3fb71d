"""What can go wrong on the way to somebody's server and back, as stable codes."""

import errno
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

import pycurl

# Codes that trying again cannot mend.
PERMANENT_CODES = frozenset({"bad_url", "address_forbidden"})

# libcurl's errors that pycurl has no names for: https://curl.se/libcurl/c/libcurl-errors.html
E_WEIRD_SERVER_REPLY = 8
E_HTTP2_STREAM = 92
E_TOO_LARGE = 100
E_HTTP3 = 95
E_PROXY = 97
E_QUIC = 96
HEADER_FLOOD = re.compile(
    r"too (?:large|many) response headers|response headers? .*too|header.*too large", re.IGNORECASE
)
PROXY_REFUSAL = re.compile(r"CONNECT tunnel failed, response (\d{3})")
UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")

NO_WAY = "network_unreachable"
NO_IPV6 = "no_ipv6_here"
CONNECT_CODES = {
    errno.ECONNREFUSED: "connect_refused",
    errno.ETIMEDOUT: "connect_timeout",
    errno.ENETUNREACH: NO_WAY,
    errno.EHOSTUNREACH: NO_WAY,
}
# What only this machine says, never a server or a router (no ICMP message becomes one of these): no descriptor, memory or
# buffer is left, or no local port (EADDRNOTAVAIL, of datagrams EAGAIN). The target has not been asked.
OWN_ERRORS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EAGAIN,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
    }
)
# Of an IPv6 address these may say that this machine has no IPv6: a container's has not, unless its network is given one.
# It is a fault of ours all the same, but tells nothing of a target that has IPv4 too.
LACKING_FAMILY = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
DISCARD_PORT = 9
# OpenSSL's X509_V_ERR_*: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
CERTIFICATE_CODES = {
    9: "tls_not_yet_valid",
    10: "tls_expired",
    18: "tls_self_signed",
    19: "tls_self_signed",
    20: "tls_unknown_issuer",
    21: "tls_unknown_issuer",
    23: "tls_revoked",
    62: "tls_name_mismatch",
    64: "tls_name_mismatch",
}
ERROR_CODES = {
    pycurl.E_URL_MALFORMAT: "bad_url",
    pycurl.E_UNSUPPORTED_PROTOCOL: "bad_response",  # HTTP/0.9, which is what garbage looks like
    pycurl.E_COULDNT_RESOLVE_HOST: "dns_failure",
    pycurl.E_GOT_NOTHING: "empty_response",
    E_WEIRD_SERVER_REPLY: "bad_response",
    pycurl.E_PARTIAL_FILE: "connection_lost",
    pycurl.E_RECV_ERROR: "connection_lost",
    pycurl.E_SEND_ERROR: "connection_lost",
    pycurl.E_SSL_CONNECT_ERROR: "tls_failed",
    pycurl.E_SSL_CIPHER: "tls_failed",
    pycurl.E_SSL_SHUTDOWN_FAILED: "tls_failed",
    pycurl.E_HTTP2: "bad_response",
    E_HTTP2_STREAM: "bad_response",
    pycurl.E_BAD_CONTENT_ENCODING: "bad_response",
    E_TOO_LARGE: "header_flood",
    E_HTTP3: "bad_response",
    E_QUIC: "tls_failed",  # QUIC's handshake is TLS's
    E_PROXY: "proxy_failed",
    pycurl.E_COULDNT_RESOLVE_PROXY: "proxy_failed",
    pycurl.E_SSL_CERTPROBLEM: "client_certificate_refused",
}
# The same in libcurl's own numbers.
OWN_CURL_ERRORS = frozenset({pycurl.E_OUT_OF_MEMORY, pycurl.E_FAILED_INIT, pycurl.E_SSL_CACERT_BADFILE})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer. ``values`` are JSON-able and fill the sentence that explains ``code``."""

    code: str
    values: dict[str, str | int] = field(default_factory=dict)
    is_ours: bool = False

    @property
    def lacks_family(self) -> bool:
        """Tell whether this machine has no IPv6, which says nothing where an IPv4 address was asked as well."""
        return self.code == NO_IPV6


class OutboundError(Exception):
    """A request had no answer; ``permanent`` tells that trying again cannot help."""

    def __init__(self, message: str, *, permanent: bool, code: str) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.code = code


def connect_failure(number: int, ip: str, detail: str) -> Failure:
    """Name why no connection to ``ip`` came about, by the system's error ``number``."""
    if number in OWN_ERRORS:
        return Failure(NO_IPV6 if _lacks_ipv6(number, ip) else "own_fault", {"detail": detail}, is_ours=True)
    return Failure(CONNECT_CODES.get(number, "connect_failed"), {"detail": detail})


def _lacks_ipv6(number: int, ip: str) -> bool:
    """Tell whether this machine has no IPv6 to reach ``ip`` by; otherwise it has run out of ports.

    It is asked anew each time, as networks come and go: a datagram's socket finds its way, or none, and sends nothing.
    """
    if ":" not in ip or number not in LACKING_FAMILY:
        return False
    if number == errno.EAFNOSUPPORT:
        return True
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as link:
            link.connect((ip, DISCARD_PORT))
    except OSError as error:
        return error.errno in LACKING_FAMILY
    return False


def socket_failure(error: OSError, ip: str) -> Failure:
    """Name why no socket could be opened to reach ``ip``: the fault is ours, whatever the error."""
    number = error.errno if error.errno in OWN_ERRORS else errno.ENOBUFS
    return connect_failure(number, ip, UNPRINTABLE.sub(" ", error.strerror or "socket")[:200])


def failure_of(curl: pycurl.Curl, number: int, message: str, tried: Sequence[str] = ()) -> Failure:
    """Name what libcurl's error ``number`` means; the handle still knows how far the transfer came.

    ``tried`` are the addresses that sockets were opened for: libcurl tells only of one of them why it failed.
    """
    detail = UNPRINTABLE.sub(" ", message)[:200]
    if number == pycurl.E_OPERATION_TIMEDOUT:
        return Failure(_timeout_code(curl))
    if number == pycurl.E_PEER_FAILED_VERIFICATION:
        return Failure(_certificate_code(curl), {"detail": detail})
    if number == pycurl.E_COULDNT_CONNECT:
        return _failure_of_all(curl.getinfo(pycurl.OS_ERRNO), tried, detail)
    if HEADER_FLOOD.search(message):
        return Failure("header_flood")
    if number in OWN_CURL_ERRORS:
        return Failure("own_fault", {"detail": detail}, is_ours=True)
    return Failure(ERROR_CODES.get(number, "request_failed"), {"detail": detail})


def failure_by_proxy(failure: Failure, message: str, proxy: str) -> Failure:
    """Tell the proxy's faults from the target's: what fails before the tunnel stands is the proxy's."""
    if refusal := PROXY_REFUSAL.search(message):
        return Failure("proxy_refused", {"proxy": proxy, "status": int(refusal[1])})
    if failure.is_ours:
        return failure
    if failure.code in CONNECT_CODES.values() or failure.code in ("connect_failed", "proxy_failed"):
        detail = failure.values.get("detail", failure.code.replace("_", " "))
        return Failure("proxy_failed", {"proxy": proxy, "detail": detail})
    return failure


def _failure_of_all(number: int, tried: Sequence[str], detail: str) -> Failure:
    v6 = next((ip for ip in tried if ":" in ip), "")  # by which an error that may be of either is judged
    failure = connect_failure(number, v6, detail)
    if failure.lacks_family and not all(":" in ip for ip in tried):  # those of the other family were asked
        return Failure("connect_failed", {"detail": detail})
    return failure


def _timeout_code(curl: pycurl.Curl) -> str:
    """Tell the phase that the time ran out in."""
    if not curl.getinfo(pycurl.CONNECT_TIME_T):
        return "connect_timeout"
    # Sizes and status, since a failed transfer's end is entered as its later times too.
    if not curl.getinfo(pycurl.REQUEST_SIZE):
        return "tls_timeout"
    return "transfer_timeout" if curl.getinfo(pycurl.RESPONSE_CODE) else "timeout"


def _certificate_code(curl: pycurl.Curl) -> str:
    # libcurl matches the name itself, and first: OpenSSL's result is then still "unspecified", or "good".
    result = curl.getinfo(pycurl.SSL_VERIFYRESULT)
    return CERTIFICATE_CODES.get(result, "tls_invalid") if result > 1 else "tls_name_mismatch"
