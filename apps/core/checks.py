"""Refusing to run where the second wall would not hold: as a role that passes by row-level security."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

ROLE_FACTS = """
SELECT rolname, rolsuper, rolbypassrls,
       EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
               WHERE nspname = 'public' AND relkind IN ('r', 'p') AND pg_has_role(role.oid, relowner, 'MEMBER'))
FROM pg_roles AS role WHERE rolname IN (session_user, %s)
"""
HINT = (
    "Let DATABASE_URL name a role that is only granted rights, as `make run` sets it up; DATABASE_OWNER_URL migrates."
)


def role_errors(connection: BaseDatabaseWrapper) -> list[CheckMessage]:
    """Return an error for each way in which a role of the product could see every tenant's rows."""
    with connection.cursor() as cursor:
        cursor.execute(ROLE_FACTS, [settings.DB_SYSTEM_ROLE])
        facts: Sequence[tuple[Any, ...]] = cursor.fetchall()
    errors: list[CheckMessage] = []
    for name, is_superuser, bypasses, owns in facts:
        for is_unsafe, what, number in (
            (is_superuser, "is a superuser", "E001"),
            (bypasses, "has BYPASSRLS", "E002"),
            (owns and not is_superuser, "owns tables or belongs to their owner", "E003"),
        ):
            if is_unsafe:
                errors.append(Error(f"The database role {name} {what}.", hint=HINT, id=f"core.{number}"))
    return errors


@register(Tags.database)
def check_database_role(*, databases: Iterable[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Look at the role that serves requests (not at the owner, who migrates)."""
    return role_errors(connections["default"]) if "default" in (databases or ()) else []
