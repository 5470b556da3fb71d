"""The product does not run as a role that passes by row-level security."""

import time

import psycopg
import pytest
from django.conf import settings
from django.core.checks import run_checks
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from apps.core.checks import role_errors
from config import startup


@pytest.mark.django_db
def test_product_role_passes_the_system_check() -> None:
    assert run_checks(tags=["database"], databases=["default"]) == []


@pytest.mark.django_db(databases=["default", "owner"])
def test_owner_of_the_tables_is_refused() -> None:
    errors = role_errors(connections["owner"])

    assert [(error.id, error.msg) for error in errors] == [
        ("core.E003", f"The database role {settings.DATABASES['owner']['USER']} owns tables or belongs to their owner.")
    ]


class Answering:
    """A connection whose catalogue says what the test wants."""

    def __init__(self, *facts: tuple[object, ...]) -> None:
        self.facts = facts

    def cursor(self) -> "Answering":
        return self

    def __enter__(self) -> "Answering":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def execute(self, *_: object) -> None:
        """Answered by `fetchall`."""

    def fetchall(self) -> list[tuple[object, ...]]:
        return list(self.facts)


def test_superuser_and_bypassing_system_role_are_refused() -> None:
    errors = role_errors(Answering(("postgres", True, False, True), ("obsera_system", False, True, False)))  # type: ignore[arg-type]

    assert [(error.id, error.msg) for error in errors] == [
        ("core.E001", "The database role postgres is a superuser."),
        ("core.E002", "The database role obsera_system has BYPASSRLS."),
    ]


@pytest.mark.django_db(transaction=True)
def test_start_goes_on_with_the_product_role() -> None:
    startup.refuse_unsafe_database_role()


def test_start_is_refused_with_an_unsafe_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "role_errors", lambda _connection: ["The database role x is a superuser."])

    with pytest.raises(startup.UnsafeDatabaseRole, match="x is a superuser"):
        startup.refuse_unsafe_database_role()


def test_start_waits_for_a_database_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [psycopg.OperationalError("away"), "back"]
    asked: list[float] = []

    def ask(_connection: DatabaseWrapper) -> list[str]:
        asked.append(time.monotonic())
        if isinstance(answers.pop(0), Exception):
            from django.db import OperationalError

            raise OperationalError("away")
        return []

    monkeypatch.setattr(startup, "role_errors", ask)
    monkeypatch.setattr(startup, "RETRY_SECONDS", 0.05)

    startup.refuse_unsafe_database_role()

    assert len(asked) == 2
