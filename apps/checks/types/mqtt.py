"""The MQTT check: a connection to a broker, and where wanted a message to a topic and back."""

import asyncio
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, ProbeContext, ProbeFailure, Stream
from apps.checks.types.hosts import port_setting
from apps.checks.types.messages import Message
from apps.checks.types.service import (
    ServiceCheck,
    ServiceConfig,
    connect,
    line_setting,
    login_refused,
    part,
    service_error,
    shown,
    wrong_protocol,
)
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

MAX_PACKET = 262_144
MAX_PACKETS = 1_000
SHARE_OF_TIME = 0.8  # that a message may take to come back, so that its absence can be named
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 0x10, 0x20, 0x32, 0x40, 0x82, 0x90, 0xE0
SUBSCRIPTION, MESSAGE = 1, 2  # numbers of our packets
REFUSED = 0x80
LOGIN_CODES = {"3.1.1": frozenset({4, 5}), "5": frozenset({0x86, 0x87, 0x8C})}
VERSION_CODES = frozenset({0x01, 0x84})
WORDS = {
    1: "unacceptable protocol version",
    2: "identifier rejected",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorized",
    0x80: "unspecified error",
    0x84: "unsupported protocol version",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8C: "bad authentication method",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x97: "quota exceeded",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9F: "connection rate exceeded",
}


