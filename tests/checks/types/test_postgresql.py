"""PostgreSQL against real servers, and against servers that misbehave."""

import struct
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import trustme

from apps.checks.enums import Verdict
from apps.checks.types.postgresql import PostgresqlConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask, await_end, flooding, reciting
from tests.peers.debian import skip
from tests.peers.postgres import PASSWORD, USERS, Database, debian_binaries, postgres
from tests.peers.web import serving

pytestmark = pytest.mark.xdist_group("postgres")  # one server is enough


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def encrypted(authority: trustme.CA) -> Iterator[Database]:
    binaries = debian_binaries()
    if binaries is None:
        skip("PostgreSQL with TLS", package="postgresql")
    with postgres(authority, binaries) as server:
        yield server


async def look(server: Database, /, **config: Any) -> Any:
    given = {"security": "none", "username": "scram_user", "password": PASSWORD, "database": "shop", **config}
    return await ask("postgresql", host="localhost", port=server.port, **given)


@pytest.mark.parametrize("user", USERS)
async def test_every_way_to_log_in_works(database: Database, user: str) -> None:
    outcome = await look(database, username=user)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details["version"].startswith(f"{database.major}.")


@pytest.mark.parametrize("user", ["scram_user", "md5_user", "clear_user"])
async def test_wrong_password_is_named(database: Database, user: str) -> None:
    outcome = await look(database, username=user, password="wrong")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "login_refused")
    assert outcome.error_values == {"answer": f'28P01: password authentication failed for user "{user}"'}


async def test_unknown_user_and_missing_database_are_told_apart(database: Database) -> None:
    user = await look(database, username="stranger")
    missing = await look(database, database="nowhere")
    closed = await look(database, database="vault")

    assert (user.error_code, missing.error_code, closed.error_code) == (
        "login_refused",
        "database_missing",
        "database_missing",
    )
    assert missing.error_values == {"answer": '3D000: database "nowhere" does not exist'}


@pytest.mark.usefixtures("trusted")
async def test_tls_is_verified_and_its_certificate_read(encrypted: Database) -> None:
    outcome = await look(encrypted, security="tls", query="SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")

    assert (outcome.verdict, outcome.error_code, outcome.details["value"]) == (Verdict.SUCCESS, "", "t")
    assert outcome.tls_ms is not None
    assert outcome.cert_expires_at is not None


async def test_unknown_authority_fails_unless_unverified(encrypted: Database) -> None:
    outcome = await look(encrypted, security="tls")
    unverified = await look(encrypted, security="tls", verify_tls=False)

    assert (outcome.error_code, unverified.error_code) == ("tls_unknown_issuer", "")


async def test_server_without_tls_is_named(database: Database) -> None:
    outcome = await look(database, security="tls")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "encryption_missing")


@pytest.mark.parametrize(
    ("query", "comparison", "expected", "code"),
    [
        ("SELECT count(*) FROM orders", "equals", "3", ""),
        ("SELECT count(*) FROM orders", "equals", "3.0", ""),
        ("SELECT count(*) FROM orders", "equals", "4", "value_mismatch"),
        ("SELECT count(*) FROM orders", "differs", "3", "value_mismatch"),
        ("SELECT count(*) FROM orders", "at_least", "3", ""),
        ("SELECT count(*) FROM orders", "at_most", "2", "value_mismatch"),
        ("SELECT state FROM orders WHERE id = 2", "contains", "tuc", ""),
        ("SELECT state FROM orders WHERE id = 2", "contains", "ok", "value_lacks"),
        ("SELECT state FROM orders WHERE id = 2", "at_least", "2", "value_not_a_number"),
        ("SELECT state FROM orders WHERE id = 3", "equals", "", "query_empty"),
        ("SELECT state FROM orders WHERE id = 9", "equals", "", "query_empty"),
        ("SELECT 'NaN'::float", "at_most", "2", "value_not_a_number"),
    ],
)
async def test_first_value_is_judged(database: Database, query: str, comparison: str, expected: str, code: str) -> None:
    outcome = await look(database, query=query, comparison=comparison, expected=expected)

    assert outcome.error_code == code


async def test_rows_and_first_value_are_shown(database: Database) -> None:
    outcome = await look(database, query="SELECT state, id FROM orders ORDER BY id")
    capped = await look(database, query="SELECT g FROM generate_series(1, 5000) g")

    assert (outcome.details["rows"], outcome.details["value"]) == (3, "open")
    assert (capped.error_code, capped.details["rows"], capped.details["value"]) == ("", 1_000, "1")


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("DELETE FROM orders", "25006: cannot execute DELETE in a read-only transaction"),
        ("DROP TABLE orders", "25006: cannot execute DROP TABLE in a read-only transaction"),
        ("SELECT 1; DELETE FROM orders", "42601: cannot insert multiple commands into a prepared statement"),
        ("SELECT", ""),
        ("SELECT * FROM nowhere", '42P01: relation "nowhere" does not exist'),
        ("SELECT 1/0", "22012: division by zero"),
        ("COPY orders TO STDOUT", "COPY"),
    ],
)
async def test_query_can_read_only(database: Database, query: str, answer: str) -> None:
    outcome = await look(database, username="open_user", query=query)

    assert outcome.error_code == ("query_failed" if answer else "")
    assert outcome.error_values == ({"answer": answer} if answer else {})
    with psycopg.connect(host="127.0.0.1", port=database.port, user="open_user", dbname="shop") as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (3,)


