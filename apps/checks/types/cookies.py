"""Cookies of one probe: sent to the host that they were meant for, kept from answer to answer, gone with the probe."""

import re
from collections.abc import Container, Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from apps.core import clock
from apps.core.http.headers import TOKEN, UNPRINTABLE
from apps.core.http.urls import ParsedUrl

MAX_COOKIES = 50
MAX_LENGTH = 4_096
AGE = re.compile(r"-?[0-9]+")


class CookieJar:
    """Cookies by host, path and name. A ``Domain`` attribute widens a cookie to hosts below it, never to a bare ending."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str, str], tuple[str, bool, bool]] = {}

    def put(self, address: ParsedUrl, cookies: Mapping[str, str]) -> None:
        """Add cookies for one host; those for https are never sent in the clear."""
        for name, value in cookies.items():
            self._kept[address.host, "/", name] = value, address.scheme == "https", False

    def keep(self, header_lines: Iterable[bytes], address: ParsedUrl) -> None:
        """Take what an answer sets; what is malformed, too much or meant for another host is passed over."""
        for line in header_lines:
            name, colon, value = line.partition(b":")
            if colon and name.strip().lower() == b"set-cookie":
                self._set(value.decode("utf-8", "replace").strip(), address)

    def with_own(self, lines: tuple[bytes, ...], address: ParsedUrl) -> tuple[bytes, ...]:
        """Return a request's header lines with these cookies in one Cookie line (RFC 6265, 5.4), after its own ones."""
        own = [line for line in lines if line[:7].lower() == b"cookie:"]
        kept = self.line_for(address, besides={_cookie_name(pair) for line in own for pair in line[7:].split(b";")})
        if not own or not kept:
            return lines + kept
        whole = b"; ".join([b"Cookie: " + own[0][7:].strip(), *(line[7:].strip() for line in (*own[1:], *kept))])
        return (*(line for line in lines if line not in own), whole)

    def line_for(self, address: ParsedUrl, *, besides: Container[str] = ()) -> tuple[bytes, ...]:
        """Return the header line for a request, without cookies that it has already, or nothing."""
        path = address.url.split("://", 1)[1].partition("/")[2].partition("?")[0]
        chosen = [
            f"{name}={value}"
            for (host, place, name), (value, is_secure, is_wide) in self._kept.items()
            if _is_for(address.host, host, is_wide)
            and name not in besides
            and f"/{path}/".startswith(place if place.endswith("/") else f"{place}/")
            and (not is_secure or address.scheme == "https")
        ]
        return (f"Cookie: {'; '.join(chosen)}".encode(),) if chosen else ()

    def _set(self, text: str, address: ParsedUrl) -> None:
        pair, *rest = text.split(";")
        name, equals, value = (part.strip() for part in pair.partition("="))
        attributes = dict(_attribute(part) for part in rest)
        domain = attributes.get("domain", "").lstrip(".").lower()
        if not equals or not TOKEN.fullmatch(name) or len(text) > MAX_LENGTH or UNPRINTABLE.search(value):
            return
        if domain and not _may_widen(address, domain):
            return
        path = attributes.get("path", "/")
        key = domain or address.host, path if path.startswith("/") else "/", name
        if _is_over(attributes):
            self._kept.pop(key, None)
        elif key in self._kept or len(self._kept) < MAX_COOKIES:
            self._kept[key] = value, "secure" in attributes, bool(domain)


def _cookie_name(pair: bytes) -> str:
    return pair.partition(b"=")[0].decode("utf-8", "replace").strip()


def _attribute(part: str) -> tuple[str, str]:
    name, _equals, value = part.partition("=")
    return name.strip().lower(), value.strip()


def _is_over(attributes: Mapping[str, str]) -> bool:
    """Tell whether a cookie is set in order to be removed; Max-Age comes before Expires."""
    age = attributes.get("max-age", "")
    if AGE.fullmatch(age):
        return age.startswith("-") or not age.strip("0")
    try:
        ends_at = parsedate_to_datetime(attributes.get("expires", ""))
    except (ValueError, TypeError, IndexError, OverflowError):  # no date, or none that exists
        return False
    return (ends_at if ends_at.tzinfo else ends_at.replace(tzinfo=UTC)) <= clock.now()


def _may_widen(address: ParsedUrl, domain: str) -> bool:
    """A host may set cookies for itself and for names above it that are more than an ending such as “com”."""
    return _is_for(address.host, domain, True) and (address.host == domain or "." in domain) and not address.literal_ip


def _is_for(host: str, kept_for: str, is_wide: bool) -> bool:
    return host == kept_for or (is_wide and host.endswith(f".{kept_for}"))
