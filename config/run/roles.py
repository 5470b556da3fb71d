"""The database's roles: who owns the tables, and as whom the product signs in.

The owner migrates. `obsera_app` is every process's sign-in: not owner, not superuser, no BYPASSRLS.
`obsera_system` cannot sign in; `obsera_app` may switch to it for work across tenants.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from config.run.errors import RunError
from config.run.given import given

Connection = psycopg.Connection[tuple[object, ...]]

CONNECT_SECONDS = 5
DEFAULT_PORT = 5432
FIRST_MEMBERSHIP_OPTIONS_VERSION = 160000
# Several hosts may start at the same moment; one provisions, the others wait.
PROVISION_LOCK = 0x0B5E7A


@dataclass(frozen=True)
class RoleNames:
    owner: str = "obsera_owner"
    app: str = "obsera_app"
    system: str = "obsera_system"

    @classmethod
    def from_environment(cls) -> RoleNames:
        return cls(
            owner=given("DB_OWNER_ROLE") or cls.owner,
            app=given("DB_APP_ROLE") or cls.app,
            system=given("DB_SYSTEM_ROLE") or cls.system,
        )


@dataclass(frozen=True)
class DatabaseUrls:
    """What the settings read as DATABASE_URL and DATABASE_OWNER_URL."""

    app: str
    owner: str

    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.app, "DATABASE_OWNER_URL": self.owner}


def provision_roles(
    admin_url: str, *, secret: str, database: str | None = None, for_tests: bool = False
) -> DatabaseUrls:
    """Make the roles and the database where they are missing; safe to repeat.

    `admin_url` names a user who may make roles. `database` is made when given, otherwise the
    URL's own is used. For tests the owner may make databases, and new ones get the same grants.
    """
    names = RoleNames.from_environment()
    with connect(admin_url) as admin:
        is_superuser = _may(admin, "rolsuper")
        with _one_at_a_time(admin):
            owner_url = admin_url
            if is_superuser:
                _ensure_login(admin, names.owner, admin_url, secret, options="INHERIT")
                if for_tests:
                    _run(admin, "ALTER ROLE {} CREATEDB", names.owner)
                owner_url = role_url(admin_url, names.owner, secret)
            _ensure_login(admin, names.app, admin_url, secret)
            _ensure_system(admin, names)
            if database:
                _ensure_database(admin, database, names.owner)
    target = database or database_name(admin_url)
    _grant(with_database(admin_url, target), names, owns=is_superuser)
    if for_tests and is_superuser:
        # New databases are copies of template1, default privileges included.
        _grant(with_database(admin_url, "template1"), names, owns=False)
    return DatabaseUrls(
        app=with_database(role_url(admin_url, names.app, secret), target),
        owner=with_database(owner_url, target),
    )


def may_provision(url: str) -> bool:
    """True when the URL's user can make roles."""
    with connect(url) as connection:
        return _may(connection, "rolsuper") or _may(connection, "rolcreaterole")


# -- connections ------------------------------------------------------------------------------


@contextmanager
def connect(url: str) -> Iterator[Connection]:
    """An autocommit connection; RunError that names host and port when there is none."""
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_SECONDS)
    except psycopg.Error as error:
        raise RunError(
            f"the database at {place(url)} cannot be used: {_reason(error)}",
            mend="check DATABASE_URL (postgresql://user:password@host:5432/database) "
            "and that the server runs,\n"
            "or unset it to use the embedded PostgreSQL: env -u DATABASE_URL make run",
        ) from error
    with connection:
        yield connection


def _reason(error: psycopg.Error) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def place(url: str) -> str:
    """`host:port`, for messages: never user or password."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or DEFAULT_PORT}"


def check_address(url: str) -> None:
    """RunError for what is not `postgresql://…/database`."""
    try:
        parts = urlsplit(url)
        problem = "" if parts.port != 0 else "port 0"
    except ValueError as error:
        problem = str(error)
    else:
        if parts.scheme not in {"postgresql", "postgres"}:
            problem = f'it begins with "{parts.scheme}"'
        elif not parts.path.strip("/"):
            problem = "it names no database"
    if problem:
        raise RunError(
            f"DATABASE_URL is not an address: {problem}.",
            mend="make run DATABASE_URL=postgresql://user:password@host:5432/database",
        )


def database_name(url: str) -> str:
    return urlsplit(url).path.lstrip("/") or "postgres"


def with_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{quote(database)}"))


def role_url(url: str, role: str, secret: str) -> str:
    """The same server and database, signed in as one of our roles."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{role}:{password_of(role, secret)}@{host}"))


