"""What can go wrong on the way to somebody's server and back, as stable codes."""

import errno
import re
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

CONNECT_CODES = {
    errno.ECONNREFUSED: "connect_refused",
    errno.ETIMEDOUT: "connect_timeout",
    errno.ENETUNREACH: "network_unreachable",
    errno.EHOSTUNREACH: "network_unreachable",
    errno.EADDRNOTAVAIL: "network_unreachable",
}
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
# Faults of ours, or of this machine: the target has not been asked.
OWN_ERRORS = frozenset({pycurl.E_OUT_OF_MEMORY, pycurl.E_FAILED_INIT, pycurl.E_SSL_CACERT_BADFILE})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer. ``values`` are JSON-able and fill the sentence that explains ``code``."""

    code: str
    values: dict[str, str | int] = field(default_factory=dict)
    is_ours: bool = False


class OutboundError(Exception):
    """A request had no answer; ``permanent`` tells that trying again cannot help."""

    def __init__(self, message: str, *, permanent: bool, code: str) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.code = code


def failure_of(curl: pycurl.Curl, number: int, message: str) -> Failure:
    """Name what libcurl's error ``number`` means; the handle still knows how far the transfer came."""
    detail = UNPRINTABLE.sub(" ", message)[:200]
    if number == pycurl.E_OPERATION_TIMEDOUT:
        return Failure(_timeout_code(curl))
    if number == pycurl.E_PEER_FAILED_VERIFICATION:
        return Failure(_certificate_code(curl), {"detail": detail})
    if number == pycurl.E_COULDNT_CONNECT:
        return _connect_failure(curl.getinfo(pycurl.OS_ERRNO), detail)
    if HEADER_FLOOD.search(message):
        return Failure("header_flood")
    if number in OWN_ERRORS:
        return Failure("own_fault", {"detail": detail}, is_ours=True)
    return Failure(ERROR_CODES.get(number, "request_failed"), {"detail": detail})


def failure_by_proxy(failure: Failure, message: str, proxy: str) -> Failure:
    """Tell the proxy's faults from the target's: what fails before the tunnel stands is the proxy's."""
    if refusal := PROXY_REFUSAL.search(message):
        return Failure("proxy_refused", {"proxy": proxy, "status": int(refusal[1])})
    if failure.code in CONNECT_CODES.values() or failure.code in ("connect_failed", "proxy_failed"):
        detail = failure.values.get("detail", failure.code.replace("_", " "))
        return Failure("proxy_failed", {"proxy": proxy, "detail": detail})
    return failure


def _connect_failure(number: int, detail: str) -> Failure:
    return Failure(CONNECT_CODES.get(number, "connect_failed"), {"detail": detail})


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
