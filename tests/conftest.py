"""What every test may use: a real database of its own per process, a real Redis, tenants and people."""

import os
from collections.abc import Iterator

import hypothesis
import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connections, router
from django.db.models.signals import post_migrate  # noqa: TID251 - no model's signal
from psycopg import sql

from apps.accounts.models import User
from apps.checks.models import Region
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories import make_tenant, make_user

os.environ.setdefault(
    "DJANGO_ALLOW_ASYNC_UNSAFE", "true"
)  # Playwright's sync API keeps an event loop in the test's thread
hypothesis.settings.load_profile("ci")  # the same examples everywhere, and no time limit for a busy machine to break


def _admin() -> psycopg.Connection[tuple[object, ...]]:
    owner = settings.DATABASES["owner"]
    return psycopg.connect(
        host=owner["HOST"],
        port=owner["PORT"],
        user=owner["USER"],
        password=owner["PASSWORD"],
        dbname="postgres",
        autocommit=True,
    )


@pytest.fixture(scope="session")
def django_db_setup(django_db_blocker: pytest.FixtureRequest) -> Iterator[None]:
    """Make this process's database as its owner, migrate it, and hand it to the role that owns nothing."""
    name = settings.DATABASES["default"]["NAME"]
    roles = sql.SQL(", ").join(map(sql.Identifier, (settings.DB_APP_ROLE, settings.DB_SYSTEM_ROLE)))
    with _admin() as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        admin.execute(sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {}").format(sql.Identifier(name), roles))
    with django_db_blocker.unblock():
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        with connections["owner"].cursor() as cursor:  # TransactionTestCase empties tables between tests
            cursor.execute(f'GRANT TRUNCATE ON ALL TABLES IN SCHEMA public TO "{settings.DB_APP_ROLE}"')
        regions = list(Region.objects.using("owner").all())
        connections["owner"].close()

    def bring_back_regions(using: str, **_details: object) -> None:
        """Put back what a migration made; runs after each emptying too."""
        Region.objects.using(using).bulk_create(regions, ignore_conflicts=True)

    post_migrate.connect(bring_back_regions, sender=apps.get_app_config("checks"), weak=False)
    router.routers = []  # from here on `default` may name its tables, so that TransactionTestCase finds what to empty
    yield
    with django_db_blocker.unblock():
        connections.close_all()
    with _admin() as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def owner(db: None) -> User:
    """A person who owns `acme`."""
    return make_user("olga@acme.example")


@pytest.fixture
def acme(owner: User) -> Tenant:
    """A tenant with an owner. No scope is open."""
    return make_tenant("Acme", owner)


@pytest.fixture
def globex(db: None) -> Tenant:
    """A second tenant: the stranger."""
    return make_tenant("Globex", make_user("gustav@globex.example"))


@pytest.fixture
def in_acme(acme: Tenant) -> Iterator[Tenant]:
    """`acme` with its scope open for the whole test."""
    with tenant_scope(acme.id):
        yield acme
