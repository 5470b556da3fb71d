"""MongoDB's messages against a server built on pymongo's own BSON, and against servers that misbehave."""

import ssl
import struct
from typing import Any

import bson
import pymongo
import pymongo.errors
import pytest

from apps.checks.enums import Verdict
from tests.checks.types.asking import ask, flooding, reciting
from tests.peers.mongo import PASSWORD, USER, Mongo
from tests.peers.web import serving

PRIMARY = {
    "isWritablePrimary": True,
    "setName": "rs0",
    "hosts": ["a:1", "b:1"],
    "passives": ["c:1"],
    "arbiters": ["d:1"],
    "primary": "a:1",
}


async def look(port: int, **config: Any) -> Any:
    return await ask("mongodb", **{"host": "localhost", "port": port, **config})


OLD = {"mechanisms": ("SCRAM-SHA-1",)}
OLDEST: dict[str, Any] = {"mechanisms": ()}


@pytest.mark.parametrize("ways", [{}, OLD, OLDEST])
def test_stand_in_is_taken_for_mongodb_by_its_own_client(ways: dict[str, Any]) -> None:
    server = Mongo(needs_login=True, **ways)
    with serving(server, listens=False) as web:
        options: dict[str, Any] = {"directConnection": True, "retryReads": False}
        with pymongo.MongoClient("127.0.0.1", web.port, username=USER, password=PASSWORD, **options) as client:
            assert client.admin.command("ping") == {"ok": 1.0}
            assert client.server_info()["version"] == "7.0.14"
        wrong = pymongo.MongoClient("127.0.0.1", web.port, username=USER, password="wrong", **options)
        with wrong, pytest.raises(pymongo.errors.OperationFailure, match="Authentication failed"):
            wrong.admin.command("ping")


async def test_greeting_ping_and_facts() -> None:
    server = Mongo(about=PRIMARY)
    with serving(server, listens=False) as web:
        outcome = await look(web.port, role="primary", replica_set="rs0")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details == {
        "role": "primary",
        "replica_set": "rs0",
        "members": 4,
        "primary": "a:1",
        "version": "7.0.14",
    }
    assert server.commands == ["hello", "ping", "buildInfo"]


async def test_login_works_and_is_needed() -> None:
    with serving(Mongo(needs_login=True), listens=False) as web:
        good = await look(web.port, username=USER, password=PASSWORD)
        wrong = await look(web.port, username=USER, password="wrong")
        stranger = await look(web.port, username="stranger", password=PASSWORD)
        elsewhere = await look(web.port, username=USER, password=PASSWORD, auth_database="shop")
        nobody = await look(web.port)

    assert (good.verdict, good.error_code) == (Verdict.SUCCESS, "")
    assert [outcome.error_code for outcome in (wrong, stranger, elsewhere, nobody)] == ["login_refused"] * 4
    assert wrong.error_values == {"answer": "AuthenticationFailed: Authentication failed."}
    assert nobody.error_values == {"answer": "Unauthorized: Command ping requires authentication"}


@pytest.mark.parametrize("ways", [OLD, OLDEST, {"mechanisms": ("SCRAM-SHA-1", "SCRAM-SHA-256")}])
async def test_login_goes_the_way_that_the_server_knows(ways: dict[str, Any]) -> None:
    with serving(Mongo(needs_login=True, **ways), listens=False) as web:
        good = await look(web.port, username=USER, password=PASSWORD)
        wrong = await look(web.port, username=USER, password="wrong")

    assert (good.verdict, good.error_code) == (Verdict.SUCCESS, "")
    assert wrong.error_code == "login_refused"


async def test_login_that_only_others_know_is_named() -> None:
    with serving(Mongo(needs_login=True, mechanisms=("PLAIN", "GSSAPI")), listens=False) as web:
        outcome = await look(web.port, username=USER, password=PASSWORD)

    assert (outcome.error_code, outcome.error_values) == ("login_unsupported", {"offered": "PLAIN, GSSAPI"})


