"""The POP3 check: greeting, capabilities, encryption, and a login that leaves every letter where it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, ProbeContext, ProbeFailure, Stream
from apps.checks.types.hosts import port_setting
from apps.checks.types.messages import Message
from apps.checks.types.service import (
    Security,
    ServiceCheck,
    ServiceConfig,
    connect,
    login_refused,
    part,
    security_setting,
    service_error,
    shown,
    shown_list,
    wrong_protocol,
)
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text

MAX_LINE = 4_096
MAX_LINES = 200
IN_USE = "[IN-USE]"  # RFC 2449, section 8.1.2: the login was right, and somebody else is reading


@dataclass(frozen=True, kw_only=True)
class Pop3Config(ServiceConfig):
    """Which mailbox server is asked, and who logs in."""

    port: int = port_setting(995)
    security: str = security_setting(Security.TLS, Security.NONE, Security.STARTTLS, Security.TLS)


class Pop3Check(ServiceCheck):
    """Greets a POP3 server, and where wanted logs in."""

    kind: ClassVar[str] = "pop3"
    label: ClassVar[Text] = _("POP3")
    help: ClassVar[Text] = _("Greets a mailbox server, secures the connection and logs in.")
    icon: ClassVar[str] = "mailbox"
    group: ClassVar[Group] = Group.MAIL
    Config: ClassVar[type[BaseConfig]] = Pop3Config
    messages: ClassVar[Mapping[str, Message]] = {}
    facts: ClassVar[Mapping[str, Fact]] = {
        "banner": Fact(_("Greeting")),
        "capabilities": Fact(_("Capabilities")),
        "letters": Fact(_("Letters in the mailbox")),
    }

    def sample(self) -> Pop3Config:
        return Pop3Config(host="mail.example.com", username="probe@example.com", password="a-password")  # noqa: S106

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("Pop3Config", config)
        stream = await connect(context, wanted)
        is_good, banner = await _answer(stream)
        if not is_good:
            raise service_error(banner)
        facts["banner"] = shown(banner)
        capabilities = await _capabilities(stream)
        if wanted.security == Security.STARTTLS:
            is_good, _words = await _ask(stream, "STLS")
            if not is_good:
                raise ProbeFailure("encryption_missing")
            await stream.start_tls(wanted.tls)
            capabilities = await _capabilities(stream)  # what was said before encryption counts no more
        facts["capabilities"] = shown_list(capabilities)
        if wanted.username and await _log_in(stream, wanted):
            facts["letters"] = await _count_letters(stream)
        await part(stream, b"QUIT\r\n")


async def _line(stream: Stream) -> str:
    return (await stream.read_until(b"\n", limit=MAX_LINE)).rstrip(b"\r\n").decode("utf-8", "replace")


async def _answer(stream: Stream) -> tuple[bool, str]:
    """Return whether the server agrees, and its words."""
    line = await _line(stream)
    status, _space, words = line.partition(" ")
    if status not in {"+OK", "-ERR"}:
        raise wrong_protocol(line)
    return status == "+OK", words


async def _ask(stream: Stream, command: str) -> tuple[bool, str]:
    await stream.write(f"{command}\r\n".encode())
    return await _answer(stream)


async def _capabilities(stream: Stream) -> list[str]:
    """Return what the server can do; none where it does not know the question, which is optional."""
    is_good, _words = await _ask(stream, "CAPA")
    found: list[str] = []
    if not is_good:
        return found
    for _number in range(MAX_LINES):
        line = await _line(stream)
        if line == ".":
            return found
        found.append(shown(line))
    raise wrong_protocol(found[-1])


async def _log_in(stream: Stream, wanted: Pop3Config) -> bool:
    """Log in; return whether the mailbox is ours: while its owner's own program has it open, only the login is proven."""
    for command in (f"USER {wanted.username}", f"PASS {wanted.password}"):
        is_good, words = await _ask(stream, command)
        if not is_good and words.upper().startswith(IN_USE):
            return False
        if not is_good:
            raise login_refused(words)
    return True


async def _count_letters(stream: Stream) -> int:
    is_good, words = await _ask(stream, "STAT")
    count = words.partition(" ")[0]
    if not is_good or not count.isdecimal() or len(count) > 9:
        raise wrong_protocol(words)
    return int(count)
