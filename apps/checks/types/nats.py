"""The NATS check: a connection to a server, a PING, and where wanted its JetStream."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, ProbeContext, ProbeFailure, Stream
from apps.checks.types.hosts import bare_host, port_setting
from apps.checks.types.messages import Message
from apps.checks.types.service import (
    Security,
    ServiceCheck,
    ServiceConfig,
    line_setting,
    login_refused,
    security_setting,
    service_error,
    shown,
    wrong_protocol,
)
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, Widget, setting

MAX_LINE = 65_536
MAX_LINES = 100
MAX_PAYLOAD = 65_536
MAX_COUNT = 2**63
LOGIN_ERRORS = ("authorization violation", "authentication", "user authentication", "account authentication")


@dataclass(frozen=True, kw_only=True)
class NatsConfig(ServiceConfig):
    """Which server is asked, and what it must offer."""

    port: int = port_setting(4222)
    security: str = security_setting(Security.NONE, Security.NONE, Security.STARTTLS, Security.TLS)
    token: str = setting(
        "",
        label=_("Token"),
        help=_("Instead of user and password."),
        is_secret=True,
        widget=Widget.SECRET,
        max_length=2_000,
    )
    needs_jetstream: bool = setting(
        False, label=_("JetStream must answer"), help=_("Fail when the account has no working JetStream.")
    )
    server_name: str = line_setting(
        label=_("Server name"), help=_("Fail when the server calls itself something else."), max_length=255
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if self.token and self.username:
            errors["token"] = _("Give either a token or a user and a password.")
        return errors


class NatsCheck(ServiceCheck):
    """Connects to NATS, says PING, and asks JetStream for its account."""

    kind: ClassVar[str] = "nats"
    label: ClassVar[Text] = _("NATS")
    help: ClassVar[Text] = _("Connects to a NATS server, logs in, and asks whether JetStream works.")
    icon: ClassVar[str] = "messages"
    group: ClassVar[Group] = Group.BROKER
    Config: ClassVar[type[BaseConfig]] = NatsConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "nats_jetstream_missing": (
            _("JetStream does not work for this account (%(answer)s)."),
            _("Switch JetStream on at the server and for the account, and look at its storage."),
        ),
        "nats_tls_required": (
            _("The server wants encryption before anybody logs in."),
            _("Choose an encryption for this check: nothing was told to the server."),
        ),
        "nats_name_mismatch": (
            _("The server calls itself %(name)s; expected was %(expected)s."),
            _("Check where the name leads, or change what is expected."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "version": Fact(_("Server version")),
        "name": Fact(_("Server name")),
        "cluster": Fact(_("Cluster")),
        "streams": Fact(_("Streams")),
        "consumers": Fact(_("Consumers")),
        "storage": Fact(_("Storage used"), _("bytes")),
    }

    def sample(self) -> NatsConfig:
        return NatsConfig(host="nats.example.com", token="a-token", needs_jetstream=True)  # noqa: S106

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("NatsConfig", config)
        is_at_once = wanted.security == Security.TLS
        stream = await context.net.open(bare_host(wanted.host), wanted.port, tls=wanted.tls if is_at_once else None)
        about = await _greeting(stream)
        for fact, name in (("version", "version"), ("name", "server_name"), ("cluster", "cluster")):
            if isinstance(about.get(name), str):
                facts[fact] = shown(about[name])
        if wanted.security == Security.STARTTLS:
            if not (about.get("tls_required") or about.get("tls_available")):
                raise ProbeFailure("encryption_missing")
            await stream.start_tls(wanted.tls)
        elif about.get("tls_required") and not is_at_once:  # it would refuse, but only after the password went in clear
            raise ProbeFailure("nats_tls_required")
        await _log_in(stream, wanted)
        if wanted.server_name and facts.get("name") != wanted.server_name:
            raise ProbeFailure("nats_name_mismatch", {"name": facts.get("name", "–"), "expected": wanted.server_name})
        if wanted.needs_jetstream:
            await _ask_jetstream(stream, facts)


async def _line(stream: Stream) -> str:
    return (await stream.read_until(b"\r\n", limit=MAX_LINE))[:-2].decode("utf-8", "replace")


async def _greeting(stream: Stream) -> dict[str, Any]:
    line = await _line(stream)
    if not line.upper().startswith("INFO "):
        raise service_error(line[5:]) if line.upper().startswith("-ERR ") else wrong_protocol(line)
    return _object(line[5:])


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise wrong_protocol(text) from error
    if not isinstance(found, dict):
        raise wrong_protocol(text)
    return found


async def _log_in(stream: Stream, wanted: NatsConfig) -> None:
    """Say who we are; the answer to the PING behind it tells whether we are welcome."""
    options: dict[str, Any] = {"verbose": False, "pedantic": False, "lang": "python", "version": "1", "name": "obsera"}
    options |= {"protocol": 1, "no_responders": True, "headers": True, "tls_required": wanted.security != Security.NONE}
    if wanted.token:
        options["auth_token"] = wanted.token
    elif wanted.username:
        options |= {"user": wanted.username, "pass": wanted.password}
    await stream.write(f"CONNECT {json.dumps(options)}\r\nPING\r\n".encode())
    await _await(stream, "PONG")


async def _await(stream: Stream, wanted: str) -> str:
    """Return the next line that begins with ``wanted``; news and the server's own pings are passed over."""
    for _number in range(MAX_LINES):
        line = await _line(stream)
        word = line.partition(" ")[0].upper()
        if word == wanted:
            return line
        if word == "-ERR":
            reason = line[4:].strip(" '")
            raise login_refused(reason) if reason.lower().startswith(LOGIN_ERRORS) else service_error(reason)
        if word == "PING":
            await stream.write(b"PONG\r\n")
        elif word not in ("INFO", "PONG", "+OK"):
            raise wrong_protocol(line)
    raise wrong_protocol()


