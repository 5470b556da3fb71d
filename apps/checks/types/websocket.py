"""The WebSocket check (RFC 6455): the handshake, and where wished a message there and an answer back.

The `websockets` library speaks the protocol without a socket of its own; every byte goes through the probe's stream.
Compression is not offered, so that nothing grows while it is read.
"""

import asyncio
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import ClassVar, cast
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

from apps.checks.types.base import Fact, Group, Outcome, ProbeContext, ProbeFailure, Stream, TlsSettings
from apps.checks.types.http_fields import check_headers_field
from apps.checks.types.messages import Message
from apps.checks.types.patterns import MAX_LENGTH, PatternTooSlow, bounded_search, check_pattern
from apps.checks.types.probing import Findings, run_probe
from apps.checks.types.said import secrets_said
from apps.checks.types.texts import printable
from apps.core.http.curl import USER_AGENT
from apps.core.http.headers import TOKEN
from apps.core.http.urls import BadUrl, ParsedUrl, check_url
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

SCHEMES = {"ws": "http", "wss": "https"}
MAX_HEAD = 65_536
# Small bites, since a bite may hold a frame in every two bytes and other probes wait while it is chewed.
BITE = 4_096
MAX_FRAMES = 1_000
SEARCH_SECONDS = 0.2  # for a pattern, over all messages together
CLOSE_SECONDS = 1.0
SHOWN = 200
SEPARATORS = re.compile(r"[\s,]+")


def _http_url(url: str) -> str:
    """Return the address as HTTP, in which the handshake is made; raises `BadUrl`."""
    scheme, separator, rest = url.partition("://")
    if scheme.lower() not in SCHEMES:
        raise BadUrl("bad_scheme", _("Only addresses that begin with ws:// or wss:// can be used."))
    return SCHEMES[scheme.lower()] + separator + rest


def _check_url_field(url: str) -> None:
    try:
        check_url(_http_url(url))
    except BadUrl as error:
        raise ValidationError(str(error), code=error.code) from error


def _check_own_headers(headers: Mapping[str, str]) -> None:
    check_headers_field(headers)
    if any(name.lower().startswith("sec-websocket-") for name in headers):
        raise ValidationError(_("Headers that begin with Sec-WebSocket- belong to the handshake."), code="bad_header")


def _check_subprotocols_field(names: str) -> None:
    if not all(TOKEN.fullmatch(name) for name in SEPARATORS.split(names.strip()) if name):
        raise ValidationError(_("Give names of letters, digits and hyphens, separated by commas."), code="bad_name")


@dataclass(frozen=True, kw_only=True)
class WebsocketConfig(BaseConfig):
    """Where to connect, what to say, what to hear."""

    url: str = setting(
        label=_("Address"),
        help=_("The full address, such as wss://example.com/live."),
        widget=Widget.URL,
        placeholder="wss://example.com/live",
        check=_check_url_field,
    )
    headers: dict[str, str] = setting(  # noqa: RUF009 - it makes a field
        dict,
        label=_("Headers"),
        help=_("One “Name: value” a line. Values are stored encrypted."),
        is_secret=True,
        max_length=8_000,
        check=_check_own_headers,
    )
    subprotocols: str = setting(
        "",
        label=_("Subprotocols"),
        help=_("Offered to the server, which must choose one of them; separated by commas."),
        max_length=500,
        check=_check_subprotocols_field,
    )
    send: str = setting(
        "",
        label=_("Send"),
        help=_("A text message, sent once the connection stands. Stored encrypted."),
        widget=Widget.AREA,
        is_secret=True,
        max_length=16_000,
    )
    expect: str = setting(
        "",
        label=_("Expect"),
        help=_("Text that one of the server's messages must contain. Empty: the connection alone is enough."),
        max_length=MAX_LENGTH,
    )
    expect_is_pattern: bool = setting(
        False,
        label=_("Expect is a regular expression"),
        help=_("Look for a pattern instead of a plain text."),
    )
    verify_tls: bool = setting(
        True,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )

    def clean(self) -> None:
        if not self.expect_is_pattern:
            return
        if not self.expect:
            raise ValidationError({"expect": _("Write the regular expression.")})
        try:
            check_pattern(self.expect)
        except ValidationError as error:
            raise ValidationError({"expect": error.messages}) from error

    @cached_property
    def address(self) -> ParsedUrl:
        return check_url(_http_url(self.url))

    @cached_property
    def offered(self) -> list[Subprotocol]:
        return [Subprotocol(name) for name in SEPARATORS.split(self.subprotocols) if name]

    @cached_property
    def made_secrets(self) -> tuple[str, ...]:
        """What the server may repeat of the message."""
        return tuple(secrets_said([self.send] if self.send else [], host=self.address.host))

    @property
    def tls(self) -> TlsSettings | None:
        return TlsSettings(verify=self.verify_tls, alpn=("http/1.1",)) if self.address.scheme == "https" else None

    def protocol(self) -> ClientProtocol:
        """Return a fresh protocol; its size limit is that of one message."""
        parts = urlsplit(self.address.url)
        uri = WebSocketURI(
            self.address.scheme == "https", self.address.host, self.address.port, parts.path, parts.query
        )
        return ClientProtocol(uri, subprotocols=self.offered or None)


