"""Redis's protocol against a real Valkey and its replica, and against servers that misbehave."""

import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest

from apps.checks.enums import Verdict
from tests.checks.types.asking import ask, flooding, reciting
from tests.peers.tls_front import tls_front
from tests.peers.valkey import PASSWORD, Pair, valkey_pair
from tests.peers.web import serving

pytestmark = pytest.mark.xdist_group("valkey")  # one server is enough


@pytest.fixture(scope="session")
def pair() -> Iterator[Pair]:
    with valkey_pair() as servers:
        yield servers


async def look(port: int, **config: Any) -> Any:
    return await ask("redis", **{"host": "localhost", "port": port, "password": PASSWORD, **config})


async def test_ping_tells_what_the_server_is(pair: Pair) -> None:
    outcome = await look(pair.port)

    with pair.client() as client:
        version = client.info("server")["valkey_version"]
    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert set(outcome.details) == {"version", "role", "clients", "memory", "replicas"}
    assert [outcome.details[name] for name in ("version", "role", "replicas")] == [version, "primary", 1]
    assert outcome.details["memory"] > 100_000


async def test_refused_logins_are_named(pair: Pair) -> None:
    wrong = await look(pair.port, password="wrong")
    nobody = await look(pair.port, password="")
    stranger = await look(pair.port, username="stranger")

    assert [outcome.error_code for outcome in (wrong, nobody, stranger)] == ["login_refused"] * 3
    assert wrong.error_values["answer"].startswith("WRONGPASS ")
    assert nobody.error_values["answer"] == "NOAUTH Authentication required."


async def test_user_with_few_rights_sees_what_it_may(pair: Pair) -> None:
    reader = {"username": "reader", "password": "secret"}
    allowed = await look(pair.port, **reader, database=3, key="app:heartbeat")
    forbidden = await look(pair.port, **reader, key="other")
    unseen = await look(pair.port, **reader, role="primary")

    assert (allowed.error_code, allowed.details) == ("", {})
    assert forbidden.error_code == "login_refused"
    assert (unseen.error_code, unseen.error_values) == ("redis_role_mismatch", {"role": "–", "expected": "primary"})


async def test_key_must_exist_in_its_database(pair: Pair) -> None:
    there = await look(pair.port, database=3, key="app:heartbeat")
    elsewhere = await look(pair.port, key="app:heartbeat")
    beyond = await look(pair.port, database=99)

    assert there.error_code == ""
    assert (elsewhere.error_code, elsewhere.error_values) == ("redis_key_missing", {"key": "app:heartbeat"})
    assert (beyond.error_code, beyond.error_values) == ("service_error", {"answer": "ERR DB index is out of range"})


async def test_role_is_judged(pair: Pair) -> None:
    replica = await look(pair.replica_port, role="replica")
    taken_for_primary = await look(pair.replica_port, role="primary")
    primary = await look(pair.port, role="replica")

    assert (replica.error_code, replica.details["role"]) == ("", "replica")
    assert taken_for_primary.error_values == {"role": "replica", "expected": "primary"}
    assert primary.error_code == "redis_role_mismatch"


async def test_replica_that_lost_its_primary_is_named(pair: Pair) -> None:
    with pair.client(pair.replica_port) as replica:
        replica.replicaof("127.0.0.1", 1)
        try:
            outcome = await look(pair.replica_port, role="replica")
        finally:
            replica.replicaof("127.0.0.1", pair.port)
            while replica.info("replication")["master_link_status"] != "up":
                time.sleep(0.02)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, "redis_replica_alone")


@pytest.mark.usefixtures("trusted")
async def test_tls_is_verified_and_its_certificate_read(pair: Pair, server_tls: ssl.SSLContext) -> None:
    with tls_front(pair.port, server_tls) as port:
        outcome = await look(port, security="tls", key="app:heartbeat", database=3)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.cert_expires_at is not None


async def test_unknown_authority_and_private_address_are_refused(pair: Pair, server_tls: ssl.SSLContext) -> None:
    with tls_front(pair.port, server_tls) as port:
        unknown = await look(port, security="tls")
        private = await look(port, allow_private=False)

    assert (unknown.error_code, private.error_code) == ("tls_unknown_issuer", "address_forbidden")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "wrong_protocol"),
        (b"-LOADING Redis is loading the dataset in memory\r\n", "service_error"),
        (b"-DENIED Redis is running in protected mode\r\n", "service_error"),
        (b"+PONG\r\n$262145\r\n", "wrong_protocol"),
        (b"+PONG\r\n$-9\r\n", "wrong_protocol"),
        (b"+PONG\r\n$99999999999999999999\r\n", "wrong_protocol"),
        (b"+PONG\r\n$\xc2\xb2\r\n", "wrong_protocol"),
        (b"+PONG\r\n*1\r\n$1\r\nx\r\n", "wrong_protocol"),
        (b"+NOPE\r\n", "wrong_protocol"),
        (b":7\r\n", "wrong_protocol"),
        (b"+PONG\r\n-ERR unknown command INFO\r\n", ""),
        (b"+PONG\r\n$-1\r\n", ""),
    ],
)
async def test_what_servers_may_say(said: bytes, code: str) -> None:
    with serving(reciting(said), listens=False) as web:
        outcome = await look(web.port, password="")

    assert outcome.error_code == code


async def test_endless_line_ends_at_its_limit() -> None:
    with serving(lambda c, r: flooding(b"+" * 4_096, web.stopped)(c, r), listens=False) as web:
        outcome = await look(web.port)

    assert (outcome.error_code, outcome.error_values) == ("answer_too_large", {"limit": 4_096})


async def test_user_who_needs_no_password_logs_in(pair: Pair) -> None:
    with pair.client(pair.port) as client:
        client.acl_setuser("open", enabled=True, nopass=True, keys="*", categories=["+@all"])

    welcome = await look(pair.port, username="open", password="", key="app:heartbeat", database=3)
    unknown = await look(pair.port, username="nobody", password="")

    assert (welcome.error_code, unknown.error_code) == ("", "login_refused")


async def test_key_of_another_node_is_not_followed() -> None:
    with serving(reciting(b"+PONG\r\n$-1\r\n-MOVED 866 169.254.169.254:80\r\n"), listens=False) as web:
        outcome = await look(web.port, password="", key="a")

    assert (outcome.error_code, outcome.error_values) == (
        "redis_key_elsewhere",
        {"key": "a", "answer": "MOVED 866 169.254.169.254:80"},
    )
