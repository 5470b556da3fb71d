"""The embedded PostgreSQL and its roles, on the pinned version and on every one that is installed here."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import errors

from config.run import postgres, services
from config.run.errors import RunError
from config.run.postgres import Cluster, prepare_cluster
from config.run.roles import DatabaseUrls, check_address, connect, is_accepting, password_of, provision_roles, role_url
from config.run.services import Plan, start_services
from config.run.supervisor import Supervisor
from tests.peers.process import free_port

SECRET = "a secret that hosts share"


@pytest.fixture
def urls(cluster: Cluster) -> DatabaseUrls:
    return provision_roles(cluster.url(), secret=SECRET, database="obsera")


def test_cluster_answers_with_its_password_only(cluster: Cluster) -> None:
    wrong = cluster.url().replace(cluster.password, "wrong")

    assert is_accepting(cluster.url())
    assert not is_accepting(wrong)
    assert (cluster.home / "password").stat().st_mode & 0o777 == 0o600


def test_product_signs_in_as_a_role_that_owns_nothing_and_bypasses_nothing(urls: DatabaseUrls) -> None:
    with connect(urls.app) as app:
        row = app.execute(
            "SELECT current_user, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolinherit"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
    with connect(urls.owner) as owner:
        owner_row = owner.execute(
            "SELECT current_user, rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert row == ("obsera_app", False, False, False, False, False)
    assert owner_row == ("obsera_owner", False, False, False)


def test_app_switches_to_system_but_has_none_of_its_rights_before(urls: DatabaseUrls) -> None:
    with connect(urls.owner) as owner:
        owner.execute("DROP TABLE IF EXISTS secret; CREATE TABLE secret (id int)")
        owner.execute("REVOKE ALL ON secret FROM obsera_app")

    with connect(urls.app) as app, app.transaction():
        with pytest.raises(errors.InsufficientPrivilege), app.transaction():
            app.execute("SELECT * FROM secret")
        app.execute("SELECT set_config('role', 'obsera_system', true)")
        assert app.execute("SELECT current_user, count(*) FROM secret").fetchone() == ("obsera_system", 0)


def test_both_roles_work_with_what_the_owner_makes_but_change_no_table(urls: DatabaseUrls) -> None:
    with connect(urls.owner) as owner:
        owner.execute("DROP TABLE IF EXISTS thing; CREATE TABLE thing (id serial)")

    for role in ("obsera_app", "obsera_system"):
        with connect(urls.app) as app:
            app.execute(f"SET ROLE {role}")
            app.execute("INSERT INTO thing DEFAULT VALUES")
            app.execute("CREATE TEMP TABLE staged (id int)")
            with pytest.raises(errors.InsufficientPrivilege):
                app.execute("ALTER TABLE thing ADD COLUMN more int")
            with pytest.raises(errors.InsufficientPrivilege):
                app.execute("CREATE TABLE other (id int)")


def test_system_role_cannot_sign_in(cluster: Cluster, urls: DatabaseUrls) -> None:
    assert not is_accepting(role_url(urls.app, "obsera_system", SECRET))


def test_provisioning_twice_changes_nothing(cluster: Cluster, urls: DatabaseUrls) -> None:
    def state() -> list[tuple[object, ...]]:
        with connect(cluster.url("obsera")) as admin:
            roles = admin.execute("SELECT * FROM pg_authid WHERE rolname LIKE 'obsera%' ORDER BY rolname").fetchall()
            rights = admin.execute("SELECT defaclrole, defaclobjtype, defaclacl::text FROM pg_default_acl").fetchall()
            return [*roles, *rights]

    before = state()
    again = provision_roles(cluster.url(), secret=SECRET, database="obsera")

    assert again == urls
    assert state() == before


def test_another_secret_takes_the_roles_over(cluster: Cluster, urls: DatabaseUrls) -> None:
    provision_roles(cluster.url(), secret="another", database="obsera")

    assert not is_accepting(urls.app)
    assert provision_roles(cluster.url(), secret=SECRET, database="obsera") == urls
    assert is_accepting(urls.app)


def test_role_that_bypasses_row_security_is_refused(cluster: Cluster, urls: DatabaseUrls) -> None:
    with connect(cluster.url()) as admin:
        admin.execute("ALTER ROLE obsera_app BYPASSRLS")
    try:
        with pytest.raises(RunError, match='the database role "obsera_app" can see every tenant') as caught:
            provision_roles(cluster.url(), secret=SECRET, database="obsera")
    finally:
        with connect(cluster.url()) as admin:
            admin.execute("ALTER ROLE obsera_app NOBYPASSRLS")

    assert caught.value.mend == "ALTER ROLE obsera_app NOSUPERUSER NOBYPASSRLS;"


def test_owner_of_test_services_makes_databases_that_both_roles_may_use(cluster: Cluster) -> None:
    urls = provision_roles(cluster.url(), secret=SECRET, database="obsera_test", for_tests=True)
    with connect(urls.owner) as owner:
        owner.execute("DROP DATABASE IF EXISTS made_by_tests")
        owner.execute("CREATE DATABASE made_by_tests")
    with connect(urls.owner.replace("/obsera_test", "/made_by_tests")) as owner:
        owner.execute("CREATE TABLE thing (id serial)")

    with connect(urls.app.replace("/obsera_test", "/made_by_tests")) as app:
        app.execute("INSERT INTO thing DEFAULT VALUES")
        assert app.execute("SELECT count(*) FROM thing").fetchone() == (1,)

    with connect(cluster.url()) as admin:
        admin.execute("DROP DATABASE made_by_tests")
        admin.execute("ALTER ROLE obsera_owner NOCREATEDB")


# -- a given database -------------------------------------------------------------------------


def given(cluster: Cluster, url: str, owner_url: str | None = None) -> Plan:
    return Plan(cluster.home, "obsera", url, owner_url, None, is_durable=True)


def make_customer(cluster: Cluster, rights: str) -> str:
    """A database `customer` that belongs to a sign-in with the given rights."""
    with connect(cluster.url()) as admin:
        admin.execute("DROP DATABASE IF EXISTS customer")
        if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = 'customer'").fetchone():
            admin.execute("DROP OWNED BY customer CASCADE; DROP ROLE customer")
        for role in ("obsera_system", "obsera_app"):
            if admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                for database in ("template1", "obsera", "obsera_test", "postgres"):
                    if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone():
                        with connect(cluster.url(database)) as there:
                            there.execute(f"DROP OWNED BY {role} CASCADE")  # type: ignore[arg-type]
                admin.execute(f"DROP ROLE {role}")  # type: ignore[arg-type]
        admin.execute(f"CREATE ROLE customer LOGIN PASSWORD 'pass' {rights}")  # type: ignore[arg-type]
        admin.execute("CREATE DATABASE customer OWNER customer")
    return cluster.url("customer").replace(f"postgres:{cluster.password}", "customer:pass")


def test_given_user_who_may_make_roles_becomes_the_owner(
    cluster: Cluster, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    url = make_customer(cluster, "CREATEROLE")

    environment = start_services(given(cluster, url), supervisor)

    assert environment["DATABASE_OWNER_URL"] == url
    assert urlsplit(environment["DATABASE_URL"]).username == "obsera_app"
    with connect(url) as owner:
        owner.execute("CREATE TABLE thing (id serial)")
    with connect(environment["DATABASE_URL"]) as app:
        app.execute("INSERT INTO thing DEFAULT VALUES")
        app.execute("SET ROLE obsera_system")
        app.execute("INSERT INTO thing DEFAULT VALUES")


def test_given_user_without_that_right_is_told_the_sql_to_run(cluster: Cluster, supervisor: Supervisor) -> None:
    url = make_customer(cluster, "")

    with pytest.raises(RunError, match="may not make roles, and DATABASE_OWNER_URL is not given") as caught:
        start_services(given(cluster, url), supervisor)

    assert "GRANT obsera_system TO obsera_app;" in caught.value.mend.splitlines()
    assert "ALTER DATABASE customer OWNER TO obsera_owner;" in caught.value.mend.splitlines()


def test_given_user_without_a_right_on_the_schema_is_told(
    cluster: Cluster, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    url = make_customer(cluster, "CREATEROLE")
    with connect(cluster.url()) as admin:
        admin.execute("ALTER DATABASE customer OWNER TO postgres")

    with pytest.raises(RunError, match='"customer" may not create tables in the schema "public"') as caught:
        start_services(given(cluster, url), supervisor)

    assert caught.value.mend == "as a superuser: ALTER DATABASE customer OWNER TO customer;"


def test_refusal_of_the_given_database_is_told_without_a_traceback(
    cluster: Cluster, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", SECRET)
    # A role name that PostgreSQL keeps for itself.
    monkeypatch.setenv("DB_APP_ROLE", "pg_obsera")
    url = make_customer(cluster, "CREATEROLE")

    with pytest.raises(RunError, match='cannot be prepared: role name "pg_obsera" is reserved'):
        start_services(given(cluster, url), supervisor)


def test_given_pair_of_addresses_is_used_as_it_is(cluster: Cluster, supervisor: Supervisor) -> None:
    environment = start_services(given(cluster, "postgresql://a@b/c", "postgresql://d@b/c"), supervisor)

    assert (environment["DATABASE_URL"], environment["DATABASE_OWNER_URL"]) == (
        "postgresql://a@b/c",
        "postgresql://d@b/c",
    )


def test_unreachable_database_is_named_without_its_password() -> None:
    port = free_port()

    with pytest.raises(RunError, match=rf"the database at 127\.0\.0\.1:{port} cannot be used: ") as caught:
        provision_roles(f"postgresql://me:hidden@127.0.0.1:{port}/obsera", secret=SECRET)

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://host:port/x", "Port could not be cast to integer value as 'port'"),
        ("mysql://host/x", 'it begins with "mysql"'),
        ("postgresql://host", "it names no database"),
    ],
)
def test_address_that_is_none_is_refused(url: str, problem: str) -> None:
    with pytest.raises(RunError) as caught:
        check_address(url)

    assert caught.value.problem == f"DATABASE_URL is not an address: {problem}."


def test_unreachable_redis_is_told(tmp_path: Path, supervisor: Supervisor) -> None:
    plan = Plan(tmp_path, "x", "postgresql://a@b/c", "postgresql://d@b/c", f"redis://127.0.0.1:{free_port()}/0", True)

    with pytest.raises(RunError, match="the Redis of REDIS_URL cannot be used: "):
        start_services(plan, supervisor)


def test_passwords_differ_by_role_and_secret() -> None:
    words = {password_of(role, secret) for role in ("a", "b") for secret in ("x", "y")}

    assert len(words) == 4


# -- the data folder --------------------------------------------------------------------------


def test_killed_server_comes_back_with_its_data(
    tmp_path: Path, supervisor: Supervisor, wait_for: Callable[..., None]
) -> None:
    cluster = prepare_cluster(tmp_path / "postgres", is_durable=True)
    supervisor.start(cluster.part())
    wait_for(lambda: is_accepting(cluster.url()))
    with psycopg.connect(cluster.url(), autocommit=True) as admin:
        admin.execute("CREATE TABLE kept AS SELECT 7 AS number")

    first = json.loads((tmp_path / "parts.json").read_text())["postgres"]
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: json.loads((tmp_path / "parts.json").read_text()).get("postgres", first) != first)
    wait_for(lambda: is_accepting(cluster.url()))

    with psycopg.connect(cluster.url()) as admin:
        assert admin.execute("SELECT number FROM kept").fetchone() == (7,)
        assert admin.execute("SHOW fsync").fetchone() == ("on",)


def test_prepared_folder_keeps_port_and_password(tmp_path: Path) -> None:
    first = prepare_cluster(tmp_path / "postgres", is_durable=False)
    # What a first start that was interrupted leaves behind is no obstacle.
    (tmp_path / "postgres" / "data.new").mkdir()

    assert prepare_cluster(tmp_path / "postgres", is_durable=False) == first


def test_data_of_another_version_is_not_touched(tmp_path: Path) -> None:
    data = tmp_path / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("14\n")

    with pytest.raises(RunError, match=r"was made by PostgreSQL 14, this one is \d+\."):
        prepare_cluster(tmp_path / "postgres", is_durable=False)


def test_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "NEEDED_BYTES", 2**60)

    with pytest.raises(RunError, match="a database needs"):
        prepare_cluster(tmp_path / "postgres", is_durable=False)

    assert not (tmp_path / "postgres" / "data").exists()


def test_missing_binaries_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OBSERA_POSTGRES_BIN", str(tmp_path))

    with pytest.raises(RunError, match="no PostgreSQL server was found"):
        prepare_cluster(tmp_path / "postgres", is_durable=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_root_without_namespaces_uses_an_unprivileged_user(
    tmp_path: Path, supervisor: Supervisor, wait_for: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = postgres.unprivileged_user()
    monkeypatch.setattr(postgres, "find_identity", lambda _binaries: f"user:{nobody}")

    cluster = prepare_cluster(tmp_path / "postgres", is_durable=False)
    supervisor.start(cluster.part())
    wait_for(lambda: is_accepting(cluster.url()))

    pid = json.loads((tmp_path / "parts.json").read_text())["postgres"]
    assert cluster.data.stat().st_uid == nobody
    assert f"Uid:\t{nobody}\t{nobody}\t" in Path(f"/proc/{pid}/status").read_text()


def test_embedded_pair_of_services_starts_and_is_provisioned(
    tmp_path: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSERA_VAR", str(tmp_path))
    monkeypatch.delenv("SECRET_KEY", raising=False)
    plan = Plan(tmp_path / "home", "obsera", None, None, None, is_durable=False)

    environment = start_services(plan, supervisor)

    assert set(environment) == {"DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"}
    assert is_accepting(environment["DATABASE_URL"])
    assert services.secret_key() == (tmp_path / "secret-key").read_text()