async def _ask_jetstream(stream: Stream, facts: dict[str, Any]) -> None:
    """Ask JetStream for the account's state, which makes it look into its storage."""
    inbox = f"_INBOX.{secrets.token_hex(11)}"
    await stream.write(f"SUB {inbox} 1\r\nUNSUB 1 1\r\nPUB $JS.API.INFO {inbox} 0\r\n\r\n".encode())
    answer = _object(await _message(stream))
    error = answer.get("error")
    if error:
        words = error.get("description", "") if isinstance(error, dict) else error
        raise ProbeFailure("nats_jetstream_missing", {"answer": shown(str(words)) or "–"})
    for name in ("streams", "consumers", "storage"):
        if isinstance(answer.get(name), int) and 0 <= answer[name] < MAX_COUNT:
            facts[name] = answer[name]


async def _message(stream: Stream) -> str:
    """Return the next message's text. One with headers alone says that nobody answers the subject."""
    for _number in range(MAX_LINES):
        line = await _line(stream)
        word, *words = line.split(" ")
        if word.upper() in ("MSG", "HMSG"):
            size = (
                int(words[-1]) if words and words[-1].isascii() and words[-1].isdigit() and len(words[-1]) < 9 else -1
            )
            if not 0 <= size <= MAX_PAYLOAD:
                raise wrong_protocol(line)
            payload = (await stream.read_exactly(size + 2))[:-2]
            if word.upper() == "HMSG":
                raise ProbeFailure("nats_jetstream_missing", {"answer": shown(payload.partition(b"\r\n")[0])})
            return payload.decode("utf-8", "replace")
        if word.upper() == "-ERR":
            raise ProbeFailure("nats_jetstream_missing", {"answer": shown(line[4:].strip(" '"))})
        if word.upper() == "PING":
            await stream.write(b"PONG\r\n")
    raise wrong_protocol()
