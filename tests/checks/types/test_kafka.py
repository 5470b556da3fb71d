"""Kafka's protocol against librdkafka's own cluster, a stand-in with logins, and servers that misbehave."""

import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer

from apps.checks.enums import Verdict
from apps.checks.types.kafka import KafkaConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask, flooding, reciting
from tests.peers.kafka import MECHANISMS, PASSWORD, USER, Kafka, KafkaAdminClient, KafkaError
from tests.peers.web import serving


@contextmanager
def running(server: Kafka, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    with serving(server, listens=False, tls=tls) as web:
        server.port = web.port
        yield web.port


async def look(port: int, **config: Any) -> Any:
    return await ask("kafka", host="localhost", port=port, **config)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_stand_in_is_taken_for_kafka_by_a_client_of_its_own(mechanism: str) -> None:
    options = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": mechanism, "sasl_plain_username": USER}
    with running(Kafka(brokers=[1], needs_login=True)) as port:
        place = f"127.0.0.1:{port}"
        client = KafkaAdminClient(
            bootstrap_servers=place, sasl_plain_password=PASSWORD, bootstrap_timeout_ms=60_000, **options
        )
        topics = client.describe_topics(["orders"])
        client.close()
        with pytest.raises(KafkaError):
            KafkaAdminClient(
                bootstrap_servers=place, sasl_plain_password="wrong", bootstrap_timeout_ms=500, **options
            ).close()

    assert [(topic["name"], len(topic["partitions"])) for topic in topics] == [("orders", 2)]


@pytest.fixture(scope="module")
def rdkafka() -> Iterator[Producer]:
    """Three brokers that live in librdkafka, with a topic `orders` of four partitions."""
    producer = Producer({"bootstrap.servers": "its own", "test.mock.num.brokers": 3, "log_level": 0})
    producer.produce("orders", b"an order")
    assert producer.flush(60) == 0
    yield producer
    producer.close()


async def test_cluster_of_librdkafka_is_seen_through_each_broker(rdkafka: Producer) -> None:
    brokers = rdkafka.list_topics(timeout=60).brokers.values()
    config = {"host": "127.0.0.1", "topic": "orders", "min_brokers": 3, "needs_replicas": True}
    outcomes = [await ask("kafka", port=broker.port, **config) for broker in brokers]

    assert [(outcome.verdict, outcome.error_code) for outcome in outcomes] == [(Verdict.SUCCESS, "")] * 3
    for outcome in outcomes:
        assert (outcome.details["brokers"], outcome.details["partitions"]) == (3, 4)
        assert (outcome.details["leaderless"], outcome.details["under_replicated"]) == (0, 0)


async def test_asking_for_a_topic_never_makes_it(rdkafka: Producer) -> None:
    port = next(iter(rdkafka.list_topics(timeout=60).brokers.values())).port
    outcomes = [await ask("kafka", host="127.0.0.1", port=port, topic="nowhere") for _time in range(2)]

    assert [outcome.error_code for outcome in outcomes] == ["kafka_topic_missing"] * 2
    assert list(rdkafka.list_topics(timeout=60).topics) == ["orders"]


async def test_cluster_and_topic_are_seen() -> None:
    server = Kafka()
    with running(server) as port:
        outcome = await look(port, topic="orders", min_brokers=3, needs_replicas=True)

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details == {
        "cluster": "a-cluster",
        "brokers": 3,
        "controller": 1,
        "partitions": 2,
        "leaderless": 0,
        "under_replicated": 0,
    }
    assert [request.allow_auto_topic_creation for request in server.asked[1:]] == [False]


async def test_without_a_topic_none_is_asked_for() -> None:
    server = Kafka()
    with running(server) as port:
        outcome = await look(port)

    assert (outcome.error_code, outcome.details) == ("", {"cluster": "a-cluster", "brokers": 3, "controller": 1})
    assert server.asked[1].topics == []


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_every_login_works_and_is_needed(mechanism: str) -> None:
    with running(Kafka(needs_login=True)) as port:
        good = await look(port, username=USER, password=PASSWORD, mechanism=mechanism)
        wrong = await look(port, username=USER, password="wrong", mechanism=mechanism)
        nobody = await look(port, mechanism=mechanism)

    assert (good.verdict, good.error_code) == (Verdict.SUCCESS, "")
    assert (wrong.error_code, nobody.error_code) == ("login_refused", "login_refused")
    assert wrong.error_values == {"answer": "Authentication failed during authentication due to invalid probe"}


async def test_login_that_is_not_offered_is_named() -> None:
    with running(Kafka(mechanisms=("PLAIN", "GSSAPI"))) as port:
        outcome = await look(port, username=USER, password=PASSWORD)

    assert (outcome.error_code, outcome.error_values) == ("login_unsupported", {"offered": "PLAIN, GSSAPI"})


@pytest.mark.parametrize(
    ("config", "code", "values"),
    [
        ({"min_brokers": 4}, "kafka_brokers_missing", {"count": 3, "limit": 4}),
        ({"topic": "nowhere"}, "kafka_topic_missing", {"topic": "nowhere"}),
        ({"topic": "headless"}, "kafka_leader_missing", {"count": 1, "partitions": 2, "topic": "headless"}),
        ({"topic": "empty"}, "kafka_leader_missing", {"count": 0, "partitions": 0, "topic": "empty"}),
        ({"topic": "thin"}, "", {}),
        (
            {"topic": "thin", "needs_replicas": True},
            "kafka_replicas_missing",
            {"count": 1, "partitions": 1, "topic": "thin"},
        ),
    ],
)
async def test_what_is_wanted_of_the_cluster_is_judged(
    config: dict[str, Any], code: str, values: dict[str, Any]
) -> None:
    topics = {"headless": [(1, [1], [1]), (-1, [2], [])], "empty": [], "thin": [(1, [1, 2], [1])]}
    with running(Kafka(topics=topics)) as port:
        outcome = await look(port, **config)

    assert (outcome.error_code, outcome.error_values) == (code, values)


async def test_broker_that_would_make_topics_is_not_asked() -> None:
    with running(Kafka(ranges={3: (0, 3), 18: (0, 0)})) as port:
        outcome = await look(port)

    assert (outcome.error_code, outcome.error_values) == ("kafka_too_old", {"lowest": 0, "highest": 3})


@pytest.mark.usefixtures("trusted")
async def test_tls_is_verified_and_its_certificate_read(server_tls: ssl.SSLContext) -> None:
    with running(Kafka(), tls=server_tls) as port:
        outcome = await look(port, security="tls", topic="orders")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.cert_expires_at is not None


async def test_unknown_authority_and_private_address_are_refused(server_tls: ssl.SSLContext) -> None:
    with running(Kafka(), tls=server_tls) as port:
        unknown = await look(port, security="tls")
        private = await look(port, allow_private=False)

    assert (unknown.error_code, private.error_code) == ("tls_unknown_issuer", "address_forbidden")


def frame(number: int, body: bytes) -> bytes:
    return struct.pack("!ii", len(body) + 4, number) + body


VERSIONS = frame(1, struct.pack("!hihhh", 0, 1, 3, 0, 13))


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "wrong_protocol"),
        (b"\0\0\0\0", "wrong_protocol"),
        (b"\xff\xff\xff\xff", "wrong_protocol"),
        (frame(9, b"\0\0"), "wrong_protocol"),
        (frame(1, b""), "wrong_protocol"),
        (frame(1, b"\0\x23"), "service_error"),
        (frame(1, b"\0\0\x7f\xff\xff\xff"), "wrong_protocol"),
        (VERSIONS + frame(2, b"\0\0\0\0\x7f\xff\xff\xff"), "wrong_protocol"),
        (VERSIONS + frame(2, b"\0\0\0\0\0\0\0\x01\0\0\0\x01\x7f\xff"), "wrong_protocol"),
        (VERSIONS + frame(2, struct.pack("!iihii", 0, 0, -1, 1, 0)), "kafka_brokers_missing"),
    ],
)
async def test_what_servers_may_say(said: bytes, code: str) -> None:
    with serving(reciting(said), listens=False) as web:
        outcome = await look(web.port)

    assert (outcome.verdict, outcome.error_code) == (Verdict.FAILURE, code)


async def test_flood_ends() -> None:
    with serving(lambda c, r: flooding(VERSIONS * 100, web.stopped)(c, r), listens=False) as web:
        outcome = await look(web.port)

    assert outcome.error_code == "wrong_protocol"


def test_replicas_of_no_topic_are_refused() -> None:
    with pytest.raises(ConfigErrors) as refused:
        parse_config(KafkaConfig, {"host": "kafka.example.com", "needs_replicas": True})

    assert set(refused.value.errors) == {"topic"}