def password_of(role: str, secret: str) -> str:
    """Derived, not stored: hosts that share the secret key agree on it."""
    return hmac.new(secret.encode(), f"database role {role}".encode(), hashlib.sha256).hexdigest()


# -- roles ------------------------------------------------------------------------------------


@contextmanager
def _one_at_a_time(admin: Connection) -> Iterator[None]:
    admin.execute("SELECT pg_advisory_lock(%s)", (PROVISION_LOCK,))
    try:
        yield
    finally:
        admin.execute("SELECT pg_advisory_unlock(%s)", (PROVISION_LOCK,))


def _may(connection: Connection, right: str) -> bool:
    query = sql.SQL("SELECT {} FROM pg_roles WHERE rolname = current_user")
    row = connection.execute(query.format(sql.Identifier(right))).fetchone()
    return bool(row and row[0])


def _exists(admin: Connection, role: str) -> bool:
    return bool(admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone())


def _run(connection: Connection, statement: str, *names: str) -> None:
    connection.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))


def _ensure_login(admin: Connection, role: str, url: str, secret: str, *, options: str = "NOINHERIT") -> None:
    """Make the sign-in where it is missing. The owner inherits: before 16 its right to make tables comes that way."""
    if not _exists(admin, role):
        _run(admin, "CREATE ROLE {} LOGIN " + options, role)
    _refuse_powerful(admin, role)
    if not is_accepting(role_url(url, role, secret)):
        password = sql.Literal(password_of(role, secret))
        command = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
        admin.execute(command.format(sql.Identifier(role), password))


def _refuse_powerful(admin: Connection, role: str) -> None:
    """Row-level security means nothing to a superuser or a BYPASSRLS role."""
    query = "SELECT 1 FROM pg_roles WHERE rolname = %s AND (rolsuper OR rolbypassrls)"
    if admin.execute(query, (role,)).fetchone():
        raise RunError(
            f'the database role "{role}" can see every tenant (superuser or BYPASSRLS).',
            mend=f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS;",
        )


def is_accepting(url: str) -> bool:
    """True when the URL's user gets in now."""
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_SECONDS):
            return True
    except psycopg.OperationalError:
        return False


def _ensure_system(admin: Connection, names: RoleNames) -> None:
    if not _exists(admin, names.system):
        _run(admin, "CREATE ROLE {} NOLOGIN NOINHERIT", names.system)
    _refuse_powerful(admin, names.system)
    if admin.info.server_version >= FIRST_MEMBERSHIP_OPTIONS_VERSION:
        _run(admin, "GRANT {} TO {} WITH INHERIT FALSE, SET TRUE", names.system, names.app)
    else:
        _run(admin, "GRANT {} TO {}", names.system, names.app)


# -- database and grants ----------------------------------------------------------------------


def _ensure_database(admin: Connection, database: str, owner: str) -> None:
    query = "SELECT 1 FROM pg_database WHERE datname = %s"
    if not admin.execute(query, (database,)).fetchone():
        _run(admin, "CREATE DATABASE {} OWNER {}", database, owner)


def _grant(url: str, names: RoleNames, *, owns: bool) -> None:
    """Let both roles work with whatever the owner makes in this database, now and later."""
    with connect(url) as admin, _one_at_a_time(admin):
        database = database_name(url)
        is_superuser = _may(admin, "rolsuper")
        owner = names.owner if is_superuser else admin.info.user
        if owns:
            _run(admin, "ALTER DATABASE {} OWNER TO {}", database, owner)
            _run(admin, "GRANT CREATE, USAGE ON SCHEMA public TO {}", owner)
        elif not is_superuser:
            _refuse_closed_schema(admin, owner)
        for role in (names.app, names.system):
            _run(admin, "GRANT CONNECT, TEMPORARY ON DATABASE {} TO {}", database, role)
            _run(admin, "GRANT USAGE ON SCHEMA public TO {}", role)
            for rights in (
                "SELECT, INSERT, UPDATE, DELETE ON TABLES",
                "USAGE, SELECT ON SEQUENCES",
                "EXECUTE ON FUNCTIONS",
            ):
                statement = "ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT " + rights + " TO {}"
                _run(admin, statement, owner, role)


def _refuse_closed_schema(admin: Connection, owner: str) -> None:
    row = admin.execute("SELECT has_schema_privilege('public', 'CREATE')").fetchone()
    if not (row and row[0]):
        raise RunError(
            f'the database user "{owner}" may not create tables in the schema "public".',
            mend=f"as a superuser: ALTER DATABASE {admin.info.dbname} OWNER TO {owner};",
        )
