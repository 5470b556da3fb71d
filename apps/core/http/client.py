"""The one synchronous HTTP client: Slack and other webhooks, and whatever else the product calls.

Thread-safe (a handle per thread); libcurl lets go of the interpreter's lock while it waits. Redirects are never followed.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import pycurl

from apps.core.http.curl import MEBIBYTE, HttpVersion, Limits, OutboundRequest, Reply, Transfer
from apps.core.http.failures import PERMANENT_CODES, Failure, OutboundError
from apps.core.http.headers import header_lines, without_trailers
from apps.core.http.urls import BadUrl, check_url

_per_thread = threading.local()


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer of any status. Header names are lower case; repeated ones are joined by commas."""

    status: int
    headers: dict[str, str]
    body: bytes
    elapsed_seconds: float
    is_truncated: bool = False


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float = 10.0,
    connect_timeout: float = 5.0,
    allow_private: bool = False,
    max_bytes: int = MEBIBYTE,
    verify_tls: bool = True,
) -> HttpResponse:
    """Send one request and return the answer, whatever its status; raise `OutboundError` where there is none.

    ``timeout`` is the whole time in seconds. Without ``allow_private`` only public addresses are connected to.
    """
    try:
        address = check_url(url)
        lines = header_lines(headers or {}, has_body=body is not None)
    except (BadUrl, ValueError) as error:
        raise OutboundError(str(error), permanent=True, code="bad_url") from error
    asked = OutboundRequest(
        method=method,
        url=address.url,
        header_lines=lines,
        body=body,
        verify_tls=verify_tls,
        http_version=HttpVersion.ONE,
        max_bytes=max_bytes,
    )
    limits = Limits(timeout_seconds=timeout, connect_timeout_seconds=connect_timeout, allow_private=allow_private)
    reply, received = _sent(_transfer(), asked, limits)
    if reply.failure is not None:
        raise _error(reply.failure)
    return HttpResponse(
        status=reply.status,
        headers=_headers(received),
        body=reply.body,
        elapsed_seconds=reply.total_us / 1_000_000,
        is_truncated=reply.is_truncated,
    )


def _transfer() -> Transfer:
    """Return this thread's handle: it keeps the parsed root certificates, which cost more than a request."""
    if not hasattr(_per_thread, "transfer"):
        _per_thread.transfer = Transfer()
    kept: Transfer = _per_thread.transfer
    return kept


def _sent(transfer: Transfer, asked: OutboundRequest, limits: Limits) -> tuple[Reply, list[bytes]]:
    transfer.prepare(asked, limits)
    number, message = 0, ""
    try:
        transfer.curl.perform()
    except pycurl.error as error:
        number, message = error.args[0], str(error.args[1])
    received = without_trailers(transfer.header_lines)
    return transfer.finish(number, message), received


def _error(failure: Failure) -> OutboundError:
    values = ", ".join(str(value) for value in failure.values.values())
    said = failure.code.replace("_", " ")
    message = f"{said}: {values}" if values else said
    return OutboundError(message, permanent=failure.code in PERMANENT_CODES, code=failure.code)


def _headers(lines: list[bytes]) -> dict[str, str]:
    """Return the headers of the last response block (an interim 1xx answer has one of its own)."""
    headers: dict[str, str] = {}
    for line in lines:
        if line.startswith(b"HTTP/"):
            headers = {}
            continue
        name, colon, value = line.decode("latin-1").strip().partition(":")
        if colon:
            name = name.strip().lower()
            headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    return headers