@dataclass(frozen=True, kw_only=True)
class MqttConfig(ServiceConfig):
    """Which broker is asked, in which version, and over which topic a message goes."""

    port: int = port_setting(1883)
    version: str = setting("3.1.1", label=_("Version"), choices=(("3.1.1", "MQTT 3.1.1"), ("5", "MQTT 5")))
    client_id: str = line_setting(
        label=_("Client ID"),
        help=_("Empty takes a new one each time, which is right unless the broker asks for a certain one."),
        max_length=200,
    )
    topic: str = line_setting(
        label=_("Topic"),
        help=_("A short message is sent to it and must come back. Choose one that nobody else listens to."),
        max_length=500,
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if any(sign in self.topic for sign in "+#"):
            errors["topic"] = _("Give one topic without + and #.")
        return errors


class MqttCheck(ServiceCheck):
    """Connects to an MQTT broker and where wanted sends itself a message."""

    kind: ClassVar[str] = "mqtt"
    label: ClassVar[Text] = _("MQTT")
    help: ClassVar[Text] = _("Connects to an MQTT broker, logs in, and sends itself a message over a topic.")
    icon: ClassVar[str] = "broadcast"
    group: ClassVar[Group] = Group.BROKER
    Config: ClassVar[type[BaseConfig]] = MqttConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "mqtt_version_refused": (
            _("The broker does not speak MQTT %(version)s."),
            _("Choose the other version, or bring the broker up to date."),
        ),
        "mqtt_topic_refused": (
            _("The broker refuses the topic %(topic)s (%(answer)s)."),
            _("Check what the user may read and write."),
        ),
        "mqtt_no_echo": (
            _("The message to %(topic)s did not come back."),
            _("Check what the user may read and write, and the broker's queues."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {"round_trip": Fact(_("Message's round trip"), _("ms"))}

    def sample(self) -> MqttConfig:
        return MqttConfig(host="mqtt.example.com", username="probe", password="a-password", topic="probe/echo")  # noqa: S106

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("MqttConfig", config)
        stream = await connect(context, wanted)
        await stream.write(_packet(CONNECT, _introduction(wanted)))
        tag, body = await _read(stream)
        if tag != CONNACK or len(body) < 2:
            raise wrong_protocol(bytes([tag]) + body[:80])
        _judge_connection(wanted, body[1])
        if wanted.topic:
            try:
                async with asyncio.timeout(context.timeout_seconds * SHARE_OF_TIME):
                    facts["round_trip"] = await _round_trip(stream, wanted)
            except TimeoutError as error:
                raise ProbeFailure("mqtt_no_echo", {"topic": wanted.topic}) from error
        await part(stream, _packet(DISCONNECT, b""))


def _introduction(wanted: MqttConfig) -> bytes:
    """Return the body of CONNECT: a clean session that leaves nothing behind."""
    flags = 0x02 | (0x80 if wanted.username else 0) | (0x40 if wanted.password else 0)
    head = _text("MQTT") + struct.pack("!BBH", 5 if wanted.version == "5" else 4, flags, 60)
    names = [wanted.client_id or f"obsera-{secrets.token_hex(8)}"]
    names += [text for text in (wanted.username, wanted.password) if text]
    return head + _properties(wanted) + b"".join(_text(name) for name in names)


def _judge_connection(wanted: MqttConfig, code: int) -> None:
    if code == 0:
        return
    if code in VERSION_CODES:
        raise ProbeFailure("mqtt_version_refused", {"version": wanted.version})
    if code in LOGIN_CODES[wanted.version]:
        raise login_refused(_words(code))
    raise service_error(_words(code))


async def _round_trip(stream: Stream, wanted: MqttConfig) -> float:
    """Subscribe, publish, and return the milliseconds until the message is back."""
    payload = f"obsera {secrets.token_hex(8)}".encode()
    numbered = struct.pack("!H", SUBSCRIPTION) + _properties(wanted)
    await stream.write(_packet(SUBSCRIBE, numbered + _text(wanted.topic) + b"\0"))
    code = (await _await(stream, SUBACK, SUBSCRIPTION, wanted))[-1]
    if code >= REFUSED:
        raise ProbeFailure("mqtt_topic_refused", {"topic": wanted.topic, "answer": _words(code)})
    began = perf_counter()
    named = _text(wanted.topic) + struct.pack("!H", MESSAGE) + _properties(wanted)
    await stream.write(_packet(PUBLISH, named + payload))
    for _number in range(MAX_PACKETS):
        tag, body = await _read(stream)
        if tag & 0xF0 == PUBLISH & 0xF0 and body.startswith(_text(wanted.topic)) and body.endswith(payload):
            return round((perf_counter() - began) * 1_000, 2)
        if tag == PUBACK and len(body) > 2 and body[2] >= REFUSED:
            raise ProbeFailure("mqtt_topic_refused", {"topic": wanted.topic, "answer": _words(body[2])})
        _judge_end(tag, body)
    raise ProbeFailure("mqtt_no_echo", {"topic": wanted.topic})


async def _await(stream: Stream, wanted_tag: int, number: int, wanted: MqttConfig) -> bytes:
    """Return the answer to our packet; messages that come in between are passed over."""
    for _number in range(MAX_PACKETS):
        tag, body = await _read(stream)
        if tag == wanted_tag and body[:2] == struct.pack("!H", number) and len(body) > 2:
            return body
        _judge_end(tag, body)
        if tag & 0xF0 != PUBLISH & 0xF0:
            break
    raise wrong_protocol()


def _judge_end(tag: int, body: bytes) -> None:
    if tag == DISCONNECT:
        raise service_error(_words(body[0] if body else 0))


async def _read(stream: Stream) -> tuple[int, bytes]:
    """Return the next packet's first byte and body."""
    tag = (await stream.read_exactly(1))[0]
    size = 0
    for shift in (0, 7, 14, 21):
        byte = (await stream.read_exactly(1))[0]
        size |= (byte & 0x7F) << shift
        if byte < REFUSED:
            break
    else:
        raise wrong_protocol(bytes([tag]))
    if size > MAX_PACKET:
        raise wrong_protocol(bytes([tag]))
    return tag, await stream.read_exactly(size)


def _packet(tag: int, body: bytes) -> bytes:
    size, head = len(body), bytearray([tag])
    while True:
        size, digit = divmod(size, 128)
        head.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(head) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("!H", len(data)) + data


def _properties(wanted: MqttConfig) -> bytes:
    """Return an empty list of properties, which MQTT 5 has and 3.1.1 has not."""
    return b"\0" if wanted.version == "5" else b""


def _words(code: int) -> str:
    return shown(f"{code}: {WORDS[code]}" if code in WORDS else str(code))
