"""The MongoDB check: greeting, login, ping, and the server's part in its replica set."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, ProbeContext, ProbeFailure, Stream
from apps.checks.types.bson import BadDocument, decode, encode
from apps.checks.types.hosts import port_setting
from apps.checks.types.messages import Message
from apps.checks.types.scram import ScramLogin
from apps.checks.types.service import (
    ServiceCheck,
    ServiceConfig,
    connect,
    line_setting,
    login_refused,
    service_error,
    shown,
    wrong_protocol,
)
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

MESSAGE = 2013  # OP_MSG
MAX_REPLY = 262_144
MODERN, OLD = "SCRAM-SHA-256", "SCRAM-SHA-1"
UNAUTHORIZED, AUTHENTICATION_FAILED, COMMAND_NOT_FOUND, MECHANISM_UNAVAILABLE = 13, 18, 59, 334
MAX_STEPS = 4  # of a login


class Role(TextChoices):
    """What a server is among its kin."""

    ANY = "any", _("Any")
    PRIMARY = "primary", _("Primary")
    SECONDARY = "secondary", _("Secondary")
    ROUTER = "router", _("Router (mongos)")
    OTHER = "other", _("Neither primary nor secondary")


EXPECTED_ROLES = (Role.ANY, Role.PRIMARY, Role.SECONDARY, Role.ROUTER)


@dataclass(frozen=True, kw_only=True)
class MongodbConfig(ServiceConfig):
    """Which server is asked, and what it must be."""

    port: int = port_setting(27017)
    auth_database: str = line_setting(
        label=_("Login database"), help=_("The database that knows the user."), default="admin", max_length=64
    )
    role: str = setting(
        Role.ANY.value,
        label=_("Role"),
        help=_("Fail when the server takes another part in the replica set."),
        choices=tuple((way.value, way.label) for way in EXPECTED_ROLES),
    )
    replica_set: str = line_setting(
        label=_("Replica set"), help=_("Fail when the server belongs to another one."), max_length=255
    )


class MongodbCheck(ServiceCheck):
    """Pings MongoDB, and asks what it is in its replica set."""

    kind: ClassVar[str] = "mongodb"
    label: ClassVar[Text] = _("MongoDB")
    help: ClassVar[Text] = _("Logs in to a MongoDB server, pings it and judges its part in the replica set.")
    icon: ClassVar[str] = "leaf"
    group: ClassVar[Group] = Group.DATABASE
    Config: ClassVar[type[BaseConfig]] = MongodbConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "mongodb_role_mismatch": (
            _("The server's role is %(role)s; expected was %(expected)s."),
            _("Look at the replica set: an election may have taken place."),
        ),
        "mongodb_set_mismatch": (
            _("The server belongs to the replica set %(name)s; expected was %(expected)s."),
            _("Check where the name leads, or change what is expected."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "version": Fact(_("Server version")),
        "role": Fact(_("Role")),
        "replica_set": Fact(_("Replica set")),
        "members": Fact(_("Members")),
        "primary": Fact(_("Primary")),
    }

    def sample(self) -> MongodbConfig:
        return MongodbConfig(host="db.example.com", username="probe", password="a-password", role="primary")  # noqa: S106

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("MongodbConfig", config)
        session = _Session(await connect(context, wanted))
        about = await session.greet(wanted)
        facts |= _seen(about)
        if wanted.username:
            await session.log_in(wanted, _mechanisms(about))
        await session.order({"ping": 1})
        build = await session.ask({"buildInfo": 1})
        if isinstance(build.get("version"), str):
            facts["version"] = shown(build["version"])
        if wanted.role not in (Role.ANY, facts["role"]):
            raise ProbeFailure("mongodb_role_mismatch", {"role": facts["role"], "expected": wanted.role})
        name = facts.get("replica_set", "–")
        if wanted.replica_set and name != wanted.replica_set:
            raise ProbeFailure("mongodb_set_mismatch", {"name": name, "expected": wanted.replica_set})


def _seen(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of the server's greeting."""
    facts: dict[str, Any] = {"role": _role(about).value}
    if isinstance(about.get("setName"), str):
        facts["replica_set"] = shown(about["setName"])
    if isinstance(about.get("hosts"), list):
        # Those that never become primary stand apart, hidden ones nowhere.
        kinds = (about.get(kind) for kind in ("hosts", "passives", "arbiters"))
        facts["members"] = sum(len(names) for names in kinds if isinstance(names, list))
    if isinstance(about.get("primary"), str):
        facts["primary"] = shown(about["primary"])
    return facts


def _role(about: Mapping[str, Any]) -> Role:
    if about.get("msg") == "isdbgrid":
        return Role.ROUTER
    if about.get("isWritablePrimary") or about.get("ismaster"):
        return Role.PRIMARY
    return Role.SECONDARY if about.get("secondary") else Role.OTHER


