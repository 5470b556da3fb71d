"""A database as the release before left it, with its rows; and this release's commands on it, as an installation runs them."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

from tests.upgrade import release

PROJECT = Path(__file__).resolve().parents[2]
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
MIGRATE_TO = """
import json, sys
import django; django.setup()
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
state, absent = json.loads(sys.argv[1])
executor = MigrationExecutor(connections["owner"])
ours = {app for app, _name in executor.loader.applied_migrations}
others = [leaf for leaf in executor.loader.graph.leaf_nodes() if leaf[0] not in {*state, *absent}]
executor.migrate([*state.items(), *((app, None) for app in absent if app in ours), *others])
"""
# With its tenant's column or without; not what Django keeps about models and migrations.
TABLES = """
SELECT relname::text, EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id' AND NOT attisdropped)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition
  AND relname NOT IN ('django_migrations', 'django_content_type', 'auth_permission') ORDER BY 1
"""
Stored = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Installation:
    """A database of its own, named as the settings of tests name the one of a worker called so."""

    worker: str

    @property
    def database(self) -> str:
        return str(settings.DATABASES["default"]["NAME"]).removesuffix(WORKER) + self.worker

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTEST_XDIST_WORKER": self.worker}

    @contextmanager
    def connected(self, alias: str = "default") -> Iterator[psycopg.Connection[Any]]:
        """Connect as the product, or as the "owner", who migrates."""
        with _connect(alias, self.database) as connection:
            connection.execute("SET TIME ZONE 'UTC'")
            yield connection

    def write(self, rows: list[tuple[str, release.Row]]) -> None:
        with self.connected() as connection:
            for table, row in rows:
                connection.execute(_role(is_tenants="tenant_id" in row))
                release.write(connection, table, row)

    def read(self) -> Stored:
        """Return all rows of all tables, in the order of their text."""
        stored: Stored = {}
        with self.connected() as connection:
            for table, is_tenants in connection.execute(TABLES).fetchall():
                connection.execute(_role(is_tenants=is_tenants))
                rows = sql.SQL("SELECT to_jsonb(t) FROM {} AS t ORDER BY to_jsonb(t)::text").format(
                    sql.Identifier(table)
                )
                stored[table] = [row for (row,) in connection.execute(rows).fetchall()]
        return stored

    def run(self, *arguments: str) -> str:
        """Run this release's Python on the database to its end, and return what it prints."""
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=PROJECT, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def upgrade(self) -> None:
        """Do what a start of this release does."""
        self.run("manage.py", "migrate", "--database", "owner", "--no-input")

    def go_back(self) -> None:
        """Make the schema that of the release before."""
        self.run("-c", MIGRATE_TO, json.dumps([release.STATE, release.ABSENT]))


def _connect(alias: str, database: str) -> psycopg.Connection[Any]:
    to = settings.DATABASES[alias]
    return psycopg.connect(
        host=to["HOST"], port=to["PORT"], user=to["USER"], password=to["PASSWORD"], dbname=database, autocommit=True
    )


def _role(*, is_tenants: bool) -> sql.Composed:
    """What belongs to tenants is seen by the role of the system alone."""
    role = settings.DB_SYSTEM_ROLE if is_tenants else settings.DB_APP_ROLE
    return sql.SQL("SET ROLE {}").format(sql.Identifier(role))


def _remake(admin: psycopg.Connection[Any], database: str, template: str) -> None:
    names = {"name": sql.Identifier(database), "template": sql.Identifier(template)}
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {name} WITH (FORCE)").format(**names))
    admin.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
    roles = sql.SQL(", ").join(map(sql.Identifier, (settings.DB_APP_ROLE, settings.DB_SYSTEM_ROLE)))
    admin.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {name} TO {roles}").format(**names, roles=roles))


@contextmanager
def _copy_of(template: Installation | None, name: str) -> Iterator[Installation]:
    copy = Installation(f"{WORKER}_{name}")
    with _connect("owner", "postgres") as admin:
        _remake(admin, copy.database, template.database if template else "template0")
        try:
            yield copy
        finally:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(copy.database)))


@pytest.fixture(scope="module")
def left_behind() -> Iterator[Installation]:
    """What the release before left behind. Nobody changes it."""
    with _copy_of(None, "before") as before:
        before.go_back()
        before.write(release.rows("acme"))
        yield before


@pytest.fixture(scope="module")
def upgraded_once(left_behind: Installation) -> Iterator[Installation]:
    """The same after the upgrade. Nobody changes it."""
    with _copy_of(left_behind, "after") as after:
        after.upgrade()
        yield after


@pytest.fixture
def old(left_behind: Installation) -> Iterator[Installation]:
    """An installation of the release before, to be upgraded."""
    with _copy_of(left_behind, "old") as copy:
        yield copy


@pytest.fixture
def upgraded(upgraded_once: Installation) -> Iterator[Installation]:
    """An upgraded installation, to work with."""
    with _copy_of(upgraded_once, "new") as copy:
        yield copy
