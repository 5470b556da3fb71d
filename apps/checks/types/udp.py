"""The UDP check: say something, and hear what was expected, or nothing at all."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Datagrams, Fact, Group, Outcome, ProbeContext, ProbeFailure
from apps.checks.types.hosts import NetworkConfig, bare_host, host_setting, place, port_setting
from apps.checks.types.messages import Message
from apps.checks.types.probing import Findings, run_probe
from apps.checks.types.said import secrets_said
from apps.checks.types.script import check_escapes, unescaped
from apps.checks.types.texts import printable
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

REFUSAL_SECONDS = 1.0  # in which a closed port's refusal arrives, where nothing else is waited for
SHOWN = 200


@dataclass(frozen=True, kw_only=True)
class UdpConfig(NetworkConfig):
    """Where a UDP check sends to, what, and what should come back."""

    host: str = host_setting()
    port: int = port_setting()
    payload: str = setting(
        label=_("Send"),
        help=_('Text with the escapes \\r \\n \\t \\0 \\\\ \\" \\xHH for bytes that cannot be typed.'),
        max_length=4_000,
        is_secret=True,
        check=check_escapes,
    )
    expected: str = setting(
        "",
        label=_("Expected answer"),
        help=_("Text that the answer must contain, with the same escapes. Empty: any answer will do."),
        max_length=1_000,
        check=check_escapes,
    )
    needs_answer: bool = setting(
        True,
        label=_("An answer is needed"),
        help=_("Without it, the check fails only where the port is reported closed."),
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if self.expected and not self.needs_answer:
            errors["expected"] = _("Say that an answer is needed, or leave this empty.")
        return errors

    @cached_property
    def data(self) -> bytes:
        return unescaped(self.payload)

    @cached_property
    def made_secrets(self) -> tuple[str, ...]:
        """What the server may repeat of the payload."""
        return tuple(secrets_said([self.data], host=self.host))

    @cached_property
    def wanted(self) -> bytes:
        return unescaped(self.expected)


class UdpCheck:
    """Sends one datagram and judges the answer."""

    kind: ClassVar[str] = "udp"
    label: ClassVar[Text] = _("UDP port")
    help: ClassVar[Text] = _("Sends a datagram and judges what comes back.")
    icon: ClassVar[str] = "broadcast"
    group: ClassVar[Group] = Group.NETWORK
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = UdpConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "udp_answer_unmet": (
            _("The answer does not contain “%(expected)s”, but “%(heard)s”."),
            _("Look at the service, or change what is expected."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {"heard": Fact(_("Answer"))}

    def sample(self) -> UdpConfig:
        return UdpConfig(host="game.example.com", port=27_015, payload="\\xff\\xff\\xff\\xffping")

    def target(self, config: BaseConfig) -> str:
        wanted = cast("UdpConfig", config)
        return place(wanted.host, wanted.port)

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("UdpConfig", config)

        async def talk(findings: Findings) -> None:
            line = await context.net.open_datagrams(bare_host(wanted.host), wanted.port)
            await line.send(wanted.data)
            if wanted.needs_answer:
                await _hear(line, wanted, findings)
            else:
                await _await_refusal(line, min(REFUSAL_SECONDS, context.timeout_seconds / 2))

        return await run_probe(context, talk)


async def _hear(line: Datagrams, wanted: UdpConfig, findings: Findings) -> None:
    """Take datagrams until one contains what is expected; the last of the others tells what came instead."""
    heard: str | None = None
    while True:
        try:
            answer = await line.receive()
        except ProbeFailure as failure:
            if heard is None or failure.code not in {"timeout", "transfer_timeout"}:
                raise
            raise ProbeFailure("udp_answer_unmet", {"expected": wanted.expected, "heard": heard}) from failure
        heard = findings.details["heard"] = printable(answer, SHOWN)
        if wanted.wanted in answer:
            return


async def _await_refusal(line: Datagrams, seconds: float) -> None:
    """Wait for the word that the port is closed; silence is good."""
    try:
        async with asyncio.timeout(seconds):
            await line.receive()
    except TimeoutError:
        return
