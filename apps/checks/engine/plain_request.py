"""Which requests are plain, and the bytes that they are on the wire."""

from apps.core.http.curl import USER_AGENT, HttpVersion, OutboundRequest
from apps.core.http.urls import ParsedUrl

METHODS = frozenset({"GET", "HEAD"})
VERSIONS = frozenset({HttpVersion.AUTO, HttpVersion.ONE})


def is_plain(request: OutboundRequest, address: ParsedUrl) -> bool:
    """Tell whether the plain driver may send ``request``."""
    return bool(request.wire) or (
        address.scheme == "http"
        and request.extras is None
        and request.body is None
        and request.method in METHODS
        and request.http_version in VERSIONS
        and "/." not in request.url
        and all(b":" in line and not line.endswith((b":", b";")) for line in request.header_lines)
    )


def request_bytes(request: OutboundRequest) -> bytes:
    """Return the request as libcurl would send it, written once."""
    if not request.wire:
        object.__setattr__(request, "wire", _written(request))
    return request.wire


def _written(request: OutboundRequest) -> bytes:
    """Write libcurl's own headers first, unless the request brings them."""
    origin, _slash, path = request.url[len("http://") :].partition("/")
    if not request.header_lines:
        return (
            f"{request.method} /{path} HTTP/1.1\r\nHost: {origin}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n\r\n"
        ).encode("ascii")
    named = {line.partition(b":")[0].strip().lower() for line in request.header_lines}
    own = [(b"Host", origin.encode()), (b"User-Agent", USER_AGENT.encode()), (b"Accept", b"*/*")]
    lines = [
        f"{request.method} /{path} HTTP/1.1".encode("ascii"),
        *(name + b": " + value for name, value in own if name.lower() not in named),
        *request.header_lines,
    ]
    return b"\r\n".join((*lines, b"", b""))