@pytest.mark.parametrize(
    ("about", "role"),
    [
        ({"isWritablePrimary": True}, "primary"),
        ({"ismaster": True}, "primary"),
        ({"secondary": True, "isWritablePrimary": False}, "secondary"),
        ({"isWritablePrimary": True, "msg": "isdbgrid"}, "router"),
        ({"arbiterOnly": True}, "other"),
    ],
)
async def test_role_is_judged(about: dict[str, Any], role: str) -> None:
    with serving(Mongo(about=about), listens=False) as web:
        outcomes = [await look(web.port, role=wanted) for wanted in ("any", "primary", "secondary", "router")]

    assert {outcome.details["role"] for outcome in outcomes} == {role}
    assert [outcome.error_code for outcome in outcomes] == [
        "",
        *("" if role == wanted else "mongodb_role_mismatch" for wanted in ("primary", "secondary", "router")),
    ]


async def test_other_replica_set_is_named() -> None:
    with serving(Mongo(about=PRIMARY), listens=False) as web:
        other = await look(web.port, replica_set="rs1")
    with serving(Mongo(), listens=False) as web:
        none = await look(web.port, replica_set="rs1")

    assert (other.error_code, other.error_values) == ("mongodb_set_mismatch", {"name": "rs0", "expected": "rs1"})
    assert none.error_values == {"name": "–", "expected": "rs1"}


@pytest.mark.usefixtures("trusted")
async def test_tls_is_verified_and_its_certificate_read(server_tls: ssl.SSLContext) -> None:
    with serving(Mongo(), listens=False, tls=server_tls) as web:
        outcome = await look(web.port, security="tls")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.cert_expires_at is not None


async def test_unknown_authority_and_private_address_are_refused(server_tls: ssl.SSLContext) -> None:
    with serving(Mongo(), listens=False, tls=server_tls) as web:
        unknown = await look(web.port, security="tls")
        private = await look(web.port, allow_private=False)

    assert (unknown.error_code, private.error_code) == ("tls_unknown_issuer", "address_forbidden")


def reply(document: dict[str, Any] | bytes, number: int = 1, kind: int = 2013, section: int = 0) -> bytes:
    body = b"\0\0\0\0" + bytes([section]) + (document if isinstance(document, bytes) else bson.encode(document))
    return struct.pack("<iiii", len(body) + 16, 9, number, kind) + body


HELLO = reply({"ok": 1.0, "isWritablePrimary": True})
UNKNOWN_WAY = {"ok": 0.0, "code": 334, "errmsg": "no"}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "wrong_protocol"),
        (struct.pack("<iiii", 2**31 - 1, 9, 1, 2013), "wrong_protocol"),
        (struct.pack("<iiii", 16, 9, 1, 2013), "wrong_protocol"),
        (reply({"ok": 1.0}, number=5), "wrong_protocol"),
        (reply({"ok": 1.0}, kind=1), "wrong_protocol"),
        (reply({"ok": 1.0}, section=1), "wrong_protocol"),
        (reply(b"\xff" * 20), "wrong_protocol"),
        (reply({"ok": 0.0, "code": 11600, "codeName": "InterruptedAtShutdown", "errmsg": "bye"}), "service_error"),
        (HELLO + reply(UNKNOWN_WAY, number=2) + reply(UNKNOWN_WAY, number=3), "login_unsupported"),
        (HELLO + reply({"ok": 1.0, "done": True, "conversationId": 1, "payload": "text"}, number=2), "wrong_protocol"),
        (HELLO + reply({"ok": 1.0, "done": True, "conversationId": 1, "payload": b"r=x"}, number=2), "wrong_protocol"),
        (HELLO + reply({"ok": 1.0, "done": True}, number=2), "wrong_protocol"),
    ],
)
async def test_what_servers_may_say(said: bytes, code: str) -> None:
    with serving(reciting(said), listens=False) as web:
        outcome = await look(web.port, username=USER, password="x")

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)


async def test_server_of_before_hello_is_greeted_in_the_old_words() -> None:
    unknown = reply({"ok": 0.0, "code": 59, "errmsg": "no such command: 'hello'"})
    said = unknown + reply({"ok": 1.0, "ismaster": True}, 2) + reply({"ok": 1.0}, 3) + reply({"ok": 1.0}, 4)
    with serving(reciting(said), listens=False) as web:
        outcome = await look(web.port)

    assert (outcome.error_code, outcome.details) == ("", {"role": "primary"})


async def test_flood_ends_at_the_limit() -> None:
    with serving(lambda c, r: flooding(HELLO * 50, web.stopped)(c, r), listens=False) as web:
        outcome = await look(web.port)

    assert outcome.error_code == "wrong_protocol"
