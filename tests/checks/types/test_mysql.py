"""MySQL's protocol against a real MariaDB, a stand-in for MySQL 8, and servers that misbehave."""

import ssl
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
import trustme
from pymysql import _auth

from apps.checks.enums import Verdict
from apps.checks.types.mysql_login import first_proof
from tests.checks.types.asking import ask, await_end, flooding, reciting
from tests.peers import mysql as mysql8
from tests.peers.mariadb import PASSWORD, MariaDb, mariadb
from tests.peers.mysql import OK, MySql8, greeting, packet
from tests.peers.web import serving

pytestmark = pytest.mark.xdist_group("mariadb")  # one server is enough


@pytest.fixture(scope="session")
def maria(authority: trustme.CA) -> Iterator[MariaDb]:
    with mariadb(authority) as server:
        yield server


async def look(server: MariaDb, /, **config: Any) -> Any:
    given = {"security": "none", "username": "probe", "password": PASSWORD, "database": "shop", **config}
    return await ask("mysql", host="localhost", port=server.port, **given)


async def test_login_without_encryption_shows_the_version(maria: MariaDb) -> None:
    outcome = await look(maria)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details["version"] == maria.run("SELECT version()").strip()


@pytest.mark.usefixtures("trusted")
async def test_tls_is_verified_and_its_certificate_read(maria: MariaDb) -> None:
    query = "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_version'"
    outcome = await look(maria, security="tls", query=query, comparison="contains", expected="TLSv1.3")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.cert_expires_at is not None


async def test_unknown_authority_fails_unless_unverified(maria: MariaDb) -> None:
    outcome = await look(maria, security="tls")
    unverified = await look(maria, security="tls", verify_tls=False)

    assert (outcome.error_code, unverified.error_code) == ("tls_unknown_issuer", "")


async def test_refusals_are_told_apart(maria: MariaDb) -> None:
    wrong = await look(maria, password="wrong")
    stranger = await look(maria, username="stranger")
    missing = await look(maria, database="nowhere")
    private = await look(maria, allow_private=False)

    assert [wrong.error_code, stranger.error_code] == ["login_refused", "login_refused"]
    assert wrong.error_values == {"answer": "1045: Access denied for user 'probe'@'127.0.0.1' (using password: YES)"}
    assert missing.error_code == "database_missing"
    assert private.error_code == "address_forbidden"


async def test_login_by_ed25519_proves_the_password(maria: MariaDb) -> None:
    good = await look(maria, username="modern")
    wrong = await look(maria, username="modern", password="wrong")
    none = await look(maria, username="modern", password="")

    assert (good.verdict, good.error_code) == (Verdict.SUCCESS, "")
    assert [wrong.error_code, none.error_code] == ["login_refused", "login_refused"]


@pytest.mark.parametrize("nonce", [bytes(range(32)), bytes(32), b"\xff" * 31 + b"\0"])
def test_ed25519_is_as_its_witness_has_it(nonce: bytes) -> None:
    ours = first_proof("client_ed25519", PASSWORD, nonce, is_encrypted=False)

    assert ours == _auth.ed25519_password(PASSWORD.encode(), nonce)


async def test_user_without_a_password_logs_in(maria: MariaDb) -> None:
    outcome = await look(maria, username="nopassword", password="", database="")

    assert outcome.error_code == ""


@pytest.mark.parametrize(
    ("query", "comparison", "expected", "code"),
    [
        ("SELECT count(*) FROM orders", "equals", "3", ""),
        ("SELECT count(*) FROM orders", "at_most", "2", "value_mismatch"),
        ("SELECT state FROM orders WHERE id = 2", "contains", "tuc", ""),
        ("SELECT state FROM orders WHERE id = 3", "equals", "x", "query_empty"),
        ("SELECT state FROM orders WHERE id = 9", "equals", "x", "query_empty"),
        ("SELECT repeat('x', 70000)", "equals", "x", "value_mismatch"),
    ],
)
async def test_first_value_is_judged(maria: MariaDb, query: str, comparison: str, expected: str, code: str) -> None:
    outcome = await look(maria, query=query, comparison=comparison, expected=expected)

    assert outcome.error_code == code


