"""The gRPC check: the standard health service, ``grpc.health.v1.Health/Check``
(https://github.com/grpc/grpc/blob/master/doc/health-checking.md).

The `h2` library speaks HTTP/2 without a socket of its own. The two messages have one field each, so they are written and
read here rather than by generated code.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast
from urllib.parse import unquote

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

from apps.checks.types.base import Fact, Group, Outcome, ProbeContext, ProbeFailure, Stream, TlsSettings
from apps.checks.types.goaway import Goodbyes
from apps.checks.types.hosts import bare_host, host_setting, place, port_setting
from apps.checks.types.http_fields import certificate_errors, check_headers_field
from apps.checks.types.messages import Message
from apps.checks.types.probing import Findings, run_probe
from apps.checks.types.texts import printable
from apps.core.http.curl import USER_AGENT
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

METHOD = "/grpc.health.v1.Health/Check"
STREAM = 1
FRAME_HEAD, SETTINGS = 9, 4
# Small bites and few frames: a bite may hold a frame in every nine bytes, and other probes wait while it is chewed.
BITE = 4_096
MAX_EVENTS = 500
MAX_ANSWER = 16_384
SHOWN = 200
SERVING = 1
SERVING_NAMES = {0: "UNKNOWN", SERVING: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
NOT_FOUND, UNIMPLEMENTED = "NOT_FOUND", "UNIMPLEMENTED"
# https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
STATUS_NAMES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", NOT_FOUND, "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", UNIMPLEMENTED),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
METADATA_NAME = re.compile(r"[0-9a-zA-Z_.-]+")
OWN_NAMES = frozenset({"content-type", "host", "user-agent"})
AUTHORITY = re.compile(r"[A-Za-z0-9._:\[\]-]*")
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Malformed(ValueError):
    """Bytes are not the message that they should be."""


def _check_metadata_field(metadata: Mapping[str, str]) -> None:
    check_headers_field(metadata)
    for name, value in metadata.items():
        if not METADATA_NAME.fullmatch(name) or name.lower().startswith("grpc-") or name.lower() in OWN_NAMES:
            raise ValidationError(
                _("“%(name)s” cannot be sent as metadata."), code="bad_header", params={"name": name[:60]}
            )
        if not value.isascii():
            raise ValidationError(
                _("The value of “%(name)s” has letters beyond ASCII; encode it."),
                code="bad_header",
                params={"name": name[:60]},
            )


def _check_authority_field(authority: str) -> None:
    if not AUTHORITY.fullmatch(authority):
        raise ValidationError(_("Give a host name, with a port where needed."), code="bad_host")


@dataclass(frozen=True, kw_only=True)
class GrpcConfig(BaseConfig):
    """Which server, which of its services, and how to get in."""

    host: str = host_setting(placeholder="grpc.example.com")
    port: int = port_setting(443)
    service: str = setting(
        "",
        label=_("Service"),
        help=_("The name that the server registered, such as shop.v1.Cart. Empty: the server as a whole."),
        max_length=500,
    )
    uses_tls: bool = setting(True, label=_("Encrypted"), help=_("Off: HTTP/2 in the clear, as inside many clusters."))
    verify_tls: bool = setting(
        True,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )
    authority: str = setting(
        "",
        label=_("Authority"),
        help=_("Sent as :authority and as the name in TLS, where it differs from the host."),
        max_length=255,
        check=_check_authority_field,
    )
    metadata: dict[str, str] = setting(  # noqa: RUF009 - it makes a field
        dict,
        label=_("Metadata"),
        help=_("One “name: value” a line, such as authorization. Values are stored encrypted."),
        is_secret=True,
        max_length=8_000,
        check=_check_metadata_field,
    )
    client_certificate: str = setting(
        "", label=_("Client certificate"), help=_("As PEM, for mutual TLS."), widget=Widget.AREA, max_length=16_000
    )
    client_key: str = setting(
        "",
        label=_("Key of the client certificate"),
        help=_("As PEM, without a password. Stored encrypted."),
        widget=Widget.AREA,
        is_secret=True,
        max_length=16_000,
    )

    def clean(self) -> None:
        errors: dict[str, Any] = {}
        if (self.client_certificate or self.client_key) and not self.uses_tls:
            errors["client_certificate"] = _("A client certificate needs an encrypted connection.")
        else:
            errors = certificate_errors(self.client_certificate, self.client_key)
        if errors:
            raise ValidationError(errors)

    @property
    def shown_authority(self) -> str:
        return self.authority or place(self.host, self.port)

    @property
    def tls(self) -> TlsSettings | None:
        if not self.uses_tls:
            return None
        return TlsSettings(
            verify=self.verify_tls,
            server_name=bare_host(re.sub(r":\d+$", "", self.authority)),
            client_certificate=self.client_certificate,
            client_key=self.client_key,
            alpn=("h2",),
        )


class GrpcCheck:
    """Asks a gRPC server's health service."""

    kind: ClassVar[str] = "grpc"
    label: ClassVar[Text] = _("gRPC")
    help: ClassVar[Text] = _("Asks a gRPC server's standard health service.")
    icon: ClassVar[str] = "api"
    group: ClassVar[Group] = Group.WEB
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = GrpcConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "grpc_not_serving": (
            _("The service says that it is %(status)s."),
            _("Look at the service; it takes no requests itself."),
        ),
        "grpc_unknown_service": (
            _("The server has no service named “%(service)s”."),
            _("Check the name as the server registers it with its health service."),
        ),
        "grpc_no_health": (
            _("The server has no health service."),
            _("Add grpc.health.v1.Health to the server; every gRPC library brings it."),
        ),
        "grpc_status": (
            _("The server answered %(status)s (%(message)s)."),
            _("Look at the server, and at the metadata that this check sends."),
        ),
        "grpc_no_http2": (
            _("The server does not offer HTTP/2, which gRPC needs."),
            _("Check the port, and that what stands between speaks HTTP/2 (ALPN h2)."),
        ),
        "grpc_broken": (
            _("The answer is not gRPC (%(detail)s)."),
            _("Check the port and what listens there."),
        ),
        "grpc_ended": (
            _("The server ended the call (%(detail)s)."),
            _("Look at the server and at what stands between."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {"status": Fact(_("Health")), "grpc_status": Fact(_("gRPC status"))}

    def sample(self) -> GrpcConfig:
        return GrpcConfig(
            host="grpc.example.com", service="shop.v1.Cart", metadata={"authorization": "Bearer a-long-token"}
        )

    def target(self, config: BaseConfig) -> str:
        wanted = cast("GrpcConfig", config)
        where = place(wanted.host, wanted.port)
        return f"{where}/{wanted.service}" if wanted.service else where

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("GrpcConfig", config)

        async def talk(findings: Findings) -> None:
            stream = await context.net.open(wanted.host, wanted.port, tls=wanted.tls)
            if wanted.uses_tls and stream.alpn() != "h2":
                raise ProbeFailure("grpc_no_http2")
            call = Call(stream, findings)
            await call.ask(wanted, timeout_seconds=context.timeout_seconds)
            await call.hear()
            call.judge(wanted)

        return await run_probe(context, talk)


class Call:
    """One call over a connection of its own."""

    def __init__(self, stream: Stream, findings: Findings) -> None:
        self._stream = stream
        self._findings = findings
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        self._goodbyes = Goodbyes(STREAM)
        self._events = 0
        self._headers: dict[bytes, bytes] = {}
        self._body = b""

    async def ask(self, wanted: GrpcConfig, *, timeout_seconds: float) -> None:
        """Send the whole request."""
        self._http.initiate_connection()
        self._http.send_headers(STREAM, _request_headers(wanted, timeout_seconds))
        self._http.send_data(STREAM, framed(health_request(wanted.service)), end_stream=True)
        await self._stream.write(self._http.data_to_send())

    async def hear(self) -> None:
        """Read up to the end of the answer."""
        preface = await self._stream.read_exactly(FRAME_HEAD)
        if preface[3] != SETTINGS:  # with which every HTTP/2 server begins; a line of text would make us wait for more
            raise ProbeFailure("wrong_protocol", {"answer": printable(preface, SHOWN)})
        data = preface
        while not self._take_all(data):
            if reply := self._http.data_to_send():
                await self._stream.write(reply)
            data = await self._stream.read_some(BITE)
            if not data:
                raise ProbeFailure("connection_lost")

    def _take_all(self, data: bytes) -> bool:
        """Take in what came; True at the end of the answer. What comes after it, such as a goodbye, no longer matters."""
        try:
            events = self._http.receive_data(self._goodbyes.taken_out(data))
            return any(self._take(event) for event in events)
        except ProtocolError as error:
            raise ProbeFailure("grpc_broken", {"detail": printable(str(error), SHOWN)}) from error

    def _take(self, event: Event) -> bool:
        """Keep what an event brings; True at the end of the answer."""
        self._events += 1
        if self._events > MAX_EVENTS:
            raise ProbeFailure("grpc_broken", {"detail": "frames without end"})
        if isinstance(event, ResponseReceived | TrailersReceived):
            self._headers.update(event.headers)
        elif isinstance(event, DataReceived):
            self._body += event.data or b""
            if len(self._body) > MAX_ANSWER:
                raise ProbeFailure("answer_too_large", {"limit": MAX_ANSWER})
        elif isinstance(event, StreamReset | ConnectionTerminated):
            raise ProbeFailure("grpc_ended", {"detail": _reason(event)})
        return isinstance(event, StreamEnded)

    def judge(self, wanted: GrpcConfig) -> None:
        """Look at the answer: HTTP's status first, then gRPC's, then what the service says."""
        status = self._headers.get(b":status", b"")
        self._findings.status_code = int(status[:3]) if status.isdigit() else None
        if status != b"200":
            values: dict[str, str | int] = {"status": printable(status, 10), "expected": "200"}
            raise ProbeFailure("status_mismatch", values)
        if not self._headers.get(b"content-type", b"").startswith(b"application/grpc"):
            raise ProbeFailure("grpc_broken", {"detail": printable(self._headers.get(b"content-type", b"-"), SHOWN)})
        self._judge_status(wanted)
        try:
            health = health_status(unframed(self._body))
        except Malformed as error:
            raise ProbeFailure("grpc_broken", {"detail": str(error)}) from error
        name = SERVING_NAMES.get(health, str(health))
        self._findings.details["status"] = name
        if health != SERVING:
            raise ProbeFailure("grpc_not_serving", {"status": name})

    def _judge_status(self, wanted: GrpcConfig) -> None:
        status = self._headers.get(b"grpc-status")
        if status is None:
            raise ProbeFailure("grpc_broken", {"detail": "grpc-status"})
        name = _status_name(status)
        self._findings.details["grpc_status"] = name
        if name == "OK":
            return
        if name == NOT_FOUND:
            raise ProbeFailure("grpc_unknown_service", {"service": wanted.service})
        if name == UNIMPLEMENTED:
            raise ProbeFailure("grpc_no_health")
        words = unquote(self._headers.get(b"grpc-message", b"")[: SHOWN * 4].decode("latin-1"), errors="replace")
        raise ProbeFailure("grpc_status", {"status": name, "message": printable(words, SHOWN) or "–"})


def _request_headers(wanted: GrpcConfig, timeout_seconds: float) -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "https" if wanted.uses_tls else "http"),
        (":path", METHOD),
        (":authority", wanted.shown_authority),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", USER_AGENT),
        ("grpc-timeout", f"{max(1, int(timeout_seconds * 1_000))}m"),
        *((name.lower(), value) for name, value in wanted.metadata.items()),
    ]


