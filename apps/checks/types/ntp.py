"""The NTP check: what time a server tells, and how sure it is of it (RFC 5905, client mode)."""

import asyncio
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Datagrams, Fact, Group, Network, Outcome, ProbeContext, ProbeFailure
from apps.checks.types.hosts import NetworkConfig, bare_host, host_setting, place, port_setting
from apps.checks.types.messages import Message
from apps.checks.types.probing import Findings, run_probe
from apps.core import clock
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

# leap and mode, stratum, poll, precision, root delay, root dispersion, reference, and four times
PACKET = struct.Struct("!BBbbII4sQQQQ")
CLIENT_4 = 4 << 3 | 3
SERVER = 4
UNSYNCHRONISED = 3
TO_1900 = 2_208_988_800  # seconds from NTP's beginning to Unix's
SHORT = 65_536  # parts of a second in NTP's short format
REFUSALS = frozenset({"DENY", "RSTR", "RATE"})
TRIES = 3
TRY_SECONDS = 1.5


@dataclass(frozen=True, kw_only=True)
class NtpConfig(NetworkConfig):
    """Which time server an NTP check asks, and what it bears."""

    host: str = host_setting(placeholder="pool.ntp.org")
    port: int = port_setting(123)
    max_offset_ms: int = setting(
        500,
        label=_("Greatest offset (ms)"),
        help=_("Compared with the clock of the machine that checks."),
        low=1,
        high=86_400_000,
    )
    max_stratum: int = setting(
        15, label=_("Greatest stratum"), help=_("How many servers away a reference clock may be."), low=1, high=15
    )
    max_dispersion_ms: int = setting(
        0,
        label=_("Greatest root dispersion (ms)"),
        help=_("How unsure the server may be of its own time. 0: no limit."),
        low=0,
        high=100_000,
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """What a server said, in milliseconds where nothing else is named."""

    stratum: int
    leap: int
    reference: str
    offset_ms: float
    delay_ms: float
    root_delay_ms: float
    root_dispersion_ms: float


class NtpCheck:
    """Asks a time server for the time."""

    kind: ClassVar[str] = "ntp"
    label: ClassVar[Text] = _("NTP")
    help: ClassVar[Text] = _("Asks a time server; judges offset, stratum and dispersion.")
    icon: ClassVar[str] = "clock-check"
    group: ClassVar[Group] = Group.NETWORK
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = NtpConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "ntp_refused": (
            _("The time server refuses to serve us (%(code)s)."),
            _("Ask less often, or have the server allow it."),
        ),
        "ntp_unsynchronised": (
            _("The time server has no time to tell: it is not synchronised."),
            _("Check its own sources."),
        ),
        "ntp_stratum": (
            _("The server's stratum is %(stratum)s; %(limit)s is the most."),
            _("Check which source it follows."),
        ),
        "ntp_offset": (
            _("The server's clock is off by %(offset)s ms; %(limit)s ms are borne."),
            _("Check its sources; and the clock of the machine that checks, where several servers seem wrong."),
        ),
        "ntp_dispersion": (
            _("The server may be wrong by %(dispersion)s ms; %(limit)s ms are borne."),
            _("Check its sources and the network to them."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "offset_ms": Fact(_("Offset"), _("ms")),
        "delay_ms": Fact(_("Round trip"), _("ms")),
        "stratum": Fact(_("Stratum")),
        "reference": Fact(_("Reference")),
        "root_delay_ms": Fact(_("Root delay"), _("ms")),
        "root_dispersion_ms": Fact(_("Root dispersion"), _("ms")),
    }

    def sample(self) -> NtpConfig:
        return NtpConfig(host="pool.ntp.org", max_offset_ms=100, max_stratum=4)

    def target(self, config: BaseConfig) -> str:
        wanted = cast("NtpConfig", config)
        return place(wanted.host, wanted.port)

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("NtpConfig", config)

        async def talk(findings: Findings) -> None:
            reading = await _ask(context.net, wanted)
            findings.details.update(_facts(reading))
            _judge(wanted, reading)

        return await run_probe(context, talk)


async def _ask(net: Network, wanted: NtpConfig) -> Reading:
    """Ask up to three times: a lost datagram says nothing of the server."""
    line = await net.open_datagrams(bare_host(wanted.host), wanted.port)
    for attempt in range(TRIES):
        try:
            async with asyncio.timeout(TRY_SECONDS if attempt + 1 < TRIES else None):
                return await _exchange(line)
        except TimeoutError:
            continue
    raise ProbeFailure("timeout")


async def _exchange(line: Datagrams) -> Reading:
    # Random instead of our time: it comes back with the answer, and nobody else can know it.
    cookie = int.from_bytes(os.urandom(8))
    sent_at, began = clock.now().timestamp(), perf_counter()
    await line.send(PACKET.pack(CLIENT_4, 0, 0, 0, 0, 0, b"", 0, 0, 0, cookie))
    while True:
        answer = await line.receive()
        took = perf_counter() - began
        if len(answer) < PACKET.size:
            raise ProbeFailure("wrong_protocol", {"answer": f"{len(answer)} bytes"})
        fields = PACKET.unpack_from(answer)
        if fields[8] == cookie and fields[0] & 7 == SERVER:
            return _read(fields, sent_at, took)


def _read(fields: tuple[Any, ...], sent_at: float, took: float) -> Reading:
    flags, stratum, _poll, _precision, root_delay, dispersion, reference, _set, _cookie, received, answered = fields
    sent, heard = _timestamp(sent_at), _timestamp(sent_at + took)
    held = _between(received, answered)
    return Reading(
        stratum=stratum,
        leap=flags >> 6,
        reference=_reference(stratum, reference),
        offset_ms=round((_between(sent, received) + _between(heard, answered)) * 500, 3),
        delay_ms=round((took - held) * 1_000, 3),
        root_delay_ms=round(root_delay * 1_000 / SHORT, 3),
        root_dispersion_ms=round(dispersion * 1_000 / SHORT, 3),
    )


def _timestamp(unix: float) -> int:
    return int((unix + TO_1900) * 2**32) & 0xFFFF_FFFF_FFFF_FFFF


def _between(start: int, end: int) -> float:
    """Return the seconds between two times, read as the nearest of all eras: the second one begins in 2036."""
    return ((end - start + 2**63) % 2**64 - 2**63) / 2**32


def _reference(stratum: int, reference: bytes) -> str:
    """Return the reference clock's name, or the address (or its hash) that the server follows."""
    if stratum <= 1:
        return "".join(chr(byte) for byte in reference if 32 < byte < 127)
    return ".".join(map(str, reference))


def _facts(reading: Reading) -> dict[str, Any]:
    return {
        "offset_ms": reading.offset_ms,
        "delay_ms": reading.delay_ms,
        "stratum": reading.stratum,
        "reference": reading.reference,
        "root_delay_ms": reading.root_delay_ms,
        "root_dispersion_ms": reading.root_dispersion_ms,
    }


def _judge(wanted: NtpConfig, reading: Reading) -> None:
    # A "kiss of death" says why (RFC 5905, 7.4); most of its codes, such as INIT, say that there is no time yet.
    if reading.stratum == 0 and reading.reference in REFUSALS:
        raise ProbeFailure("ntp_refused", {"code": reading.reference})
    if reading.leap == UNSYNCHRONISED or not 1 <= reading.stratum <= 15:
        raise ProbeFailure("ntp_unsynchronised")
    if reading.stratum > wanted.max_stratum:
        raise ProbeFailure("ntp_stratum", {"stratum": reading.stratum, "limit": wanted.max_stratum})
    if abs(reading.offset_ms) > wanted.max_offset_ms:
        raise ProbeFailure("ntp_offset", {"offset": f"{reading.offset_ms:g}", "limit": wanted.max_offset_ms})
    if wanted.max_dispersion_ms and reading.root_dispersion_ms > wanted.max_dispersion_ms:
        raise ProbeFailure(
            "ntp_dispersion", {"dispersion": f"{reading.root_dispersion_ms:g}", "limit": wanted.max_dispersion_ms}
        )
