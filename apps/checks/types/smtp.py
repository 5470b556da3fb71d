"""The SMTP check: greeting, encryption, login, and whether a letter would be taken; no letter is ever sent."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, ProbeContext, ProbeFailure, Stream
from apps.checks.types.hosts import port_setting
from apps.checks.types.messages import Message
from apps.checks.types.service import (
    Security,
    ServiceCheck,
    ServiceConfig,
    connect,
    line_setting,
    login_refused,
    part,
    security_setting,
    shown,
    shown_list,
    wrong_protocol,
)
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text

MAX_LINE = 4_096  # eight times what RFC 5321 allows
MAX_LINES = 100
REPLY_LINE = re.compile(rb"(\d{3})([ -]?)(.*)", re.DOTALL)
ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")
REFUSED_LOGINS = frozenset({432, 454, 530, 534, 535, 538})


def _check_address(value: str) -> None:
    if value and not ADDRESS.fullmatch(value):
        raise ValidationError(_("Give one e-mail address."), code="bad_address")


@dataclass(frozen=True, kw_only=True)
class SmtpConfig(ServiceConfig):
    """Which mail server is asked, and how far the conversation goes."""

    port: int = port_setting(25)
    security: str = security_setting(Security.STARTTLS, Security.NONE, Security.STARTTLS, Security.TLS)
    hello_name: str = line_setting(
        default="probe.invalid",
        label=_("Name in the greeting"),
        help=_("What the prober calls itself in EHLO; some servers want a name that exists."),
        max_length=255,
    )
    sender: str = line_setting(
        default="",
        label=_("Sender"),
        help=_("Used with the recipient below; empty stands for the empty return path."),
        max_length=320,
    )
    recipient: str = line_setting(
        default="",
        label=_("Recipient"),
        help=_("Fail unless the server would take a letter for this address. No letter is sent."),
        max_length=320,
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        for name in ("sender", "recipient"):
            try:
                _check_address(getattr(self, name))
            except ValidationError as error:
                errors[name] = error
        if self.sender and not self.recipient:
            errors["recipient"] = _("Say to whom this sender would write.")
        if not self.hello_name or " " in self.hello_name:
            errors["hello_name"] = _("Give one name without spaces.")
        return errors


class SmtpCheck(ServiceCheck):
    """Talks to a mail server up to the point where a letter would follow."""

    kind: ClassVar[str] = "smtp"
    label: ClassVar[Text] = _("SMTP")
    help: ClassVar[Text] = _(
        "Greets a mail server, secures the connection, logs in and asks whether it takes a letter."
    )
    icon: ClassVar[str] = "mail-forward"
    group: ClassVar[Group] = Group.MAIL
    Config: ClassVar[type[BaseConfig]] = SmtpConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "smtp_refused": (
            _("The mail server refused %(command)s (%(answer)s)."),
            _("Look at the mail server's log; a list of unwanted senders may hold the prober's address."),
        ),
        "smtp_recipient_refused": (
            _("The mail server would not take a letter for %(recipient)s (%(answer)s)."),
            _("Check the mailbox, its quota and the server's rules for this sender."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "banner": Fact(_("Greeting")),
        "extensions": Fact(_("Extensions")),
        "logins": Fact(_("Ways to log in")),
        "recipient_answer": Fact(_("Answer to the recipient")),
    }

    def sample(self) -> SmtpConfig:
        return SmtpConfig(host="mail.example.com", recipient="postmaster@example.com")

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("SmtpConfig", config)
        stream = await connect(context, wanted)
        banner = await _reply(stream)
        if banner.code != 220:
            raise _refused("CONNECT", banner) if banner.code >= 400 else wrong_protocol(banner.text)
        facts["banner"] = shown(banner.text)
        extensions = await _hello(stream, wanted)
        if wanted.security == Security.STARTTLS:
            if "STARTTLS" not in extensions:
                raise ProbeFailure("encryption_missing")
            await _expect(stream, b"STARTTLS", 220, name="STARTTLS")
            await stream.start_tls(wanted.tls)
            extensions = await _hello(stream, wanted)  # what was said before encryption counts no more
        facts["extensions"] = shown_list(extensions)
        facts["logins"] = shown_list(shown(extensions.get("AUTH", "")).split())
        if wanted.username:
            await _log_in(stream, wanted, extensions)
        if wanted.recipient:
            facts["recipient_answer"] = await _offer_letter(stream, wanted)
        await part(stream, b"QUIT\r\n")


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply's code, and its lines without the code."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return f"{self.code} {' '.join(self.lines)}"


async def _reply(stream: Stream) -> Reply:
    """Read one reply of one or many lines."""
    lines: list[str] = []
    for _number in range(MAX_LINES):
        line = (await stream.read_until(b"\n", limit=MAX_LINE)).rstrip(b"\r\n")
        found = REPLY_LINE.fullmatch(line)
        if found is None:
            raise wrong_protocol(line)
        lines.append(found[3].decode("utf-8", "replace"))
        if found[2] != b"-":
            return Reply(int(found[1]), tuple(lines))
    raise wrong_protocol(lines[-1])


async def _ask(stream: Stream, command: bytes) -> Reply:
    await stream.write(command + b"\r\n")
    return await _reply(stream)


async def _expect(stream: Stream, command: bytes, code: int, *, name: str) -> Reply:
    reply = await _ask(stream, command)
    if reply.code != code:
        raise _refused(name, reply)
    return reply


def _refused(command: str, reply: Reply) -> ProbeFailure:
    return ProbeFailure("smtp_refused", {"command": command, "answer": shown(reply.text)})


async def _hello(stream: Stream, wanted: SmtpConfig) -> dict[str, str]:
    """Return the extensions that the server offers, with their parameters."""
    reply = await _expect(stream, f"EHLO {wanted.hello_name}".encode(), 250, name="EHLO")
    words = (line.partition(" ") for line in reply.lines[1:])
    return {shown(name.upper()): parameters for name, _space, parameters in words}


async def _log_in(stream: Stream, wanted: SmtpConfig, extensions: Mapping[str, str]) -> None:
    ways = extensions.get("AUTH", "").upper().split()
    user, password = wanted.username.encode(), wanted.password.encode()
    if "PLAIN" in ways:
        reply = await _ask(stream, b"AUTH PLAIN " + base64.b64encode(b"\0" + user + b"\0" + password))
    elif "LOGIN" in ways:
        await _expect(stream, b"AUTH LOGIN", 334, name="AUTH")
        await _expect(stream, base64.b64encode(user), 334, name="AUTH")
        reply = await _ask(stream, base64.b64encode(password))
    else:
        raise ProbeFailure("login_unsupported", {"offered": shown(" ".join(ways)) or "–"})
    if reply.code in REFUSED_LOGINS:
        raise login_refused(reply.text)
    if reply.code != 235:
        raise _refused("AUTH", reply)


async def _offer_letter(stream: Stream, wanted: SmtpConfig) -> str:
    """Name sender and recipient, take both back, and return what was said to the recipient."""
    await _expect(stream, f"MAIL FROM:<{wanted.sender}>".encode(), 250, name="MAIL FROM")
    reply = await _ask(stream, f"RCPT TO:<{wanted.recipient}>".encode())
    if reply.code not in (250, 251):
        raise ProbeFailure("smtp_recipient_refused", {"recipient": wanted.recipient, "answer": shown(reply.text)})
    await _expect(stream, b"RSET", 250, name="RSET")
    return shown(reply.text)