async def test_query_that_ends_the_transaction_changes_nothing(database: Database) -> None:
    outcome = await look(database, query="COMMIT")

    assert outcome.error_code == ""


SLOW_QUERY = "SELECT pg_sleep(600)"
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE query = %s"


async def test_slow_query_is_ended_on_the_server_too(database: Database) -> None:
    outcome = await look(database, query=SLOW_QUERY, timeout=3)

    assert outcome.error_code in {"transfer_timeout", "query_failed"}
    with psycopg.connect(host="127.0.0.1", port=database.port, user="admin", dbname="shop") as connection:
        connection.autocommit = True
        await_end(lambda: connection.execute(RUNNING, (SLOW_QUERY,)).fetchone() == (0,))


async def test_role_is_judged(database: Database) -> None:
    primary = await look(database, role="primary")
    standby = await look(database, role="standby")

    assert (primary.error_code, primary.details["role"]) == ("", "primary")
    assert (standby.error_code, standby.error_values) == (
        "postgresql_role_mismatch",
        {"role": "primary", "expected": "standby"},
    )


async def test_private_address_is_refused(database: Database) -> None:
    outcome = await look(database, allow_private=False)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "address_forbidden")


def message(tag: bytes, body: bytes) -> bytes:
    return tag + struct.pack("!i", len(body) + 4) + body


def demand(code: int, rest: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!i", code) + rest)


SCRAM = demand(10, b"SCRAM-SHA-256\0\0")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "wrong_protocol"),
        (b"R\x7f\xff\xff\xff", "wrong_protocol"),
        (b"R\0\0\0\x03", "wrong_protocol"),
        (demand(7), "login_unsupported"),
        (demand(10, b"SCRAM-SHA-256-PLUS\0\0"), "login_unsupported"),
        (demand(11, b"r=x,s=QUJD,i=4096"), "login_unsupported"),
        (SCRAM + demand(11, b"r=x,s=QUJD,i=4096"), "wrong_protocol"),
        (SCRAM + demand(12, b"v=QUJD"), "server_unproven"),
        (SCRAM + demand(0), "server_unproven"),
        (message(b"E", b"SFATAL\0C53300\0Mtoo many clients\0\0"), "service_error"),
        (demand(0) + message(b"Z", b"I"), ""),
    ],
)
async def test_what_servers_may_say(said: bytes, code: str) -> None:
    with serving(reciting(said), listens=False) as web:
        outcome = await ask("postgresql", host="127.0.0.1", port=web.port, security="none", password="x")

    assert outcome.error_code == code


async def test_endless_notices_end_at_the_limit() -> None:
    notice = message(b"N", b"x" * 60_000)
    with serving(lambda c, r: flooding(notice, web.stopped)(c, r), listens=False) as web:
        outcome = await ask("postgresql", host="127.0.0.1", port=web.port, security="none", password="x")

    assert (outcome.error_code, outcome.error_values) == ("answer_too_large", {"limit": 1_048_576})


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"comparison": "equals", "expected": "1"}, "query"),
        ({"query": "SELECT 1", "comparison": "at_least", "expected": "many"}, "expected"),
        ({"query": "SELECT 1", "comparison": "contains"}, "expected"),
        ({"username": ""}, "username"),
        ({"database": "a\0b"}, "database"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, object], wrong: str) -> None:
    with pytest.raises(ConfigErrors) as refused:
        parse_config(PostgresqlConfig, {"host": "db.example.com", **given})

    assert set(refused.value.errors) == {wrong}


async def test_login_without_end_is_given_up() -> None:
    """Each round would cost a hundred thousand rounds of hashing."""
    demand = b"R" + struct.pack("!ii", 12, 5) + b"salt"
    with serving(reciting(demand * 100), listens=False) as web:
        outcome = await ask("postgresql", host="127.0.0.1", port=web.port, security="none", password="x")

    assert outcome.error_code == "wrong_protocol"
    assert outcome.body_bytes is not None


async def test_login_is_answered_six_times_at_most() -> None:
    heard: list[bytes] = []
    demand = b"R" + struct.pack("!ii", 12, 5) + b"salt"

    def ask_again(connection: Any, _request: bytes) -> None:
        connection.recv(65_536)
        for _number in range(20):
            connection.sendall(demand)
            answer = connection.recv(65_536)
            if not answer:
                return
            heard.append(answer)

    with serving(ask_again, listens=False) as web:
        outcome = await ask("postgresql", host="127.0.0.1", port=web.port, security="none", password="x")

    assert (outcome.error_code, len(heard)) == ("wrong_protocol", 6)
