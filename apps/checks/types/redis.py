"""The Redis check, for Valkey and other kin too: login, PING, role, and whether a key is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.db.models import TextChoices
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
    service_error,
    shown,
    wrong_protocol,
)
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

MAX_LINE = 4_096
MAX_BULK = 262_144
ELSEWHERE = ("MOVED ", "ASK ")  # a cluster's words for "ask that node"
LOGIN_ERRORS = ("WRONGPASS", "NOAUTH", "NOPERM", "ERR AUTH", "ERR invalid password", "ERR Client sent AUTH")


class Role(TextChoices):
    """What a server is among its replicas."""

    ANY = "any", _("Either")
    PRIMARY = "primary", _("Primary")
    REPLICA = "replica", _("Replica")


# Redis's own words for them
ROLES = {"master": Role.PRIMARY, "slave": Role.REPLICA}


@dataclass(frozen=True, kw_only=True)
class RedisConfig(ServiceConfig):
    """Which server is asked, what it must be, and what it must hold."""

    port: int = port_setting(6379)
    username: str = line_setting(
        label=_("User"), help=_("Empty stands for the default user, who may have a password too."), max_length=255
    )
    database: int = setting(0, label=_("Database"), low=0, high=65_535)
    role: str = setting(
        Role.ANY.value,
        label=_("Role"),
        help=_("Fail when the server takes another part in the replication, or is a replica that lost its primary."),
        choices=tuple((way.value, way.label) for way in Role),
    )
    key: str = line_setting(label=_("Key"), help=_("Fail when this key is missing."), max_length=1_000)

    @property
    def needs_name(self) -> bool:
        return False


class RedisCheck(ServiceCheck):
    """Says PING to Redis, and asks what it is and holds."""

    kind: ClassVar[str] = "redis"
    label: ClassVar[Text] = _("Redis")
    help: ClassVar[Text] = _("Pings a Redis or Valkey server, judges its role and looks for a key.")
    icon: ClassVar[str] = "stack-2"
    group: ClassVar[Group] = Group.DATABASE
    Config: ClassVar[type[BaseConfig]] = RedisConfig
    messages: ClassVar[Mapping[str, Message]] = {
        "redis_role_mismatch": (
            _("The server is the %(role)s; expected was the %(expected)s."),
            _("Look at the replication: a failover may have taken place."),
        ),
        "redis_replica_alone": (
            _("The replica has lost its primary."),
            _("Check the primary and the network between the two."),
        ),
        "redis_key_missing": (_("The key %(key)s is missing."), _("Look at what should write it.")),
        "redis_key_elsewhere": (
            _("The key %(key)s belongs to another node of the cluster (%(answer)s)."),
            _("Let the check ask that node: it goes nowhere by itself. Or leave the key empty."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {
        "version": Fact(_("Server version")),
        "role": Fact(_("Role")),
        "clients": Fact(_("Clients")),
        "memory": Fact(_("Memory used"), _("bytes")),
        "replicas": Fact(_("Replicas")),
    }

    def sample(self) -> RedisConfig:
        return RedisConfig(host="cache.example.com", password="a-password", key="jobs:heartbeat")  # noqa: S106

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("RedisConfig", config)
        stream = await connect(context, wanted)
        if wanted.password or wanted.username:  # a user may need no password
            names = (wanted.username,) if wanted.username else ()
            await _order(stream, "AUTH", *names, wanted.password)
        pong = await _order(stream, "PING")
        if pong != b"PONG":
            raise wrong_protocol(pong if isinstance(pong, bytes) else str(pong))
        await _judge_role(stream, wanted, facts)
        if wanted.database:
            await _order(stream, "SELECT", str(wanted.database))
        if wanted.key:
            await _look_for_key(stream, wanted.key)


async def _look_for_key(stream: Stream, key: str) -> None:
    answer = await _ask(stream, "EXISTS", key)
    if isinstance(answer, Refusal) and answer.words.startswith(ELSEWHERE):
        raise ProbeFailure("redis_key_elsewhere", {"key": key, "answer": answer.words})
    if _agreed(answer) != 1:
        raise ProbeFailure("redis_key_missing", {"key": key})


async def _judge_role(stream: Stream, wanted: RedisConfig, facts: dict[str, Any]) -> None:
    about = _fields(await _ask(stream, "INFO"))
    facts.update(
        {
            "version": shown(about.get("valkey_version") or about.get("redis_version", "")),
            "role": ROLES.get(about.get("role", ""), Role.ANY).value,
            "clients": _count(about, "connected_clients"),
            "memory": _count(about, "used_memory"),
            "replicas": _count(about, "connected_slaves"),
        }
        if about
        else {}  # not every user may ask
    )
    if wanted.role == Role.ANY:
        return
    if facts.get("role") != wanted.role:
        raise ProbeFailure("redis_role_mismatch", {"role": facts.get("role", "–"), "expected": wanted.role})
    if wanted.role == Role.REPLICA and about.get("master_link_status") != "up":
        raise ProbeFailure("redis_replica_alone")


def _fields(info: "bytes | int | Refusal | None") -> dict[str, str]:
    if not isinstance(info, bytes):
        return {}
    pairs = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines()[:1_000])
    return {name: value for name, colon, value in pairs if colon}


def _count(about: Mapping[str, str], name: str) -> int | None:
    text = about.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error in the server's words, such as ``WRONGPASS invalid username-password pair``."""

    words: str


async def _order(stream: Stream, *words: str) -> bytes | int | None:
    """Send a command that must succeed."""
    return _agreed(await _ask(stream, *words))


def _agreed(answer: bytes | int | Refusal | None) -> bytes | int | None:
    if isinstance(answer, Refusal):
        raise login_refused(answer.words) if answer.words.startswith(LOGIN_ERRORS) else service_error(answer.words)
    return answer


async def _ask(stream: Stream, *words: str) -> bytes | int | Refusal | None:
    parts = [word.encode() for word in words]
    await stream.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
    line = (await stream.read_until(b"\r\n", limit=MAX_LINE))[:-2]
    tag, rest = line[:1], line[1:]
    if tag == b"+":
        return rest
    if tag == b"-":
        return Refusal(shown(rest))
    number = _integer(rest)
    if tag == b":" and number is not None:
        return number
    if tag == b"$" and number is not None and -1 <= number <= MAX_BULK:
        return None if number < 0 else (await stream.read_exactly(number + 2))[:-2]
    raise wrong_protocol(line)


def _integer(text: bytes) -> int | None:
    digits = text.removeprefix(b"-")
    return int(text) if digits.isdigit() and len(digits) < 19 else None