async def test_rows_are_counted_up_to_a_thousand(maria: MariaDb) -> None:
    outcome = await look(maria, query="SELECT state FROM orders ORDER BY id")
    capped = await look(maria, query="SELECT seq FROM seq_1_to_5000")

    assert (outcome.details["rows"], outcome.details["value"]) == (3, "open")
    assert (capped.error_code, capped.details["rows"]) == ("", 1_000)


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("DELETE FROM orders", "1792"),
        ("DROP TABLE orders", "1792"),
        ("INSERT INTO orders VALUES (4, 'x')", "1792"),
        ("SELECT 1; DELETE FROM orders", "1064"),
        ("SELECT * FROM nowhere", "1146"),
    ],
)
async def test_query_can_read_only(maria: MariaDb, query: str, number: str) -> None:
    outcome = await look(maria, query=query)

    assert (outcome.error_code, outcome.error_values["answer"].partition(":")[0]) == ("query_failed", number)
    assert maria.run("SELECT count(*) FROM shop.orders") == "3\n"


async def test_slow_query_is_ended_on_the_server_too(maria: MariaDb) -> None:
    outcome = await look(maria, query="SELECT sleep(600)", timeout=3)

    assert outcome.error_code in {"transfer_timeout", "query_failed", ""}
    running = "SELECT count(*) FROM information_schema.processlist WHERE info = 'SELECT sleep(600)'"
    await_end(lambda: maria.run(running) == "0\n")


async def test_server_asking_for_our_files_gets_none() -> None:
    said = greeting() + packet(2, OK) + packet(1, OK) * 4 + packet(1, b"\xfb/etc/passwd")
    with serving(reciting(said), listens=False) as web:
        outcome = await ask("mysql", host="127.0.0.1", port=web.port, security="none", query="SELECT 1")

    assert (outcome.error_code, outcome.error_values) == ("wrong_protocol", {"answer": "\ufffd/etc/passwd"})


@pytest.mark.parametrize(("cached", "secure"), [(True, False), (True, True), (False, True), (False, False)])
async def test_logins_of_mysql_8(server_tls: ssl.SSLContext, cached: bool, secure: bool) -> None:
    way = "fast" if cached else "full over TLS" if secure else "full by RSA"
    server = MySql8(tls=server_tls if secure else None, is_cached=cached)
    with serving(server, listens=False) as web:
        outcome = await ask(
            "mysql",
            host="localhost",
            port=web.port,
            security="tls" if secure else "none",
            verify_tls=False,
            username=mysql8.USER,
            password=mysql8.PASSWORD,
        )
        wrong = await ask(
            "mysql",
            host="localhost",
            port=web.port,
            security="tls" if secure else "none",
            verify_tls=False,
            username=mysql8.USER,
            password="wrong",
        )

    assert (outcome.verdict, outcome.error_code, outcome.details) == (Verdict.SUCCESS, "", {"version": "8.4.3"})
    assert (wrong.error_code, wrong.error_values) == ("login_refused", {"answer": "1045: Access denied"})
    assert server.logins[0] == way


