"""A mail read as a ping: its sender, its subject and its text. Pure, and bounded in everything that a stranger writes."""

import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from uuid import UUID

from apps.checks.domain.heartbeat_rules import Report
from apps.checks.domain.ping_doors import MAIL_METHOD
from apps.checks.domain.pings import Address, BySlug, NewPing
from apps.checks.models import MAX_BODY_BYTES
from apps.checks.types.charsets import decode
from apps.checks.types.heartbeat import ADDRESS, PING_KEY, SLUG, Signal

MAX_HEAD_BYTES = 65_536
MAX_FIELD = 1_000
MAX_DEPTH = 5
MAX_PARTS = 50
AGENT_LENGTH = 200
SENDER_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Mail:
    """What of a mail is shown and judged."""

    sender: str
    subject: str
    text: str


def address_at(recipient: str, domain: str) -> Address | None:
    """Return whom a mail address at our domain names, ``<token>@`` or ``<ping key>+<slug>@``; None for any other address."""
    local, _at, host = recipient.strip("<>").rpartition("@")
    if host.rstrip(".").lower() != domain.lower():
        return None
    key, _plus, slug = local.partition("+")
    if PING_KEY.fullmatch(key) and SLUG.fullmatch(slug):
        return BySlug(key, slug)
    if not ADDRESS.fullmatch(local):
        return None
    try:
        return str(UUID(local))  # some mailers write addresses in capitals
    except ValueError:
        return local


def mail_ping(address: Address, mail: Mail, *, at: datetime, source_ip: str | None) -> NewPing:
    """Return a mail as a ping. It is no preview of a link, so it counts where only POST does."""
    report = Report(signal=Signal.SUCCESS, at=at, is_post=True, text=mail.text, subject=mail.subject)
    page = f"From: {mail.sender}\nSubject: {mail.subject}\n\n{mail.text}"
    agent = f"{mail.sender[:SENDER_LENGTH]}: {mail.subject}" if mail.subject else mail.sender
    return NewPing(
        address=address,
        report=report,
        method=MAIL_METHOD,
        source_ip=source_ip,
        agent=agent[:AGENT_LENGTH],
        body=page.encode("utf-8", "replace")[:MAX_BODY_BYTES],
    )


def read_mail(raw: bytes, envelope_sender: str) -> Mail:
    """Return what of a mail is shown and judged: plain texts, or where there are none, the source of its HTML."""
    head, body = _split(raw)
    sender = _words(_field(head, "from")) or envelope_sender
    found = list(_texts(head, body, depth=0))
    plain = [text for kind, text in found if kind == "text/plain"]
    text = "\n".join(plain or [text for _kind, text in found])
    return Mail(_printable(sender), _printable(_words(_field(head, "subject"))), text.replace("\x00", ""))


def _split(raw: bytes) -> tuple[Message, bytes]:
    """Return the header fields, as far as they are read, and the body."""
    if raw.startswith(b"\r\n"):
        return Message(), raw[2:]
    head, _gap, body = raw.partition(b"\r\n\r\n")
    return BytesHeaderParser().parsebytes(head[:MAX_HEAD_BYTES]), body


def _field(head: Message, name: str) -> str:
    return str(head.get(name, ""))[:MAX_FIELD]


def _texts(head: Message, body: bytes, *, depth: int) -> Iterator[tuple[str, str]]:
    """Yield kind and text of the parts that are texts and not attached as files."""
    described = Message()  # of a bounded length: parsing parameters takes quadratic time
    described["content-type"] = _field(head, "content-type") or "text/plain"
    kind = described.get_content_type()
    if kind.startswith("multipart/") and depth < MAX_DEPTH:
        named = described.get_param("boundary", "")  # `get_boundary` would look for an encoding that a stranger names
        boundary = str(named[2] if isinstance(named, tuple) else named).rstrip().encode("ascii", "replace")
        parts = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_PARTS + 1)[1 : MAX_PARTS + 1] if boundary else ()
        for part in parts:
            if not part.startswith(b"--"):  # the end
                yield from _texts(*_split(part.partition(b"\r\n")[2]), depth=depth + 1)
    elif kind.startswith("text/") and not _field(head, "content-disposition").lower().startswith("attachment"):
        payload = _unwrapped(body, _field(head, "content-transfer-encoding").strip().lower())
        yield kind, decode(payload, str(described.get_param("charset", "utf-8"))).replace("\r\n", "\n")


def _unwrapped(body: bytes, encoding: str) -> bytes:
    """Undo a transfer encoding; neither makes a text longer."""
    if encoding == "quoted-printable":
        return binascii.a2b_qp(body)
    if encoding != "base64":
        return body
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        return body


def _words(value: str) -> str:
    """Return a header field with its encoded words decoded."""
    try:
        parts = decode_header(value)
    except (MessageError, ValueError):
        return value
    return "".join(part if isinstance(part, str) else decode(part, charset or "utf-8") for part, charset in parts)


def _printable(text: str) -> str:
    """Return a header's text on one line, without what steers terminals."""
    return "".join(sign if sign.isprintable() else " " for sign in " ".join(text.split()))
