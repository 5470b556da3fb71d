"""The PostgreSQL check: connection, login, role, and one reading query, over protocol 3.0."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, ProbeContext, ProbeFailure, Stream
from apps.checks.types.hosts import bare_host, port_setting
from apps.checks.types.messages import Message
from apps.checks.types.query import MAX_ROWS, QUERY_FACTS, QUERY_MESSAGES, QueryConfig, judge_value
from apps.checks.types.scram import ScramLogin
from apps.checks.types.service import (
    Security,
    ServiceCheck,
    ServiceConfig,
    line_setting,
    login_refused,
    part,
    security_setting,
    service_error,
    shown,
    wrong_protocol,
)
from apps.core.kinds import Config as BaseConfig
from apps.core.kinds import Text, setting

PROTOCOL = 196_608  # 3.0
TLS_REQUEST = 80_877_103
MAX_MESSAGE = 1_048_576
MAX_MESSAGES = 10_000
MAX_STEPS = 6  # of a login
AUTH_OK, AUTH_CLEAR, AUTH_MD5, AUTH_SASL, AUTH_SASL_NEXT, AUTH_SASL_LAST = 0, 3, 5, 10, 11, 12
LOGIN_STATES = frozenset({"28000", "28P01"})
NO_DATABASE_STATES = frozenset({"3D000", "42501"})
IGNORED = frozenset({b"N", b"A"})  # notices and notifications may come at any time


class Role(TextChoices):
    """What a server is among its replicas."""

    ANY = "any", _("Either")
    PRIMARY = "primary", _("Primary")
    STANDBY = "standby", _("Standby")


@dataclass(frozen=True, kw_only=True)
class PostgresqlConfig(QueryConfig):
    """Which database is opened, and what it is asked."""

    port: int = port_setting(5432)
    security: str = security_setting(Security.TLS, Security.NONE, Security.TLS)
    username: str = line_setting(label=_("User"), default="postgres", max_length=63)
    role: str = setting(
        Role.ANY.value,
        label=_("Role"),
        help=_("Fail when the server takes another part in the replication."),
        choices=tuple((way.value, way.label) for way in Role),
    )

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if not self.username:
            errors["username"] = _("PostgreSQL wants a user.")
        return errors


class PostgresqlCheck(ServiceCheck):
    """Logs in to PostgreSQL, and where wanted asks it something."""

    kind: ClassVar[str] = "postgresql"
    label: ClassVar[Text] = _("PostgreSQL")
    help: ClassVar[Text] = _("Logs in to a PostgreSQL server, judges its role and the value of a query.")
    icon: ClassVar[str] = "database"
    group: ClassVar[Group] = Group.DATABASE
    Config: ClassVar[type[BaseConfig]] = PostgresqlConfig
    messages: ClassVar[Mapping[str, Message]] = {
        **QUERY_MESSAGES,
        "postgresql_role_mismatch": (
            _("The server is the %(role)s; expected was the %(expected)s."),
            _("Look at the replication: a failover may have taken place."),
        ),
    }
    facts: ClassVar[Mapping[str, Fact]] = {**QUERY_FACTS, "role": Fact(_("Role"))}

    def sample(self) -> PostgresqlConfig:
        return PostgresqlConfig(host="db.example.com", username="probe", password="a-password", query="SELECT 1")  # noqa: S106

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("PostgresqlConfig", config)
        stream = await _connect(context, wanted)
        session = _Session(stream)
        await session.log_in(wanted)
        facts["version"] = shown(session.parameters.get("server_version", ""))
        if wanted.role != Role.ANY:
            await _judge_role(session, wanted, facts)
        if wanted.query:
            await _ask(session, wanted, context, facts)
        await part(stream, b"X" + struct.pack("!i", 4))


async def _connect(context: ProbeContext, wanted: PostgresqlConfig) -> Stream:
    """Open the connection; PostgreSQL asks for encryption in its own words."""
    stream = await context.net.open(bare_host(wanted.host), wanted.port)
    if wanted.security != Security.TLS:
        return stream
    await stream.write(struct.pack("!ii", 8, TLS_REQUEST))
    answer = await stream.read_exactly(1)
    if answer == b"N":
        raise ProbeFailure("encryption_missing")
    if answer != b"S":
        raise wrong_protocol(answer)
    await stream.start_tls(wanted.tls)
    return stream


async def _judge_role(session: "_Session", wanted: PostgresqlConfig, facts: dict[str, Any]) -> None:
    result = await session.query("SELECT pg_catalog.pg_is_in_recovery()")
    facts["role"] = Role.STANDBY if result.value == "t" else Role.PRIMARY
    if facts["role"] != wanted.role:
        raise ProbeFailure("postgresql_role_mismatch", {"role": facts["role"], "expected": wanted.role})


async def _ask(session: "_Session", wanted: PostgresqlConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
    """Run the query where it can change nothing and ends with the probe's own time."""
    milliseconds = max(1, int(context.timeout_seconds * 1_000))
    await session.order(f"BEGIN READ ONLY; SET LOCAL statement_timeout = {milliseconds}")
    result = await session.query(wanted.query)
    await session.order("ROLLBACK")
    facts["rows"] = result.rows
    facts["value"] = shown(result.value) if result.value is not None else None
    judge_value(wanted, result.rows, result.value)


@dataclass(slots=True)
class Result:
    """How many rows came, and the first cell of the first one."""

    rows: int = 0
    value: str | None = None


