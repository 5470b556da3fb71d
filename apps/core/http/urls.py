"""Judging a URL that somebody typed before anything connects to it."""

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv6Address
from urllib.parse import SplitResult, quote, urldefrag, urljoin, urlsplit

import idna
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.core.http.guard import forbidden_reason

MAX_LENGTH = 2_000
DEFAULT_PORTS = {"http": 80, "https": 443}
UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]")
HOST_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
# RFC 3986 plus "%", so that what is escaped already stays as it is.
PATH_SIGNS = "/:@!$&'()*+,;=-._~%"
PRINTABLE = bytes(range(0x20, 0x7F))
QUERY_SIGNS = PATH_SIGNS + "?[]{}|^`"


class BadUrl(ValueError):
    """The URL cannot be used; ``code`` is stable, ``message`` is for people."""

    def __init__(self, code: str, message: str | Promise) -> None:
        super().__init__(code)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return str(self.message)


@dataclass(frozen=True, slots=True)
class ParsedUrl:
    """A checked URL: ``url`` is ASCII and rebuilt from its parts, so that every reader sees the same host in it."""

    url: str
    scheme: str
    host: str  # lower case, without brackets; an IPv4 address in its usual form
    port: int
    literal_ip: str | None

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port


def check_url(url: str) -> ParsedUrl:
    """Return the parsed URL or raise `BadUrl`: http(s) only, no credentials, a host and port that can exist."""
    if len(url) > MAX_LENGTH:
        raise BadUrl("too_long", _("This address is too long; 2,000 characters are the most."))
    if UNPRINTABLE.search(url) or "\\" in url:
        raise BadUrl(
            "bad_characters", _("The address contains spaces, control characters or a backslash; remove them.")
        )
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise BadUrl("malformed", _("This is not a complete address, such as https://example.com/health.")) from error
    if parts.scheme not in DEFAULT_PORTS:
        raise BadUrl("bad_scheme", _("Only addresses that begin with http:// or https:// can be used."))
    if "@" in parts.netloc:
        raise BadUrl(
            "userinfo", _("Remove the user name and password from the address; send them as a header instead.")
        )
    host, literal_ip = check_host(parts.hostname or "")
    port = _port(parts)
    return ParsedUrl(
        url=_rebuilt(parts, host, port),
        scheme=parts.scheme,
        host=host,
        port=port or DEFAULT_PORTS[parts.scheme],
        literal_ip=literal_ip,
    )


def redirect_target(url: str, location: bytes) -> str:
    """Return where a redirect from ``url`` leads, without its fragment; the header's bytes may be anything."""
    target = quote(location.strip(), safe=PRINTABLE)
    try:
        return urldefrag(urljoin(url, target))[0]
    except ValueError:
        return target


def forbidden_literal(parsed: ParsedUrl, *, allow_private: bool) -> str | None:
    """Return the guard's reason against an address written as numbers; names are judged when they are connected to."""
    return forbidden_reason(parsed.literal_ip, allow_private=allow_private) if parsed.literal_ip else None


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise BadUrl("bad_port", _("The port must be between 1 and 65535."))
    return port


def check_host(host: str) -> tuple[str, str | None]:
    """Return the ASCII host, and the address where the host is one (in any form a resolver would accept).

    Raises `BadUrl` where no such host can exist. An IPv6 address comes without brackets.
    """
    if not host:
        raise BadUrl("no_host", _("The address names no host."))
    if ":" in host:
        return _v6_host(host)
    try:
        ascii_host = host if host.isascii() else idna.encode(host, uts46=True, transitional=False).decode()
    except (idna.IDNAError, UnicodeError) as error:
        raise _bad_host() from error
    ascii_host = ascii_host.lower()
    literal = _inet_aton(ascii_host.removesuffix("."))
    if literal is not None:
        return literal, literal
    labels = ascii_host.removesuffix(".").split(".")
    if len(ascii_host) > 253 or not all(HOST_LABEL.fullmatch(label) for label in labels) or _is_numeric(labels[-1]):
        raise _bad_host()
    return ascii_host, None


def _bad_host() -> BadUrl:
    return BadUrl("bad_host", _("This host name cannot exist; check its spelling."))


def _is_numeric(label: str) -> bool:
    return label.isdigit() or bool(re.fullmatch(r"0x[0-9a-f]*", label))


def _v6_host(host: str) -> tuple[str, str]:
    try:
        address = IPv6Address(host)
    except ValueError as error:
        raise _bad_host() from error
    if address.scope_id is not None:
        raise _bad_host()
    return str(address), str(address)


def _inet_aton(host: str) -> str | None:
    """Return the dotted form of decimal, octal, hexadecimal and shortened IPv4 addresses, as every resolver reads them."""
    if not host or not _is_numeric(host.rsplit(".", 1)[-1]):
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def _rebuilt(parts: SplitResult, host: str, port: int | None) -> str:
    escaped: Callable[..., str] = partial(quote, encoding="utf-8")
    shown_host = f"[{host}]" if ":" in host else host
    shown_port = "" if port is None or port == DEFAULT_PORTS[parts.scheme] else f":{port}"
    query = f"?{escaped(parts.query, safe=QUERY_SIGNS)}" if parts.query else ""
    return f"{parts.scheme}://{shown_host}{shown_port}{escaped(parts.path, safe=PATH_SIGNS) or '/'}{query}"
