"""The SSH check: the server's greeting, and that it still holds the host key that people trust."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, Outcome, ProbeContext, ProbeFailure, Stream
from apps.checks.types.hosts import NetworkConfig, bare_host, host_setting, place, port_setting
from apps.checks.types.messages import Message
from apps.checks.types.probing import Findings, run_probe
from apps.checks.types.ssh_keys import SIGNATURES, prove_host_key
from apps.checks.types.texts import printable
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

OUR_LINE = b"SSH-2.0-Obsera"
SHOWN = 200
MAX_LINES = 50  # that a server may say before its greeting (RFC 4253, section 4.2)
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}=?")
KEY_LABELS = {"ed25519": "Ed25519", "ecdsa": "ECDSA", "rsa": "RSA"}


def _check_fingerprint(text: str) -> None:
    if not FINGERPRINT.fullmatch(text):
        raise ValidationError(_("Give it as ssh-keygen -l shows it: SHA256: and 43 characters."), code="fingerprint")


@dataclass(frozen=True, kw_only=True)
class SshConfig(NetworkConfig):
    """Which SSH server is greeted, and what it should be."""

    host: str = host_setting()
    port: int = port_setting(22)
    banner: str = setting(
        "",
        label=_("Greeting contains"),
        help=_("Such as OpenSSH_9. Empty: any SSH server will do."),
        max_length=200,
    )
    fingerprint: str = setting(
        "",
        label=_("Host key's fingerprint"),
        help=_("As ssh-keygen -l shows it. The server must prove that it holds this key."),
        max_length=60,
        placeholder="SHA256:…",
        check=_check_fingerprint,
    )
    key_kind: str = setting(
        "", label=_("Host key's kind"), choices=(("", _("What the server has")), *KEY_LABELS.items())
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        errors.pop("key_kind", None)
        return errors

    @property
    def kinds(self) -> tuple[str, ...]:
        return (self.key_kind,) if self.key_kind else tuple(SIGNATURES)


class SshCheck:
    """Greets an SSH server; nobody logs in."""

    kind: ClassVar[str] = "ssh"
    label: ClassVar[Text] = _("SSH")
    help: ClassVar[Text] = _("Reads an SSH server's greeting and can prove its host key. Nobody logs in.")
    icon: ClassVar[str] = "terminal-2"
    group: ClassVar[Group] = Group.NETWORK
    is_probed: ClassVar[bool] = True
    Config: ClassVar[type[BaseConfig]] = SshConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "ssh_banner_unmet": (
            _("The server greets with “%(banner)s”, without “%(expected)s”."),
            _("Look at the server's version, or change what is expected."),
        ),
        "ssh_old_protocol": (
            _("The server speaks an old protocol only (%(banner)s)."),
            _("Replace it: version 1 has been broken for long."),
        ),
        "ssh_no_key": (
            _("The server has no host key of the expected kind, or no way to exchange keys that we know."),
            _("Choose another kind, or enable curve25519-sha256 at the server."),
        ),
        "ssh_key_unproven": (
            _("The server shows a host key that it does not hold."),
            _("Find out who answers at this address."),
        ),
        "ssh_key_unmet": (
            _("The host key is another one: %(fingerprint)s."),
            _("If the server was set up anew, enter the new fingerprint; otherwise find out who answers here."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "banner": Fact(_("Greeting")),
        "fingerprint": Fact(_("Host key's fingerprint")),
    }

    def sample(self) -> SshConfig:
        return SshConfig(host="bastion.example.com", banner="OpenSSH")

    def target(self, config: BaseConfig) -> str:
        wanted = cast("SshConfig", config)
        return place(wanted.host, wanted.port)

    async def probe(self, config: BaseConfig, context: ProbeContext) -> Outcome:
        wanted = cast("SshConfig", config)

        async def talk(findings: Findings) -> None:
            stream = await context.net.open(bare_host(wanted.host), wanted.port)
            greeting = await _greeting(stream)
            banner = findings.details["banner"] = printable(greeting, SHOWN)
            if not greeting.startswith((b"SSH-2.0-", b"SSH-1.99-")):
                raise ProbeFailure("ssh_old_protocol", {"banner": banner})
            if wanted.banner not in banner:
                raise ProbeFailure("ssh_banner_unmet", {"banner": banner, "expected": wanted.banner})
            await stream.write(OUR_LINE + b"\r\n")
            if not wanted.fingerprint and not wanted.key_kind:
                return
            found = await prove_host_key(stream, OUR_LINE, greeting, wanted.kinds)
            findings.details["fingerprint"] = found
            if wanted.fingerprint and found != wanted.fingerprint.rstrip("="):
                raise ProbeFailure("ssh_key_unmet", {"fingerprint": found})

        return await run_probe(context, talk)


async def _greeting(stream: Stream) -> bytes:
    """Return the server's version line without its end; it may say other things before."""
    line = b""
    for _line in range(MAX_LINES):
        try:
            line = (await stream.read_until(b"\n", limit=1_024)).rstrip(b"\r\n")
        except ProbeFailure as failure:
            if failure.code != "answer_too_large":
                raise
            break
        if line.startswith(b"SSH-"):
            return line
    raise ProbeFailure("wrong_protocol", {"answer": printable(line, SHOWN) or "–"})
