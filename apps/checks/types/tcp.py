"""The TCP check: a port that takes connections, and says what a script wants to hear."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, Outcome, ProbeContext, ProbeFailure, Stream, TlsSettings
from apps.checks.types.figures import Figure, failed_by_pattern
from apps.checks.types.hosts import NetworkConfig, bare_host, host_setting, place, port_setting
from apps.checks.types.messages import Message
from apps.checks.types.patterns import PatternTooSlow, bounded_search
from apps.checks.types.probing import Findings, run_probe
from apps.checks.types.said import secrets_said
from apps.checks.types.script import Expect, Send, StartTls, Step, check_script, parse_script
from apps.checks.types.texts import printable
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

SEARCH_SECONDS = 0.25  # for all searches of one conversation, since each new piece is searched anew
MAX_HEARD = 65_536  # bytes that may come before what is expected
SHOWN = 200
PATTERN_ERRORS = frozenset({"script_unmet", "script_pattern_slow"})


@dataclass(frozen=True, kw_only=True)
class TcpConfig(NetworkConfig):
    """Where a TCP check connects, and what is said there."""

    host: str = host_setting()
    port: int = port_setting()
    tls: bool = setting(False, label=_("TLS"), help=_("Secure the connection before anything is said."))
    verify_tls: bool = setting(
        True,
        label=_("Verify the certificate"),
        help=_("Fail when the certificate is expired, unknown or for another name."),
    )
    server_name: str = setting(
        "", label=_("Server name"), help=_("Asked for in TLS instead of the host."), max_length=255
    )
    script: str = setting(
        "",
        label=_("Conversation"),
        help=_(
            'One step a line: send "text\\r\\n", expect "text", expect /pattern/, starttls. Each expect goes on where '
            "the last one ended. Empty: connecting is enough."
        ),
        widget=Widget.AREA,
        max_length=8_000,
        is_secret=True,
        check=check_script,
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        secures = [step for step in self.steps if isinstance(step, StartTls)]
        if len(secures) > (0 if self.tls else 1):
            errors["script"] = _("The connection can be secured once only.")
        return errors

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        return parse_script(self.script)

    @cached_property
    def made_secrets(self) -> tuple[str, ...]:
        """What the server may repeat of the conversation."""
        return tuple(secrets_said((step.data for step in self.steps if isinstance(step, Send)), host=self.host))

    @property
    def security(self) -> TlsSettings:
        return TlsSettings(verify=self.verify_tls, server_name=self.server_name)


class TcpCheck:
    """Connects to a port and follows a script."""

    kind: ClassVar[str] = "tcp"
    label: ClassVar[Text] = _("TCP port")
    help: ClassVar[Text] = _("Connects to a port; can say and expect lines of text, with or without TLS.")
    icon: ClassVar[str] = "plug-connected"
    group: ClassVar[Group] = Group.NETWORK
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = TcpConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "script_unmet": (
            _("Step %(step)s of the conversation did not hear %(expected)s, but “%(heard)s”."),
            _("Look at the service, or change the conversation."),
        ),
        "script_pattern_slow": (
            _("The pattern %(expected)s takes too long on this answer."),
            _("Write it without repetitions inside repetitions."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "heard": Fact(_("Last answer")),
        "tls_version": Fact(_("TLS version")),
    }

    def sample(self) -> TcpConfig:
        return TcpConfig(host="mail.example.com", port=25, script='expect "220 "\nsend "QUIT\\r\\n"\nexpect /^221/')

    def target(self, config: BaseConfig) -> str:
        wanted = cast("TcpConfig", config)
        return place(wanted.host, wanted.port)

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("TcpConfig", config)

        async def talk(findings: Findings) -> None:
            tls = wanted.security if wanted.tls else None
            stream = await context.net.open(bare_host(wanted.host), wanted.port, tls=tls)
            try:
                await _Conversation(stream, wanted, findings).run()
            finally:
                if stream.tls_version():
                    findings.details["tls_version"] = stream.tls_version()

        return await run_probe(context, talk)

    def figures(self, outcome: Outcome) -> Iterator[Figure]:
        yield failed_by_pattern(outcome, PATTERN_ERRORS)


class _Conversation:
    """A script being followed. What has been heard and not yet matched waits in ``_heard``."""

    def __init__(self, stream: Stream, wanted: TcpConfig, findings: Findings) -> None:
        self._stream = stream
        self._wanted = wanted
        self._findings = findings
        self._heard = b""
        self._search_seconds = SEARCH_SECONDS

    async def run(self) -> None:
        for number, step in enumerate(self._wanted.steps, 1):
            if isinstance(step, Send):
                await self._stream.write(step.data)
            elif isinstance(step, StartTls):
                if self._heard.strip():  # came in clear and would be read as if it had come protected
                    raise ProbeFailure("tls_failed", {"detail": "data before the handshake"})
                await self._stream.start_tls(self._wanted.security)
            else:
                await self._expect(step, number)

    async def _expect(self, step: Expect, number: int) -> None:
        while True:
            end = self._end_of_match(step)
            if end is not None:
                self._findings.details["heard"] = printable(self._heard[:end], SHOWN)
                self._heard = self._heard[end:]
                return
            if len(self._heard) >= MAX_HEARD:
                raise self._unmet(step, number)
            try:
                more = await self._stream.read_some(MAX_HEARD - len(self._heard))
            except ProbeFailure as failure:
                if not self._heard or failure.code not in {"transfer_timeout", "connection_lost"}:
                    raise
                raise self._unmet(step, number) from failure
            if not more:
                raise self._unmet(step, number) if self._heard else ProbeFailure("empty_response")
            self._heard += more

    def _end_of_match(self, step: Expect) -> int | None:
        """Return where the match of ``step`` ends in what was heard."""
        if step.text:
            at = self._heard.find(step.text)
            return None if at < 0 else at + len(step.text)
        text = self._heard.decode("utf-8", "surrogateescape")
        began = perf_counter()
        try:
            # By lines: what was heard begins in the middle of a conversation.
            match = bounded_search(step.pattern, text, seconds=max(0.001, self._search_seconds), by_lines=True)
        except PatternTooSlow as error:
            raise ProbeFailure("script_pattern_slow", {"expected": step.shown}) from error
        self._search_seconds -= perf_counter() - began
        return None if match is None else len(text[: match.end()].encode("utf-8", "surrogateescape"))

    def _unmet(self, step: Expect, number: int) -> ProbeFailure:
        heard = printable(self._heard, SHOWN)
        self._findings.details["heard"] = heard
        return ProbeFailure("script_unmet", {"step": number, "expected": step.shown, "heard": heard})
