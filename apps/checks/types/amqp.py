"""The AMQP check: a connection to RabbitMQ or another broker of AMQP 0-9-1, and where wanted a look at a queue."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
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
    shown,
    wrong_protocol,
)
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

GREETING = b"AMQP\x00\x00\x09\x01"
MAX_FRAME = 262_144
MAX_FRAMES = 100
FRAME_END = 0xCE
LONGEST_NAME = 255  # bytes
METHOD_FRAME, HEARTBEAT_FRAME = 1, 8
START, START_OK, TUNE, TUNE_OK = (10, 10), (10, 11), (10, 30), (10, 31)
OPEN, OPEN_OK, CLOSE = (10, 40), (10, 41), (10, 50)
CHANNEL_OPEN, CHANNEL_OPEN_OK, CHANNEL_CLOSE = (20, 10), (20, 11), (20, 40)
QUEUE_DECLARE, QUEUE_DECLARE_OK = (50, 10), (50, 11)
PASSIVE = b"\x01"  # only ask; never make a queue
# How long a value of each type in a table is; others tell their length in four bytes.
WIDTHS = {
    "t": 1,
    "b": 1,
    "B": 1,
    "s": 2,
    "u": 2,
    "I": 4,
    "i": 4,
    "f": 4,
    "D": 5,
    "l": 8,
    "L": 8,
    "T": 8,
    "d": 8,
    "V": 0,
}
ACCESS_REFUSED, NOT_FOUND, NOT_ALLOWED = 403, 404, 530


@dataclass(frozen=True, kw_only=True)
class AmqpConfig(ServiceConfig):
    """Which broker is asked, and what its queue must look like."""

    port: int = port_setting(5672)
    username: str = line_setting(label=_("User"), default="guest", max_length=255)
    vhost: str = line_setting(label=_("Virtual host"), default="/", max_length=255)
    queue: str = line_setting(
        label=_("Queue"), help=_("Fail when it is missing. Its messages stay untouched."), max_length=255
    )
    max_messages: int = setting(
        -1,
        label=_("Most messages"),
        help=_("Fail when more messages wait in the queue; -1 sets no limit."),
        low=-1,
        high=2_000_000_000,
    )
    min_consumers: int = setting(
        0, label=_("Fewest consumers"), help=_("Fail when fewer read from the queue."), low=0, high=1_000_000
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if not self.username:
            errors["username"] = _("AMQP wants a user.")
        for name in ("vhost", "queue"):
            if len(getattr(self, name).encode()) > LONGEST_NAME:
                errors[name] = _("At most 255 bytes fit, and letters beyond ASCII take several.")
        if not self.queue and not errors and (self.max_messages >= 0 or self.min_consumers):
            errors["queue"] = _("Say which queue has these limits.")
        return errors


class AmqpCheck(ServiceCheck):
    """Logs in to an AMQP broker and looks at a queue without touching it."""

    kind: ClassVar[str] = "amqp"
    label: ClassVar[Text] = _("RabbitMQ (AMQP)")
    help: ClassVar[Text] = _("Logs in to an AMQP 0-9-1 broker and judges how many wait in a queue and read from it.")
    icon: ClassVar[str] = "arrows-shuffle"
    group: ClassVar[Group] = Group.BROKER
    Config: ClassVar[type[BaseConfig]] = AmqpConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "amqp_vhost_refused": (
            _("The virtual host %(vhost)s cannot be opened (%(answer)s)."),
            _("Check that it exists and what the user may open."),
        ),
        "amqp_queue_missing": (_("The queue %(queue)s is missing."), _("Look at what should declare it.")),
        "amqp_queue_long": (
            _("%(count)s messages wait in %(queue)s; at most %(limit)s are wanted."),
            _("Look at the consumers: they are too few, too slow, or failing."),
        ),
        "amqp_consumers_missing": (
            _("%(count)s consumers read from %(queue)s; at least %(limit)s are wanted."),
            _("Start the consumers, or look at why they left."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "product": Fact(_("Broker")),
        "version": Fact(_("Server version")),
        "messages": Fact(_("Messages waiting")),
        "consumers": Fact(_("Consumers")),
    }

    def sample(self) -> AmqpConfig:
        return AmqpConfig(host="mq.example.com", username="probe", password="a-password", queue="orders")  # noqa: S106

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("AmqpConfig", config)
        stream = await connect(context, wanted)
        await _log_in(stream, wanted, facts)
        if wanted.queue:
            await _look_at_queue(stream, wanted, facts)
        await part(stream, _frame(0, CLOSE, struct.pack("!H", 200) + _short("") + struct.pack("!HH", 0, 0)))


async def _log_in(stream: Stream, wanted: AmqpConfig, facts: dict[str, Any]) -> None:
    await stream.write(GREETING)
    start = await _expect(stream, START)
    about, rest = _table(start[2:])
    facts["product"], facts["version"] = about.get("product", ""), about.get("version", "")
    mechanisms = _long_text(rest)[0].split(b" ")
    if b"PLAIN" not in mechanisms:
        raise ProbeFailure("login_unsupported", {"offered": shown(b" ".join(mechanisms)) or "–"})
    proof = f"\0{wanted.username}\0{wanted.password}".encode()
    await stream.write(_frame(0, START_OK, _client_table() + _short("PLAIN") + _long(proof) + _short("en_US")))
    try:
        tune = await _expect(stream, TUNE)
    except _Closed as closed:
        if closed.number != ACCESS_REFUSED:
            raise
        raise login_refused(closed.words) from closed
    except ProbeFailure as failure:
        if failure.code == "connection_lost":  # brokers that do not say why: the protocol's older custom
            raise login_refused("") from failure
        raise
    if len(tune) != 8:
        raise wrong_protocol(tune)
    await stream.write(_frame(0, TUNE_OK, tune[:6] + b"\0\0"))  # without heartbeats
    await stream.write(_frame(0, OPEN, _short(wanted.vhost) + _short("") + b"\0"))
    try:
        await _expect(stream, OPEN_OK)
    except _Closed as closed:
        if closed.number not in (ACCESS_REFUSED, NOT_ALLOWED, NOT_FOUND):
            raise
        raise ProbeFailure("amqp_vhost_refused", {"vhost": wanted.vhost, "answer": closed.words}) from closed


async def _look_at_queue(stream: Stream, wanted: AmqpConfig, facts: dict[str, Any]) -> None:
    await stream.write(_frame(1, CHANNEL_OPEN, _short("")))
    try:
        await _expect(stream, CHANNEL_OPEN_OK)
        await stream.write(_frame(1, QUEUE_DECLARE, b"\0\0" + _short(wanted.queue) + PASSIVE + b"\0\0\0\0"))
        found = await _expect(stream, QUEUE_DECLARE_OK)
    except _Closed as closed:
        if closed.number != NOT_FOUND:
            raise
        raise ProbeFailure("amqp_queue_missing", {"queue": wanted.queue}) from closed
    counts = found[1 + found[0] :] if found else b""
    if len(counts) != 8:
        raise wrong_protocol(found)
    messages, consumers = struct.unpack("!II", counts)
    facts["messages"], facts["consumers"] = messages, consumers
    if 0 <= wanted.max_messages < messages:
        values = {"count": messages, "queue": wanted.queue, "limit": wanted.max_messages}
        raise ProbeFailure("amqp_queue_long", values)
    if consumers < wanted.min_consumers:
        values = {"count": consumers, "queue": wanted.queue, "limit": wanted.min_consumers}
        raise ProbeFailure("amqp_consumers_missing", values)


class _Closed(ProbeFailure):
    """The broker closed the connection or the channel, and said why."""

    def __init__(self, number: int, text: bytes) -> None:
        self.number = number
        self.words = shown(f"{number}: ".encode() + text)
        super().__init__("service_error", {"answer": self.words})


async def _expect(stream: Stream, wanted: tuple[int, int]) -> bytes:
    """Return the arguments of the next method, which must be ``wanted``; raises `_Closed` where the broker ends it."""
    for _number in range(MAX_FRAMES):
        head = await stream.read_exactly(7)
        size = int.from_bytes(head[3:], "big")
        if head.startswith(b"AMQP") or head[0] not in (METHOD_FRAME, HEARTBEAT_FRAME) or size > MAX_FRAME:
            raise wrong_protocol(head)
        body = await stream.read_exactly(size + 1)
        if body[-1] != FRAME_END:
            raise wrong_protocol(head)
        if head[0] == HEARTBEAT_FRAME:
            continue
        if size < 4:
            raise wrong_protocol(head)
        method, arguments = struct.unpack("!HH", body[:4]), body[4:-1]
        if method in (CLOSE, CHANNEL_CLOSE) and len(arguments) > 3:
            raise _Closed(int.from_bytes(arguments[:2], "big"), arguments[3 : 3 + arguments[2]])
        if method != wanted:
            raise wrong_protocol(f"{method[0]}.{method[1]}")
        return arguments
    raise wrong_protocol()


def _frame(channel: int, method: tuple[int, int], arguments: bytes) -> bytes:
    body = struct.pack("!HH", *method) + arguments
    return struct.pack("!BHI", METHOD_FRAME, channel, len(body)) + body + bytes([FRAME_END])


def _short(text: str) -> bytes:
    data = text.encode()
    return bytes([len(data)]) + data


def _long(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def _client_table() -> bytes:
    """Return what we are, and the wish to be told of a refused login instead of being hung up on."""
    abilities = _short("authentication_failure_close") + b"t\x01"
    return _long(_short("product") + b"S" + _long(b"obsera") + _short("capabilities") + b"F" + _long(abilities))


def _long_text(data: bytes) -> tuple[bytes, bytes]:
    """Return a text that tells its length in four bytes, and what follows."""
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise wrong_protocol(data[:80])
    return data[4 : 4 + size], data[4 + size :]


def _table(data: bytes) -> tuple[dict[str, str], bytes]:
    """Return the texts of a table, and what follows the table; values of other types are passed over."""
    entries, rest = _long_text(data)
    found: dict[str, str] = {}
    while entries:
        name, entries = entries[1 : 1 + entries[0]], entries[1 + entries[0] :]
        tag, entries = entries[:1].decode("latin-1"), entries[1:]
        if tag in WIDTHS:
            entries = entries[WIDTHS[tag] :]
        elif tag in {"S", "x", "A", "F"}:
            value, entries = _long_text(entries)
            if tag == "S":
                found[shown(name)] = shown(value)
        else:
            raise wrong_protocol(name)
    return found, rest
