"""PostgreSQL and Redis for the product or the tests: the given ones, else embedded ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg
import redis

from config.run.errors import RunError
from config.run.given import given
from config.run.parts import Part
from config.run.paths import private_folder, var_folder
from config.run.postgres import Cluster, prepare_cluster
from config.run.private_files import read_or_create_secret
from config.run.roles import (
    CONNECT_SECONDS,
    DatabaseUrls,
    RoleNames,
    check_address,
    database_name,
    is_accepting,
    may_provision,
    provision_roles,
)
from config.run.supervisor import Supervisor
from config.run.valkey import Cache, is_ready, prepare_cache

START_SECONDS = 60.0


@dataclass(frozen=True)
class Plan:
    """Which services to use; a URL that is None means: run our own below `home`."""

    home: Path
    database: str
    database_url: str | None
    owner_url: str | None
    redis_url: str | None
    is_durable: bool
    for_tests: bool = False


def product_plan() -> Plan:
    """The services of `make run`."""
    return Plan(
        home=var_folder(),
        database="obsera",
        database_url=given("DATABASE_URL") or None,
        owner_url=given("DATABASE_OWNER_URL") or None,
        redis_url=given("REDIS_URL") or None,
        is_durable=True,
    )


def plan_for_tests() -> Plan:
    """The services of `make test`: given ones win, else throw-away ones below `var/test`."""

    def chosen(name: str) -> str | None:
        return given(f"TEST_{name}") or given(name) or None

    return Plan(
        home=var_folder() / "test",
        database="obsera_test",
        database_url=chosen("DATABASE_URL"),
        owner_url=chosen("DATABASE_OWNER_URL"),
        redis_url=chosen("REDIS_URL"),
        is_durable=False,
        for_tests=True,
    )


def start_services(plan: Plan, supervisor: Supervisor) -> dict[str, str]:
    """Start what is ours, provision the database; the environment for every other process."""
    private_folder(plan.home)
    urls = _start_database(plan, supervisor)
    redis_url = _checked_redis(plan.redis_url) if plan.redis_url else _start_redis(plan, supervisor)
    return {**urls.environment(), "REDIS_URL": redis_url}


def secret_key() -> str:
    """The installation's secret: given, or made on the first start."""
    return given("SECRET_KEY") or read_or_create_secret(private_folder(var_folder()) / "secret-key")


def _checked_redis(url: str) -> str:
    """The given address, once it has answered: without Redis nothing reminds the workers."""
    try:
        with redis.Redis.from_url(
            url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=CONNECT_SECONDS
        ) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise RunError(
            f"the Redis of REDIS_URL cannot be used: {error}",
            mend="check REDIS_URL (redis://:password@host:6379/0) and that the server runs,\n"
            "or unset it to use the embedded one: env -u REDIS_URL make run",
        ) from error
    return url


def _start_redis(plan: Plan, supervisor: Supervisor) -> str:
    cache: Cache = prepare_cache(plan.home / "redis")
    supervisor.start(cache.part())
    supervisor.wait_until(lambda: is_ready(cache), seconds=START_SECONDS, what="redis")
    return cache.url


def _start_database(plan: Plan, supervisor: Supervisor) -> DatabaseUrls:
    if plan.database_url:
        return _given_database(plan, plan.database_url)
    cluster: Cluster = prepare_cluster(plan.home / "postgres", is_durable=plan.is_durable)
    part: Part = cluster.part()
    supervisor.start(part)
    supervisor.wait_until(lambda: is_accepting(cluster.url()), seconds=START_SECONDS, what="postgres")
    return provision_roles(cluster.url(), secret=secret_key(), database=plan.database, for_tests=plan.for_tests)


def _given_database(plan: Plan, url: str) -> DatabaseUrls:
    check_address(url)
    if plan.owner_url:
        return DatabaseUrls(app=url, owner=plan.owner_url)
    if may_provision(url):
        return _provision_given(plan, url)
    names = RoleNames.from_environment()
    raise RunError(
        "the user in DATABASE_URL may not make roles, and DATABASE_OWNER_URL is not given.",
        mend="as a superuser of that server:\n"
        f"CREATE ROLE {names.owner} LOGIN PASSWORD 'choose-one';\n"
        f"CREATE ROLE {names.app} LOGIN NOINHERIT PASSWORD 'choose-another';\n"
        f"CREATE ROLE {names.system} NOLOGIN NOINHERIT;\n"
        f"GRANT {names.system} TO {names.app};\n"
        f"ALTER DATABASE {database_name(url)} OWNER TO {names.owner};\n"
        f"then give both: DATABASE_URL=postgresql://{names.app}:…@host/database "
        f"DATABASE_OWNER_URL=postgresql://{names.owner}:…@host/database make run",
    )


def _provision_given(plan: Plan, url: str) -> DatabaseUrls:
    try:
        return provision_roles(url, secret=secret_key(), for_tests=plan.for_tests)
    except psycopg.Error as error:
        raise RunError(
            f"the database of DATABASE_URL cannot be prepared: {error}",
            mend="give a superuser's address for the first start, or both addresses of a prepared database:\n"
            "make run DATABASE_URL=… DATABASE_OWNER_URL=…",
        ) from error