@dataclass(slots=True)
class _Session:
    """Messages of one connection."""

    stream: Stream
    parameters: dict[str, str] = field(default_factory=dict)

    async def log_in(self, wanted: PostgresqlConfig) -> None:
        names = {"user": wanted.username, "database": wanted.database or wanted.username, "application_name": "obsera"}
        words = b"".join(f"{name}\0{value}\0".encode() for name, value in names.items()) + b"\0"
        await self.stream.write(struct.pack("!ii", len(words) + 8, PROTOCOL) + words)
        login: ScramLogin | None = None
        for _step in range(MAX_STEPS):  # each may cost a hundred thousand rounds of hashing
            tag, body = await self._read()
            if tag == b"E":
                raise _refusal(body)
            if tag != b"R" or len(body) < 4:
                raise wrong_protocol(tag + body[:80])
            code, rest = int.from_bytes(body[:4], "big"), body[4:]
            if code == AUTH_OK:
                if login is not None and not login.is_proven:
                    raise ProbeFailure("server_unproven")
                return await self._settle()
            login = await self._prove(code, rest, wanted, login)
        raise wrong_protocol()

    async def _prove(
        self, code: int, rest: bytes, wanted: PostgresqlConfig, login: ScramLogin | None
    ) -> ScramLogin | None:
        """Answer one demand of the server."""
        if code == AUTH_CLEAR:
            await self._send(b"p", wanted.password.encode() + b"\0")
        elif code == AUTH_MD5 and len(rest) == 4:
            await self._send(b"p", _md5_proof(wanted, rest) + b"\0")
        elif code == AUTH_SASL:
            if b"SCRAM-SHA-256" not in rest.split(b"\0"):
                raise ProbeFailure("login_unsupported", {"offered": shown(rest.replace(b"\0", b" "))})
            login = ScramLogin("SCRAM-SHA-256", username="", password=wanted.password)
            await self._send(b"p", b"SCRAM-SHA-256\0" + struct.pack("!i", len(login.first)) + login.first)
        elif code == AUTH_SASL_NEXT and login is not None:
            await self._send(b"p", await login.respond(rest))
        elif code == AUTH_SASL_LAST and login is not None:
            login.verify(rest)
        else:
            raise ProbeFailure("login_unsupported", {"offered": f"#{code}"})
        return login

    async def _settle(self) -> None:
        """Read what the server says about itself until it is ready."""
        for _number in range(MAX_MESSAGES):
            tag, body = await self._read()
            if tag == b"Z":
                return
            if tag == b"E":
                raise _refusal(body)
            if tag == b"S" and len(self.parameters) < 100:
                name, _null, value = body.partition(b"\0")
                self.parameters[name.decode("utf-8", "replace")] = value.rstrip(b"\0").decode("utf-8", "replace")
        raise wrong_protocol()

    async def order(self, statements: str) -> None:
        """Run statements of our own."""
        await self._send(b"Q", statements.encode() + b"\0")
        await self._result()

    async def query(self, statement: str) -> Result:
        """Run one statement: the extended protocol refuses to run a second one hidden behind it."""
        parse = _message(b"P", b"\0" + statement.encode() + b"\0" + struct.pack("!h", 0))
        bind = _message(b"B", b"\0\0" + struct.pack("!hhh", 0, 0, 0))
        execute = _message(b"E", b"\0" + struct.pack("!i", MAX_ROWS))
        await self.stream.write(parse + bind + execute + _message(b"S", b""))
        return await self._result()

    async def _result(self) -> Result:
        result, problem = Result(), b""
        for _number in range(MAX_MESSAGES):
            tag, body = await self._read()
            if tag == b"Z":
                if problem:
                    raise _refusal(problem, code="query_failed")
                return result
            if tag == b"E":
                problem = body
            elif tag == b"D":
                result.rows += 1
                if result.rows == 1:
                    result.value = _first_cell(body)
            elif tag in (b"G", b"H", b"W"):
                raise ProbeFailure("query_failed", {"answer": "COPY"})
        raise wrong_protocol()

    async def _send(self, tag: bytes, body: bytes) -> None:
        await self.stream.write(_message(tag, body))

    async def _read(self) -> tuple[bytes, bytes]:
        """Return the next message's tag and body; notices are passed over."""
        for _number in range(MAX_MESSAGES):
            head = await self.stream.read_exactly(5)
            size = int.from_bytes(head[1:], "big")
            if not head[:1].isalnum() or not 4 <= size <= MAX_MESSAGE:
                raise wrong_protocol(head)
            body = await self.stream.read_exactly(size - 4)
            if head[:1] not in IGNORED:
                return head[:1], body
        raise wrong_protocol()


def _message(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("!i", len(body) + 4) + body


def _md5_proof(wanted: PostgresqlConfig, salt: bytes) -> bytes:
    """Return what PostgreSQL's oldest scheme wants; the server chooses it, not we."""
    inner = hashlib.md5(wanted.password.encode() + wanted.username.encode(), usedforsecurity=False).hexdigest()
    return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()


def _first_cell(body: bytes) -> str | None:
    """Return the first column of a row as text; None for NULL."""
    if len(body) < 6 or int.from_bytes(body[:2], "big") < 1:
        return None
    size = int.from_bytes(body[2:6], "big", signed=True)
    return None if size < 0 else body[6 : 6 + size].decode("utf-8", "replace")


def _refusal(body: bytes, *, code: str = "") -> ProbeFailure:
    """Return the failure that an error message of the server's stands for."""
    fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
    state, words = fields.get(b"C", ""), fields.get(b"M", "")
    answer = shown(f"{state}: {words}" if state else words) or "–"
    if code:
        return ProbeFailure(code, {"answer": answer})
    if state in LOGIN_STATES:
        return login_refused(answer)
    if state in NO_DATABASE_STATES:
        return ProbeFailure("database_missing", {"answer": answer})
    return service_error(answer)
