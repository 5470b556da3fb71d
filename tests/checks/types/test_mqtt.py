"""MQTT against a real Mosquitto, and against servers that misbehave."""

from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from apps.checks.enums import Verdict
from apps.checks.types.mqtt import MqttConfig
from apps.core.kinds import ConfigErrors, parse_config
from tests.checks.types.asking import ask, flooding, reciting
from tests.peers.mosquitto import PASSWORD, USER, Mosquitto, mosquitto
from tests.peers.web import serving

pytestmark = pytest.mark.xdist_group("mosquitto")  # one server is enough

VERSIONS = ["3.1.1", "5"]


@pytest.fixture(scope="session")
def broker(authority: trustme.CA) -> Iterator[Mosquitto]:
    with mosquitto(authority) as server:
        yield server


async def look(port: int, **config: Any) -> Any:
    return await ask("mqtt", **{"host": "localhost", "port": port, "username": USER, "password": PASSWORD, **config})


@pytest.mark.parametrize("version", VERSIONS)
async def test_message_comes_back(broker: Mosquitto, version: str) -> None:
    outcome = await look(broker.port, version=version, topic="open/écho")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.details["round_trip"] > 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_connection_alone_is_enough(broker: Mosquitto, version: str) -> None:
    outcome = await look(broker.port, version=version)

    assert (outcome.verdict, outcome.details) == (Verdict.SUCCESS, {})


@pytest.mark.parametrize("version", VERSIONS)
async def test_refused_logins_are_named(broker: Mosquitto, version: str) -> None:
    wrong = await look(broker.port, version=version, password="wrong")
    nobody = await look(broker.port, version=version, username="", password="")

    assert (wrong.verdict, wrong.error_code, nobody.error_code) == (
        Verdict.FAILURE,
        "login_refused",
        "login_refused",
    )
    assert wrong.error_values == {"answer": "5: not authorized" if version == "3.1.1" else "135: not authorized"}


async def test_topic_that_may_not_be_written_is_named(broker: Mosquitto) -> None:
    told = await look(broker.port, version="5", topic="read/echo")
    silent = await look(broker.port, version="3.1.1", topic="read/echo", timeout=3)

    assert (told.error_code, told.error_values) == (
        "mqtt_topic_refused",
        {"topic": "read/echo", "answer": "135: not authorized"},
    )
    assert (silent.verdict, silent.error_code, silent.error_values) == (
        Verdict.FAILURE,
        "mqtt_no_echo",
        {"topic": "read/echo"},
    )


@pytest.mark.usefixtures("trusted")
async def test_tls_is_verified_and_its_certificate_read(broker: Mosquitto) -> None:
    outcome = await look(broker.tls_port, security="tls", topic="open/echo")

    assert (outcome.verdict, outcome.error_code) == (Verdict.SUCCESS, "")
    assert outcome.cert_expires_at is not None


async def test_unknown_authority_and_private_address_are_refused(broker: Mosquitto) -> None:
    unknown = await look(broker.tls_port, security="tls")
    private = await look(broker.port, allow_private=False)

    assert (unknown.error_code, private.error_code) == ("tls_unknown_issuer", "address_forbidden")


WELCOME = b"\x20\x02\0\0"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (WELCOME, ""),
        (b"\x20\x02\0\x01", "mqtt_version_refused"),
        (b"\x20\x02\0\x03", "service_error"),
        (b"\x20\x02\0\x63", "service_error"),
        (b"\x20\x01\0", "wrong_protocol"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4, "wrong_protocol"),
        (b"\x20\xff\xff\xff\xff\x01", "wrong_protocol"),
        (b"\x20\xff\xff\x7f" + b"x" * 100, "wrong_protocol"),
        (b"\x20\0", "wrong_protocol"),
    ],
)
async def test_what_servers_may_say(said: bytes, code: str) -> None:
    with serving(reciting(said), listens=False) as web:
        outcome = await look(web.port)

    assert outcome.error_code == code


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (WELCOME + b"\x90\x03\0\x01\x80", "mqtt_topic_refused"),
        (WELCOME + b"\x90\x02\0\x01", "wrong_protocol"),
        (WELCOME + b"\x90\x03\0\x01\0" + b"\xe0\x01\x8b", "service_error"),
        (WELCOME + b"\x90\x03\0\x01\0" + b"\x30\x05\0\x03abc", "mqtt_no_echo"),
    ],
)
async def test_what_servers_may_say_to_a_topic(said: bytes, code: str) -> None:
    with serving(reciting(said), listens=False) as web:
        outcome = await look(web.port, topic="abc", timeout=2)

    assert outcome.error_code == code


async def test_flood_of_foreign_messages_ends() -> None:
    foreign = b"\x30\x05\0\x03abc"
    with serving(
        lambda c, r: flooding(foreign, web.stopped, first=WELCOME + b"\x90\x03\0\x01\0")(c, r), listens=False
    ) as web:
        outcome = await look(web.port, topic="abc")

    assert outcome.error_code == "mqtt_no_echo"


@pytest.mark.parametrize("topic", ["a/#", "+/b"])
def test_topic_for_many_is_refused(topic: str) -> None:
    with pytest.raises(ConfigErrors) as refused:
        parse_config(MqttConfig, {"host": "mqtt.example.com", "topic": topic})

    assert set(refused.value.errors) == {"topic"}