class WebsocketCheck:
    """Opens a WebSocket, and has a word with the server where wished."""

    kind: ClassVar[str] = "websocket"
    label: ClassVar[Text] = _("WebSocket")
    help: ClassVar[Text] = _("Opens a WebSocket, sends a message and waits for the right answer.")
    icon: ClassVar[str] = "plug-connected"
    group: ClassVar[Group] = Group.WEB
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = WebsocketConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "websocket_refused": (
            _("The server does not speak WebSocket here (%(detail)s)."),
            _("Check the path, and what stands between: a proxy must pass the Upgrade header on."),
        ),
        "websocket_subprotocol": (
            _("The server chose none of the subprotocols offered (%(offered)s)."),
            _("Check the names, or offer none."),
        ),
        "websocket_silent": (
            _("No message came in time; expected was “%(expected)s”."),
            _("Check what the server sends, or allow the check more time."),
        ),
        "websocket_unexpected": (
            _("“%(expected)s” did not come in time; the last message was “%(answer)s”."),
            _("Look at the server, or change what is expected."),
        ),
        "websocket_closed": (
            _("The server closed the WebSocket with code %(number)s (%(reason)s)."),
            _("Look at the server, and at what this check sends."),
        ),
        "websocket_broken": (
            _("The server broke the WebSocket protocol (%(detail)s)."),
            _("Look at the server and at what stands between."),
        ),
        "websocket_flood": (
            _("More than %(count)s frames came without what is expected."),
            _("Look at what the server sends, or change what is expected."),
        ),
        "websocket_pattern_slow": (
            _("The regular expression takes too long on the server's messages."),
            _("Write a simpler one: nested repetitions are what takes time."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "subprotocol": Fact(_("Subprotocol")),
        "messages": Fact(_("Messages received")),
        "answer": Fact(_("Last message")),
    }

    def sample(self) -> WebsocketConfig:
        return WebsocketConfig(
            url="wss://example.com/live",
            headers={"Origin": "https://example.com"},
            subprotocols="chat, chat-v2",
            send='{"type": "ping"}',
            expect="pong",
        )

    def target(self, config: BaseConfig) -> str:
        """Return the address without its query, which may hold a secret."""
        return cast("WebsocketConfig", config).url.partition("?")[0].partition("#")[0]

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("WebsocketConfig", config)

        async def talk(findings: Findings) -> None:
            # The last part of the time is for saying goodbye, and for telling what came instead of what was expected.
            listens_until = asyncio.get_running_loop().time() + context.timeout_seconds * 0.9
            stream = await context.net.open(wanted.address.host, wanted.address.port, tls=wanted.tls)
            protocol = wanted.protocol()
            await _shake_hands(stream, protocol, wanted, findings)
            conversation = Conversation(stream, protocol, findings)
            if wanted.send:
                protocol.send_text(wanted.send.encode())
                await conversation.flush()
            if wanted.expect:
                await conversation.hear(wanted, until=listens_until)
            await conversation.close()

        return await run_probe(context, talk)


async def _shake_hands(stream: Stream, protocol: ClientProtocol, wanted: WebsocketConfig, findings: Findings) -> None:
    protocol.send_request(_request(protocol, wanted))
    for part in protocol.data_to_send():
        await stream.write(part)
    status_line = await stream.read_until(b"\n", limit=BITE)
    words = status_line.split()
    if not status_line.startswith(b"HTTP/1.") or len(words) < 2 or not words[1].isdigit():
        raise ProbeFailure("wrong_protocol", {"answer": printable(status_line, SHOWN)})
    findings.status_code = int(words[1][:3])
    if findings.status_code != 101:  # whatever follows may be long, and says nothing more
        raise ProbeFailure("status_mismatch", {"status": findings.status_code, "expected": "101"})
    head = status_line
    while not head.endswith((b"\n\r\n", b"\n\n")):
        if len(head) > MAX_HEAD:
            raise ProbeFailure("answer_too_large", {"limit": MAX_HEAD})
        head += await stream.read_until(b"\n", limit=BITE)
    protocol.receive_data(head)
    refusal = protocol.handshake_exc
    if refusal is not None:
        raise ProbeFailure("websocket_refused", {"detail": _words(refusal)})
    if wanted.offered and protocol.subprotocol is None:
        raise ProbeFailure("websocket_subprotocol", {"offered": ", ".join(wanted.offered)})
    if protocol.subprotocol:
        findings.details["subprotocol"] = protocol.subprotocol


def _request(protocol: ClientProtocol, wanted: WebsocketConfig) -> Request:
    request = protocol.connect()
    for name, value in {"User-Agent": USER_AGENT, **wanted.headers}.items():
        if name in request.headers:  # the host, which may be another than the one connected to
            del request.headers[name]
        request.headers[name] = value.encode().decode("latin-1")  # UTF-8 by way of what the library writes
    return request


def _words(error: Exception) -> str:
    """Return what is wrong with a handshake; what broke its parser says more than that it broke."""
    told = error if isinstance(error, InvalidHandshake) and error.__cause__ is None else error.__cause__
    return printable(str(told), SHOWN)


class Conversation:
    """Messages over a WebSocket that stands."""

    def __init__(self, stream: Stream, protocol: ClientProtocol, findings: Findings) -> None:
        self._stream = stream
        self._protocol = protocol
        self._details = findings.details
        self._frames = 0
        self._messages = 0
        self._parts: list[bytes] = []
        self._search_left = SEARCH_SECONDS
        protocol.events_received()  # the handshake's answer

    async def flush(self) -> None:
        """Send what the protocol wants sent: messages, pongs, a close."""
        # An empty part asks for closing our half, which the end of the probe does.
        if data := b"".join(self._protocol.data_to_send()):
            await self._stream.write(data)

    async def hear(self, wanted: WebsocketConfig, *, until: float) -> None:
        """Wait for the message; fails when it does not come."""
        try:
            async with asyncio.timeout_at(until):
                while not await self._heard(wanted):
                    await self._receive()
        except TimeoutError as error:
            values = {"expected": printable(wanted.expect, SHOWN), "answer": str(self._details.get("answer", ""))}
            raise ProbeFailure(
                "websocket_unexpected" if self._messages else "websocket_silent",
                values if self._messages else {"expected": values["expected"]},
            ) from error

    async def close(self) -> None:
        """Say goodbye and give the server a moment to say so too; all is well already, so a rude one is forgiven."""
        if self._protocol.state is not State.OPEN:
            return
        self._protocol.send_close(1000)
        with suppress(ProbeFailure, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.flush()
                while self._protocol.close_rcvd is None and await self._take():
                    self._protocol.events_received()

    async def _take(self) -> bool:
        """Read once; False at the end of the stream."""
        data = await self._stream.read_some(BITE)
        if data:
            self._protocol.receive_data(data)
        return bool(data)

    async def _receive(self) -> None:
        if self._protocol.close_rcvd is not None:
            closed = self._protocol.close_rcvd
            reason = printable(closed.reason, SHOWN) or "–"
            raise ProbeFailure("websocket_closed", {"number": int(closed.code), "reason": reason})
        if not await self._take():
            raise ProbeFailure("connection_lost")
        if self._protocol.parser_exc is not None:
            detail = printable(str(self._protocol.parser_exc), SHOWN)
            with suppress(ProbeFailure):
                await self.flush()  # the close frame that says why
            raise ProbeFailure("websocket_broken", {"detail": detail})
        await self.flush()

    async def _heard(self, wanted: WebsocketConfig) -> bool:
        for frame in self._protocol.events_received():
            self._frames += 1
            if self._frames > MAX_FRAMES:
                raise ProbeFailure("websocket_flood", {"count": MAX_FRAMES})
            message = self._message(cast("Frame", frame))
            if message is not None and self._is_wanted(message, wanted):
                return True
        return False

    def _message(self, frame: Frame) -> str | None:
        """Return the message that ``frame`` completes."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return None
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return None
        message = b"".join(self._parts).decode("utf-8", "replace")
        self._parts.clear()
        self._messages += 1
        self._details.update(messages=self._messages, answer=printable(message, SHOWN))
        return message

    def _is_wanted(self, message: str, wanted: WebsocketConfig) -> bool:
        if not wanted.expect_is_pattern:
            return wanted.expect in message
        began = perf_counter()
        try:
            found = bounded_search(wanted.expect, message, seconds=max(0.001, self._search_left))
        except PatternTooSlow as error:
            raise ProbeFailure("websocket_pattern_slow") from error
        self._search_left -= perf_counter() - began
        return found is not None
