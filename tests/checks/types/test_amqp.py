"""AMQP against a real RabbitMQ, and against servers that misbehave."""

import struct
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from apps.checks.enums import Verdict
from apps.checks.types.amqp import AmqpConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask, flooding, reciting
from tests.peers.rabbitmq import PASSWORD, USER, RabbitMq, rabbitmq
from tests.peers.web import serving

pytestmark = pytest.mark.xdist_group("rabbitmq")  # one server is enough


@pytest.fixture(scope="session")
def broker(authority: trustme.CA) -> Iterator[RabbitMq]:
    with rabbitmq(authority) as server:
        yield server


async def look(port: int, **config: Any) -> Any:
    given = {"host": "localhost", "port": port, "username": USER, "password": PASSWORD, "vhost": "shop", **config}
    return await ask("amqp", **given)


async def test_login_and_queue_are_seen(broker: RabbitMq) -> None:
    outcome = await look(broker.port, queue="orders", max_messages=3)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert {**outcome.details, "version": ""} == {"product": "RabbitMQ", "version": "", "messages": 3, "consumers": 0}
    assert outcome.details["version"].count(".") == 2


async def test_limits_of_the_queue_are_judged(broker: RabbitMq) -> None:
    long = await look(broker.port, queue="orders", max_messages=2)
    unread = await look(broker.port, queue="orders", min_consumers=1)
    with broker.client() as client, client.channel() as channel:
        channel.basic_qos(0, 1, False)
        channel.basic_consume("orders", callback=lambda _message: None)
        read = await look(broker.port, queue="orders", min_consumers=1)

    assert (long.error_code, long.error_values) == ("amqp_queue_long", {"count": 3, "queue": "orders", "limit": 2})
    assert (unread.error_code, unread.error_values) == (
        "amqp_consumers_missing",
        {"count": 0, "queue": "orders", "limit": 1},
    )
    assert (read.error_code, read.details["consumers"]) == ("", 1)


async def test_asking_for_a_queue_never_makes_it(broker: RabbitMq) -> None:
    outcomes = [await look(broker.port, queue="elsewhere") for _time in range(2)]

    assert [(outcome.error_code, outcome.error_values) for outcome in outcomes] == [
        ("amqp_queue_missing", {"queue": "elsewhere"})
    ] * 2


async def test_refusals_are_told_apart(broker: RabbitMq) -> None:
    wrong = await look(broker.port, password="wrong")
    closed = await look(broker.port, vhost="vault")
    missing = await look(broker.port, vhost="nowhere")
    private = await look(broker.port, allow_private=False)

    assert (wrong.verdict, wrong.error_code) == (Verdict.FAILURE, "login_refused")
    assert wrong.error_values["answer"].startswith("403: ACCESS_REFUSED - Login was refused")
    assert (closed.error_code, missing.error_code) == ("amqp_vhost_refused", "amqp_vhost_refused")
    assert missing.error_values == {"vhost": "nowhere", "answer": "530: NOT_ALLOWED - vhost nowhere not found"}
    assert private.error_code == "address_forbidden"


@pytest.mark.usefixtures("trusted")
async def test_tls_is_verified_and_its_certificate_read(broker: RabbitMq) -> None:
    outcome = await look(broker.tls_port, security="tls", queue="orders")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.cert_expires_at is not None


async def test_unknown_authority_fails(broker: RabbitMq) -> None:
    outcome = await look(broker.tls_port, security="tls")

    assert outcome.error_code == "tls_self_signed"  # Erlang sends its root along


def frame(body: bytes, kind: int = 1, end: bytes = b"\xce") -> bytes:
    return struct.pack("!BHI", kind, 0, len(body)) + body + end


def start(table: bytes = b"", mechanisms: bytes = b"PLAIN") -> bytes:
    head = struct.pack("!HHBB", 10, 10, 0, 9)
    return frame(head + struct.pack("!I", len(table)) + table + struct.pack("!I", len(mechanisms)) + mechanisms)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"AMQP\x00\x01\x00\x00", "wrong_protocol"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "wrong_protocol"),
        (b"\x01\0\0\x7f\xff\xff\xff", "wrong_protocol"),
        (frame(b"\0\x0a"), "wrong_protocol"),
        (frame(b"\0\x0a\0\x0a\0\x09", end=b"\0"), "wrong_protocol"),
        (frame(b"\0\x0a\0\x0a\0\x09"), "wrong_protocol"),
        (frame(b"\0\x3c\0\x0a"), "wrong_protocol"),
        (start(table=b"\x07product?"), "wrong_protocol"),
        (start(table=b"\xffshort"), "wrong_protocol"),
        (start(mechanisms=b"EXTERNAL"), "login_unsupported"),
        (frame(b"\0\x0a\0\x32\x01\x40\x04bye!\0\0\0\0"), "service_error"),
        (start() + frame(b"\0\x0a\0\x32\x02\x14\x05alarm\0\0\0\0"), "service_error"),
    ],
)
async def test_what_servers_may_say(said: bytes, code: str) -> None:
    with serving(reciting(said), listens=False) as web:
        outcome = await look(web.port)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)


async def test_endless_heartbeats_end() -> None:
    with serving(lambda c, r: flooding(frame(b"", kind=8) * 50, web.stopped)(c, r), listens=False) as web:
        outcome = await look(web.port)

    assert outcome.error_code == "wrong_protocol"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [({"max_messages": 0}, "queue"), ({"username": ""}, "username"), ({"max_messages": -2}, "max_messages")],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, object], wrong: str) -> None:
    with pytest.raises(ConfigErrors) as refused:
        parse_config(AmqpConfig, {"host": "mq.example.com", **given})

    assert set(refused.value.errors) == {wrong}


@pytest.mark.parametrize("name", ["vhost", "queue"])
def test_name_that_a_frame_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse_config(AmqpConfig, {"host": "mq.example.com", "username": "a", name: "ü" * 128})

    assert list(caught.value.errors) == [name]
    assert parse_config(AmqpConfig, {"host": "mq.example.com", "username": "a", name: "ü" * 127 + "u"})