@pytest.mark.parametrize(("cached", "secure"), [(True, False), (True, True), (False, True), (False, False)])
def test_stand_in_for_mysql_8_is_taken_for_one(server_tls: ssl.SSLContext, cached: bool, secure: bool) -> None:
    server = MySql8(tls=server_tls if secure else None, is_cached=cached)
    options: dict[str, Any] = {"ssl_verify_cert": False, "ssl_verify_identity": False} if secure else {}
    with serving(server, listens=False) as web:
        client = pymysql.connections.Connection(
            host="localhost",
            port=web.port,
            user=mysql8.USER,
            password=mysql8.PASSWORD.encode(),
            read_timeout=3,
            defer_connect=True,
            **options,
        )
        # It is let in; then it asks something, which nobody answers.
        with pytest.raises(pymysql.err.OperationalError, match="timed out"):
            client.connect()

    assert server.logins == ["fast" if cached else "full over TLS" if secure else "full by RSA"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "wrong_protocol"),
        (b"\xff\xff\xff\0", "wrong_protocol"),
        (b"\0\0\0\0", "wrong_protocol"),
        (packet(0, b"\x0a8"), "wrong_protocol"),
        (packet(0, b"\x09" + b"x\0" * 60), "wrong_protocol"),
        (packet(0, b"\xff\x10\x04Too many connections"), "service_error"),
        (greeting() + packet(2, b"\x01\x04") + packet(4, b"\x01no key"), "wrong_protocol"),
        (greeting() + packet(2, b"\xfe"), "login_unsupported"),
        (greeting() + packet(2, b"\xfemysql_clear_password\0"), "login_unsupported"),
        (greeting() + packet(2, b"\xfeclient_ed25519\0short"), "wrong_protocol"),
        (greeting() + packet(9, b"\0"), "wrong_protocol"),
        (
            greeting() + b"".join(packet(n, b"\xfemysql_native_password\0" + b"x" * 20) for n in range(2, 40, 2)),
            "wrong_protocol",
        ),
    ],
)
async def test_what_servers_may_say(said: bytes, code: str) -> None:
    with serving(reciting(said), listens=False) as web:
        outcome = await ask("mysql", host="127.0.0.1", port=web.port, security="none", password="x")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)


async def test_server_without_tls_is_named() -> None:
    with serving(reciting(greeting(abilities=0)), listens=False) as web:
        outcome = await ask("mysql", host="127.0.0.1", port=web.port)

    assert outcome.error_code == "encryption_missing"


async def test_flood_ends_at_the_limit() -> None:
    with serving(lambda c, r: flooding(packet(0, b"x" * 1_000), web.stopped)(c, r), listens=False) as web:
        outcome = await ask("mysql", host="127.0.0.1", port=web.port, security="none")

    assert outcome.error_code == "wrong_protocol"


def _noting(said: list[bytes], heard: list[bytes]) -> Any:
    """Return a handler that says one piece at a time and notes what it hears after each."""

    def note(connection: Any, _request: bytes) -> None:
        for piece in said:
            connection.sendall(piece)
            heard.append(connection.recv(65_536))

    return note


async def test_password_is_not_shown_to_a_server_that_greets_with_the_wish_for_it() -> None:
    heard: list[bytes] = []
    with serving(_noting([greeting("mysql_clear_password")], heard), listens=False) as web:
        outcome = await ask("mysql", host="127.0.0.1", port=web.port, security="none", username="a", password="s3cret!")

    assert (outcome.error_code, outcome.error_values) == ("login_unsupported", {"offered": "mysql_clear_password"})
    assert heard == [b""]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize(("knows", "code"), [(0x200000, ""), (0, "login_unsupported")])
async def test_password_longer_than_a_byte_can_tell(server_tls: ssl.SSLContext, knows: int, code: str) -> None:
    heard: list[bytes] = []

    def long_login(connection: Any, _request: bytes) -> None:
        connection.sendall(greeting("sha256_password", mysql8.ABILITIES | knows))
        connection.recv(36)
        with server_tls.wrap_socket(connection, server_side=True) as secured:
            heard.append(secured.recv(65_536))
            secured.sendall(packet(3, OK))
            secured.recv(100)

    with serving(long_login, listens=False) as web:
        outcome = await ask("mysql", host="localhost", port=web.port, username="a", password="p" * 700)

    assert outcome.error_code == code
    if knows:
        assert b"a\0\xfc\xbd\x02" + b"p" * 700 + b"\0sha256_password\0" in heard[0]
