"""The MySQL check, for MariaDB too: connection, login, and one reading query."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, Group, ProbeContext, ProbeFailure, Stream
from apps.checks.types.hosts import bare_host, port_setting
from apps.checks.types.messages import Message
from apps.checks.types.mysql_login import ED25519, PLUGINS, first_proof, key_request, sealed
from apps.checks.types.query import MAX_ROWS, QUERY_FACTS, QUERY_MESSAGES, QueryConfig, judge_value
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
from apps.core.kinds import Text

MAX_PACKET = 1_048_576
MAX_STEPS = 8  # of a login
MAX_COLUMNS = 4_096
UTF8 = 45  # utf8mb4_general_ci
LONG_PASSWORD, WITH_DATABASE, PROTOCOL_41, TLS, TRANSACTIONS, SECURE, PLUGIN_AUTH = (
    0x1,
    0x8,
    0x200,
    0x800,
    0x2000,
    0x8000,
    0x80000,
)
# Neither several statements in one, nor reading files of ours, is among what we say we can do.
ABILITIES = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE | PLUGIN_AUTH
LOGIN_ERRORS = frozenset({1045, 1130, 1698, 1862, 3118})
DATABASE_ERRORS = frozenset({1044, 1049})
OK, MORE, FILE_WANTED, SWITCH_OR_END, ERROR = 0x00, 0x01, 0xFB, 0xFE, 0xFF
LONG_PROOFS, LONGEST_PROOF = 0x200000, 250  # proofs of several kilobytes, where the server knows them
FAST_OK, FULL_LOGIN = b"\x03", b"\x04"


@dataclass(frozen=True, kw_only=True)
class MysqlConfig(QueryConfig):
    """Which database is opened, and what it is asked."""

    port: int = port_setting(3306)
    security: str = security_setting(Security.TLS, Security.NONE, Security.TLS)
    username: str = line_setting(label=_("User"), default="root", max_length=128)

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if not self.username:
            errors["username"] = _("MySQL wants a user.")
        return errors


class MysqlCheck(ServiceCheck):
    """Logs in to MySQL or MariaDB, and where wanted asks it something."""

    kind: ClassVar[str] = "mysql"
    label: ClassVar[Text] = _("MySQL and MariaDB")
    help: ClassVar[Text] = _("Logs in to a MySQL or MariaDB server and judges the value of a query.")
    icon: ClassVar[str] = "database"
    group: ClassVar[Group] = Group.DATABASE
    Config: ClassVar[type[BaseConfig]] = MysqlConfig
    messages: ClassVar[Mapping[str, Message]] = QUERY_MESSAGES
    facts: ClassVar[Mapping[str, Fact]] = QUERY_FACTS

    def sample(self) -> MysqlConfig:
        return MysqlConfig(host="db.example.com", username="probe", password="a-password", query="SELECT 1")  # noqa: S106

    async def talk(self, config: ServiceConfig, context: ProbeContext, facts: dict[str, Any]) -> None:
        wanted = cast("MysqlConfig", config)
        stream = await context.net.open(bare_host(wanted.host), wanted.port)
        session = _Session(stream)
        greeting = _greeting(await session.read())
        # MariaDB before 11 greets as a MySQL 5.5.5, for the sake of old replicas.
        facts["version"] = shown(greeting.version).removeprefix("5.5.5-")
        await session.log_in(wanted, greeting)
        if wanted.query:
            seconds = max(1, int(context.timeout_seconds))
            await _ask(session, wanted, seconds, facts)
        session.sequence = 0
        await part(stream, b"\x01\0\0\0\x01")


async def _ask(session: "_Session", wanted: MysqlConfig, seconds: int, facts: dict[str, Any]) -> None:
    """Run the query where it can change nothing, and ends with the probe's own time."""
    is_maria = "mariadb" in str(facts["version"]).lower()
    limit = f"max_statement_time = {seconds}" if is_maria else f"max_execution_time = {seconds * 1_000}"
    await session.order(f"SET SESSION {limit}", must_succeed=False)  # servers of before 2015 know neither
    await session.order(f"SET SESSION sql_select_limit = {MAX_ROWS}")
    # For the session too, since a DROP would end the transaction by itself and run after it.
    await session.order("SET SESSION TRANSACTION READ ONLY")
    await session.order("START TRANSACTION READ ONLY")
    rows, value = await session.query(wanted.query)
    facts["rows"] = rows
    facts["value"] = shown(value) if value is not None else None
    judge_value(wanted, rows, value)


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the server says first."""

    version: str
    abilities: int
    nonce: bytes
    plugin: str


def _greeting(packet: bytes) -> Greeting:
    if packet[:1] == b"\xff":
        raise _refusal(packet)
    version, null, rest = packet[1:].partition(b"\0")
    if packet[:1] != b"\x0a" or not null or len(rest) < 44:
        raise wrong_protocol(packet[:80])
    low, high, size = *struct.unpack_from("<H3xH", rest, 13), rest[20]
    second = rest[31 : 31 + max(13, size - 8)]
    plugin = rest[31 + len(second) :].partition(b"\0")[0]
    return Greeting(
        version=version.decode("utf-8", "replace"),
        abilities=low | high << 16,
        nonce=(rest[4:12] + second)[:20],
        plugin=plugin.decode("ascii", "replace"),
    )


@dataclass(slots=True)
class _Session:
    """Packets of one connection. Each carries a number that both sides count."""

    stream: Stream
    sequence: int = 0
    is_encrypted: bool = False

    async def read(self) -> bytes:
        head = await self.stream.read_exactly(4)
        size = int.from_bytes(head[:3], "little")
        if size == 0 or size > MAX_PACKET or head[3] != self.sequence:
            raise wrong_protocol(head)
        self.sequence = (self.sequence + 1) % 256
        return await self.stream.read_exactly(size)

    async def write(self, body: bytes) -> None:
        await self.stream.write(len(body).to_bytes(3, "little") + bytes([self.sequence]) + body)
        self.sequence = (self.sequence + 1) % 256

    async def log_in(self, wanted: MysqlConfig, greeting: Greeting) -> None:
        abilities = ABILITIES | (WITH_DATABASE if wanted.database else 0)
        if wanted.security == Security.TLS:
            await self._secure(wanted, greeting, abilities | TLS)
            abilities |= TLS
        # Ed25519 has a nonce of its own, which comes with the wish to change to it.
        is_usable = greeting.plugin in PLUGINS and greeting.plugin != ED25519
        plugin = greeting.plugin if is_usable else "mysql_native_password"
        self._check_way(plugin)
        proof = first_proof(plugin, wanted.password, greeting.nonce, is_encrypted=self.is_encrypted)
        if len(proof) > LONGEST_PROOF:  # a password in clear may be longer than one byte can tell
            if not greeting.abilities & LONG_PROOFS:
                raise ProbeFailure("login_unsupported", {"offered": plugin})
            abilities |= LONG_PROOFS
        await self.write(
            struct.pack("<IIB23x", abilities, MAX_PACKET, UTF8)
            + wanted.username.encode()
            + b"\0"
            + (b"\xfc" + struct.pack("<H", len(proof)) if abilities & LONG_PROOFS else bytes([len(proof)]))
            + proof
            + (wanted.database.encode() + b"\0" if wanted.database else b"")
            + plugin.encode()
            + b"\0"
        )
        await self._prove(wanted, plugin, greeting.nonce)

    async def _secure(self, wanted: MysqlConfig, greeting: Greeting, abilities: int) -> None:
        if not greeting.abilities & TLS:
            raise ProbeFailure("encryption_missing")
        await self.write(struct.pack("<IIB23x", abilities, MAX_PACKET, UTF8))
        await self.stream.start_tls(wanted.tls)
        self.is_encrypted = True

    def _check_way(self, plugin: str) -> None:
        """Refuse a way of logging in that we do not know, or that would show the password to everybody on the way."""
        if plugin not in PLUGINS or (plugin == "mysql_clear_password" and not self.is_encrypted):
            raise ProbeFailure("login_unsupported", {"offered": plugin or "mysql_old_password"})

    async def _prove(self, wanted: MysqlConfig, plugin: str, nonce: bytes) -> None:
        """Answer the server's demands until it lets us in."""
        for _step in range(MAX_STEPS):
            packet = await self.read()
            if packet[0] == OK:
                return
            if packet[0] == ERROR:
                raise _refusal(packet)
            if packet[0] == SWITCH_OR_END:
                name, _null, data = packet[1:].partition(b"\0")
                plugin = shown(name)
                # MariaDB's Ed25519 ends its nonce with nothing, so that a null byte there is part of it.
                nonce = data if plugin == ED25519 else data.removesuffix(b"\0")
                self._check_way(plugin)
                await self.write(first_proof(plugin, wanted.password, nonce, is_encrypted=self.is_encrypted))
            elif packet[0] == MORE and plugin in ("caching_sha2_password", "sha256_password"):
                await self._prove_in_full(wanted, plugin, nonce, packet[1:])
            else:
                raise wrong_protocol(packet[:80])
        raise wrong_protocol()

    async def _prove_in_full(self, wanted: MysqlConfig, plugin: str, nonce: bytes, more: bytes) -> None:
        """Hand over the password itself: over TLS as it is, else under the server's public key."""
        if more == FAST_OK:
            return
        if more == FULL_LOGIN:
            is_open = self.is_encrypted
            await self.write(wanted.password.encode() + b"\0" if is_open else key_request(plugin))
        else:  # the key that was asked for
            await self.write(sealed(wanted.password, nonce, more))

    async def order(self, statement: str, *, must_succeed: bool = True) -> None:
        """Run a statement of our own, which gives no rows."""
        self.sequence = 0
        await self.write(b"\x03" + statement.encode())
        packet = await self.read()
        if packet[0] == ERROR and must_succeed:
            raise _refusal(packet, code="query_failed")
        if packet[0] not in (OK, ERROR):
            raise wrong_protocol(packet[:80])

    async def query(self, statement: str) -> tuple[int, str | None]:
        """Run one statement and return how many rows came, and the first cell."""
        self.sequence = 0
        await self.write(b"\x03" + statement.encode())
        packet = await self.read()
        if packet[0] == ERROR:
            raise _refusal(packet, code="query_failed")
        if packet[0] == OK:
            return 0, None
        columns, _at = _length(packet)
        if packet[0] == FILE_WANTED or not 0 < columns <= MAX_COLUMNS:  # a file of ours: never
            raise wrong_protocol(packet[:80])
        for _column in range(columns + 1):  # and the mark that ends them
            await self.read()
        return await self._rows()

    async def _rows(self) -> tuple[int, str | None]:
        rows, value = 0, None
        while rows < MAX_ROWS:
            packet = await self.read()
            if packet[0] == ERROR:
                raise _refusal(packet, code="query_failed")
            if packet[0] == SWITCH_OR_END and len(packet) < 9:
                break
            if rows == 0 and packet[0] != FILE_WANTED:  # which in a row means NULL
                size, at = _length(packet)
                value = packet[at : at + size].decode("utf-8", "replace")
            rows += 1
        return rows, value


def _length(packet: bytes) -> tuple[int, int]:
    """Return a number in MySQL's own packing, and where it ends."""
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(packet[0])
    if size is None:
        return packet[0], 1
    return int.from_bytes(packet[1 : 1 + size], "little"), 1 + size


def _refusal(packet: bytes, *, code: str = "") -> ProbeFailure:
    """Return the failure that an error packet stands for."""
    if len(packet) < 3:
        return wrong_protocol(packet)
    number = int.from_bytes(packet[1:3], "little")
    words = packet[9:] if packet[3:4] == b"#" else packet[3:]  # the state is told after the greeting only
    answer = shown(f"{number}: ".encode() + words)
    if code:
        return ProbeFailure(code, {"answer": answer})
    if number in LOGIN_ERRORS:
        return login_refused(answer)
    if number in DATABASE_ERRORS:
        return ProbeFailure("database_missing", {"answer": answer})
    return service_error(answer)
