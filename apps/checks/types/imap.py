"""The IMAP check: greeting, capabilities, encryption, login, and a look into a folder that changes nothing."""

import base64
import re
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
    line_setting,
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

MAX_LINE = 16_384
MAX_LINES = 500
LITERAL = re.compile(rb"\{(\d{1,7})\}$")
LONGEST_LITERAL = 9  # bytes of its announcement
MAX_PIECES = 100  # of one line, with a literal between each two: a line of literals alone would never grow too long
MAX_LITERAL = 65_536
COUNT = re.compile(r"(\d{1,10}) EXISTS", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class ImapConfig(ServiceConfig):
    """Which mailbox server is asked, and whose folder is looked into."""

    port: int = port_setting(993)
    security: str = security_setting(Security.TLS, Security.NONE, Security.STARTTLS, Security.TLS)
    folder: str = line_setting(
        label=_("Folder"),
        help=_("Opened for reading after the login, such as INBOX; empty opens none."),
        max_length=255,
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if self.folder and not self.username:
            errors["username"] = _("A folder can be opened after a login only.")
        return errors


class ImapCheck(ServiceCheck):
    """Greets an IMAP server, and where wanted logs in and opens a folder."""

    kind: ClassVar[str] = "imap"
    label: ClassVar[Text] = _("IMAP")
    help: ClassVar[Text] = _("Greets a mailbox server, secures the connection, logs in and looks into a folder.")
    icon: ClassVar[str] = "inbox"
    group: ClassVar[Group] = Group.MAIL
    Config: ClassVar[type[BaseConfig]] = ImapConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "imap_folder_refused": (
            _("The folder %(folder)s cannot be opened (%(answer)s)."),
            _("Check that the folder exists and that the user may read it."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "banner": Fact(_("Greeting")),
        "capabilities": Fact(_("Capabilities")),
        "letters": Fact(_("Letters in the folder")),
    }

    def sample(self) -> ImapConfig:
        return ImapConfig(host="mail.example.com", username="probe@example.com", password="a-password", folder="INBOX")  # noqa: S106

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("ImapConfig", config)
        stream = await connect(context, wanted)
        greeting = await _line(stream)
        status = greeting.split(" ", 2)
        if status[0] != "*" or len(status) < 2 or status[1].upper() not in {"OK", "PREAUTH", "BYE"}:
            raise wrong_protocol(greeting)
        if status[1].upper() == "BYE":
            raise service_error(greeting[2:])
        facts["banner"] = shown(greeting[2:])
        session = _Session(stream)
        capabilities = await session.capabilities()
        if wanted.security == Security.STARTTLS:
            if "STARTTLS" not in capabilities:
                raise ProbeFailure("encryption_missing")
            await session.order(b"STARTTLS")
            await stream.start_tls(wanted.tls)
            capabilities = await session.capabilities()  # what was said before encryption counts no more
        facts["capabilities"] = shown_list(capabilities)
        if wanted.username:
            await _log_in(session, wanted, capabilities)
        if wanted.folder:
            facts["letters"] = await _open_folder(session, wanted)
        await part(stream, b"z LOGOUT\r\n")


async def _line(stream: Stream) -> str:
    """Read one line; literals inside are read and left out."""
    text = b""
    for _piece in range(MAX_PIECES):
        text += (await stream.read_until(b"\n", limit=MAX_LINE)).rstrip(b"\r\n")
        found = LITERAL.search(text, max(0, len(text) - LONGEST_LITERAL))
        if found is None:
            return text.decode("utf-8", "replace")
        size = int(found[1])
        if size > MAX_LITERAL or len(text) > MAX_LINE:
            break
        await stream.read_exactly(size)
        text = text[: found.start()]
    raise wrong_protocol(text[:80])


@dataclass(frozen=True, slots=True)
class Answer:
    """What came before a command's result, and the result: OK, NO or BAD with its words."""

    lines: tuple[str, ...]
    result: str
    words: str


class _Session:
    """Commands and their tagged answers."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._number = 0

    async def ask(self, command: bytes, *, continuation: bytes = b"") -> Answer:
        """Send a command; ``continuation`` is what it sends when the server asks for more."""
        self._number += 1
        tag = f"a{self._number}"
        await self.stream.write(tag.encode() + b" " + command + b"\r\n")
        lines: list[str] = []
        for _count in range(MAX_LINES):
            line = await _line(self.stream)
            if line.startswith("+"):
                await self.stream.write(continuation + b"\r\n")
                continuation = b"*"  # asked twice: give up
            elif line.startswith("* "):
                lines.append(line[2:])
            elif line.startswith(f"{tag} "):
                result, _space, words = line[len(tag) + 1 :].partition(" ")
                return Answer(tuple(lines), result.upper(), words)
            else:
                raise wrong_protocol(line)
        raise wrong_protocol(lines[-1] if lines else "")

    async def order(self, command: bytes) -> Answer:
        """Send a command that must succeed."""
        answer = await self.ask(command)
        if answer.result != "OK":
            raise service_error(f"{answer.result} {answer.words}")
        return answer

    async def capabilities(self) -> frozenset[str]:
        answer = await self.order(b"CAPABILITY")
        words = [line.upper().split() for line in answer.lines if line.upper().startswith("CAPABILITY")]
        return frozenset(shown(word) for line in words for word in line[1:])


async def _log_in(session: _Session, wanted: ImapConfig, capabilities: frozenset[str]) -> None:
    if "AUTH=PLAIN" in capabilities:
        secret = base64.b64encode(b"\0" + wanted.username.encode() + b"\0" + wanted.password.encode())
        answer = await session.ask(b"AUTHENTICATE PLAIN", continuation=secret)
    elif "LOGINDISABLED" in capabilities or not (wanted.username + wanted.password).isascii():
        offered = " ".join(sorted(name for name in capabilities if name.startswith(("AUTH=", "LOGIN"))))
        raise ProbeFailure("login_unsupported", {"offered": offered or "–"})
    else:
        answer = await session.ask(b"LOGIN " + _quoted(wanted.username) + b" " + _quoted(wanted.password))
    if answer.result != "OK":
        raise login_refused(answer.words)


async def _open_folder(session: _Session, wanted: ImapConfig) -> int | None:
    """Open the folder with EXAMINE, which leaves every letter as new as it was, and return how many letters it has."""
    answer = await session.ask(b"EXAMINE " + _quoted(_modified_utf7(wanted.folder)))
    if answer.result != "OK":
        raise ProbeFailure("imap_folder_refused", {"folder": wanted.folder, "answer": shown(answer.words) or "–"})
    counts = [int(found[1]) for line in answer.lines if (found := COUNT.fullmatch(line))]
    return counts[-1] if counts else None


def _quoted(text: str) -> bytes:
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'


def _modified_utf7(name: str) -> str:
    """Return a folder's name as RFC 3501 writes it: printable ASCII stands for itself, the rest is base64."""

    def encoded(found: re.Match[str]) -> str:
        packed = base64.b64encode(found[0].encode("utf-16-be")).decode().rstrip("=")
        return f"&{packed.replace('/', ',')}-"

    return re.sub(r"[^\x20-\x7e]+", encoded, name.replace("&", "&-"))
