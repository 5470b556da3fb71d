"""Headers: judging those that somebody typed, writing them as curl wants them, and telling an answer's from trailers."""

import re
from collections.abc import Mapping, Sequence

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
BLANK = (b"\r\n", b"\n")  # the line that ends an answer's headers
# The connection is ours to shape; a wrong length or encoding would let one request pose as two.
RESERVED = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class BadHeader(ValueError):
    """A header cannot be sent; ``message`` (with ``params``) is for people."""

    def __init__(self, message: str | Promise, name: str) -> None:
        super().__init__(name)
        self.message = message
        self.params = {"name": name[:60]}

    def __str__(self) -> str:
        return str(self.message) % self.params


def header_lines(headers: Mapping[str, str], *, has_body: bool = False) -> tuple[bytes, ...]:
    """Return curl's header lines or raise `BadHeader`."""
    lines = [_line(name, value) for name, value in headers.items()]
    if has_body:
        lines.append(b"Expect:")  # no waiting for "100 Continue", which many servers never say
        if "content-type" not in {name.lower() for name in headers}:
            lines.append(b"Content-Type: application/octet-stream")
    return tuple(lines)


def without_trailers(lines: Sequence[bytes]) -> list[bytes]:
    """Return what came before the body: trailers say nothing of an answer (RFC 9110 §6.5.1)."""
    end = len(lines)
    for at in range(end - 1, -1, -1):
        if lines[at] in BLANK:
            end = at + 1
        elif lines[at].startswith(b"HTTP/"):  # where the last block begins: an interim answer has one of its own
            break
    return list(lines[:end])


def _line(name: str, value: str) -> bytes:
    if not TOKEN.fullmatch(name):
        raise BadHeader(_("“%(name)s” is not a header name: use letters, digits and hyphens."), name)
    if name.lower() in RESERVED:
        raise BadHeader(_("The header “%(name)s” belongs to the connection and cannot be set."), name)
    if UNPRINTABLE.search(value):
        raise BadHeader(_("The value of “%(name)s” has control characters or line breaks; remove them."), name)
    # curl's own notation: "Name;" sends an empty value, "Name:" would remove the header.
    return f"{name}: {value}".encode() if value.strip() else f"{name};".encode()