def _mechanisms(about: Mapping[str, Any]) -> tuple[str, ...]:
    """Choose among what the server offers this user. It offers nothing to strangers, and nothing at all before 4.0: then the
    old one comes first, as drivers do it (MongoDB's authentication specification, "Default Authentication Methods")."""
    offered = about.get("saslSupportedMechs")
    names = [name for name in offered if isinstance(name, str)] if isinstance(offered, list) else []
    if not names:
        return OLD, MODERN
    for mechanism in (MODERN, OLD):
        if mechanism in names:
            return (mechanism,)
    raise ProbeFailure("login_unsupported", {"offered": shown(", ".join(names))})


def _login(wanted: MongodbConfig, mechanism: str) -> ScramLogin:
    if mechanism == MODERN:
        return ScramLogin(MODERN, username=wanted.username, password=wanted.password)
    # What servers kept of a password before SCRAM came.
    kept = hashlib.md5(f"{wanted.username}:mongo:{wanted.password}".encode(), usedforsecurity=False).hexdigest()
    return ScramLogin(OLD, username=wanted.username, password=kept, is_prepared=False)


class _Session:
    """Commands of one connection and their answers."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._number = 0

    async def greet(self, wanted: MongodbConfig) -> dict[str, Any]:
        """Say hello, in the old words too, which servers before 4.4 want, and ask how the user may log in."""
        client = {"driver": {"name": "obsera", "version": "1"}, "os": {"type": "Linux"}}
        asked = {"saslSupportedMechs": f"{wanted.auth_database}.{wanted.username}"} if wanted.username else {}
        about = await self.ask({"hello": 1, "client": client, **asked})
        if about.get("code") == COMMAND_NOT_FOUND:
            about = await self.ask({"isMaster": 1, **asked})
        if not about.get("ok"):
            raise _refusal(about)
        return about

    async def log_in(self, wanted: MongodbConfig, mechanisms: tuple[str, ...]) -> None:
        for mechanism in mechanisms:
            try:
                await self._log_in(wanted, mechanism)
                break
            except ProbeFailure as failure:
                if failure.code != "login_unsupported" or mechanism == mechanisms[-1]:
                    raise

    async def _log_in(self, wanted: MongodbConfig, mechanism: str) -> None:
        login = _login(wanted, mechanism)
        command: dict[str, Any] = {"saslStart": 1, "mechanism": mechanism, "payload": login.first}
        command["options"] = {"skipEmptyExchange": True}
        for step in range(MAX_STEPS):
            answer = await self.ask(command, database=wanted.auth_database)
            if not answer.get("ok"):
                raise _login_refusal(answer)
            payload, number = answer.get("payload"), answer.get("conversationId")
            if not isinstance(payload, bytes) or not isinstance(number, int):
                raise wrong_protocol(str(sorted(answer)))
            reply = await login.respond(payload) if step == 0 else b""
            if step == 1:
                login.verify(payload)
            if answer.get("done"):
                break
            command = {"saslContinue": 1, "conversationId": number & 0x7FFFFFFF, "payload": reply}
        if not login.is_proven:
            raise ProbeFailure("server_unproven")

    async def order(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send a command that must succeed."""
        answer = await self.ask(command)
        if not answer.get("ok"):
            raise _refusal(answer)
        return answer

    async def ask(self, command: dict[str, Any], *, database: str = "admin") -> dict[str, Any]:
        self._number += 1
        body = b"\0\0\0\0\0" + encode({**command, "$db": database})  # no flags, one document
        await self._stream.write(struct.pack("<iiii", len(body) + 16, self._number, 0, MESSAGE) + body)
        head = await self._stream.read_exactly(16)
        size, _id, answered, kind = struct.unpack("<iiii", head)
        if kind != MESSAGE or answered != self._number or not 26 <= size <= MAX_REPLY:
            raise wrong_protocol(head)
        reply = await self._stream.read_exactly(size - 16)
        if reply[4] != 0:
            raise wrong_protocol(reply[:80])
        try:
            return decode(reply[5:])
        except BadDocument as error:
            raise wrong_protocol(reply[:80]) from error


def _words(answer: Mapping[str, Any]) -> str:
    return shown(f"{answer.get('codeName') or answer.get('code', '')}: {answer.get('errmsg', '')}")


def _refusal(answer: Mapping[str, Any]) -> ProbeFailure:
    code = answer.get("code")
    return login_refused(_words(answer)) if code == UNAUTHORIZED else service_error(_words(answer))


def _login_refusal(answer: Mapping[str, Any]) -> ProbeFailure:
    if answer.get("code") == MECHANISM_UNAVAILABLE:
        return ProbeFailure("login_unsupported", {"offered": _words(answer)})
    return login_refused(_words(answer)) if answer.get("code") == AUTHENTICATION_FAILED else _refusal(answer)