def _reason(event: StreamReset | ConnectionTerminated) -> str:
    code = event.error_code
    return str(getattr(code, "name", code))


def _status_name(status: bytes) -> str:
    number = int(status) if status.isdigit() and len(status) < 4 else -1
    return STATUS_NAMES[number] if 0 <= number < len(STATUS_NAMES) else printable(status, 10)


def framed(message: bytes) -> bytes:
    """Return a message as gRPC sends it: not compressed, with its length before it."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def unframed(body: bytes) -> bytes:
    """Return the one message in ``body``; raises `Malformed`."""
    if len(body) < 5 or body[0] != 0 or int.from_bytes(body[1:5], "big") != len(body) - 5:
        raise Malformed("message frame")
    return body[5:]


def health_request(service: str) -> bytes:
    """Return a ``HealthCheckRequest``: field 1 is the service's name; left out where empty, as Protocol Buffers do."""
    name = service.encode()
    return b"\x0a" + _varint(len(name)) + name if name else b""


def health_status(message: bytes) -> int:
    """Return the status in a ``HealthCheckResponse``: field 1, which is 0 where left out; raises `Malformed`."""
    return next((value for field, value in reversed(list(_numbers(message))) if field == 1), 0)


def _numbers(message: bytes) -> Iterator[tuple[int, int]]:
    """Yield field and value of every varint in a message, passing over fields of a later version."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = _read_varint(message, at)
            yield tag >> 3, value
        elif kind == BYTES:
            size, at = _read_varint(message, at)
            at += size
        elif kind in (FIXED32, FIXED64):
            at += 4 if kind == FIXED32 else 8
        else:
            raise Malformed("wire type")
    if at != len(message):
        raise Malformed("message cut short")


def _varint(number: int) -> bytes:
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for place_of, byte in enumerate(message[at : at + 10]):
        number |= (byte & 0x7F) << 7 * place_of
        if byte < 0x80:
            return number, at + place_of + 1
    raise Malformed("number")
