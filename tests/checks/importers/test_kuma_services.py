"""Uptime Kuma's databases, brokers and conditions: as secured as they were, and every promise that is lost is named."""

import json
from typing import Any

import pytest

from apps.checks.importers.registry import IMPORTERS

TLS = {"security": "tls", "verify_tls": True}
LAX = {"security": "tls", "verify_tls": False}
PLAIN = {"security": "none"}
PLACE = {"host": "db.example", "port": 7_000, "username": "kuma", "password": "s3cret"}
LOGIN = "kuma:s3cret@db.example:7000"
TOPIC_LOST = (
    "Its topic stays behind: Uptime Kuma listens there, and a check here would send to it. It connects and logs in."
)


def brought(**monitor: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the settings of the check that a monitor becomes, and what is reported of it."""
    backup = {"monitorList": [{"id": 1, "name": "One", **monitor}]}
    read = IMPORTERS.get("uptime_kuma").read(json.dumps(backup).encode())
    return (dict(read.checks[0]["config"]) if read.checks else None), [
        str(loss.reason) for loss in read.losses if loss.name == "One"
    ]


def left(option: str) -> str:
    return f"“{option}” of its connection string stays behind."


@pytest.mark.parametrize(
    ("query", "security", "lost"),
    [
        ("", PLAIN, []),
        ("?sslmode=disable", PLAIN, []),
        ("?ssl=false", PLAIN, []),
        ("?ssl=true", TLS, []),
        ("?sslmode=require", TLS, []),
        ("?sslmode=verify-full", TLS, []),
        ("?sslmode=no-verify", LAX, []),
        ("?sslmode=require&uselibpqcompat=true", LAX, []),
        ("?sslmode=verify-full&uselibpqcompat=true", TLS, []),
        ("?sslrootcert=/app/ca.pem", TLS, [left("sslrootcert")]),
    ],
)
def test_postgres_is_secured_as_its_address_says(query: str, security: dict[str, Any], lost: list[str]) -> None:
    found = brought(type="postgres", databaseConnectionString=f"postgres://{LOGIN}/shop{query}")

    assert found == ({**PLACE, **security, "database": "shop"}, lost)


@pytest.mark.parametrize(
    ("query", "security", "lost"),
    [
        ("", PLAIN, []),
        ('?ssl={"rejectUnauthorized":true}', TLS, []),
        ('?ssl={"rejectUnauthorized":false}', LAX, []),
        ('?ssl={"ca":"x"}', TLS, [left("ssl")]),
        ("?ssl=Amazon%20RDS", TLS, [left("ssl")]),
        ("?ssl-mode=REQUIRED", PLAIN, [left("ssl-mode")]),
    ],
)
def test_mysql_is_secured_as_its_address_says(query: str, security: dict[str, Any], lost: list[str]) -> None:
    found = brought(type="mysql", databaseConnectionString=f"mysql://{LOGIN}/shop{query}")

    assert found == ({**PLACE, **security, "database": "shop"}, lost)


def test_mysql_password_that_stands_in_a_field_of_its_own() -> None:
    found = brought(type="mysql", databaseConnectionString="mysql://kuma@db.example:7000/shop", radiusPassword="s3cret")

    assert found == ({**PLACE, **PLAIN, "database": "shop"}, [])


@pytest.mark.parametrize(
    ("address", "ignores", "settings"),
    [
        (f"redis://{LOGIN}", False, PLAIN),
        (f"redis://{LOGIN}/5", False, {**PLAIN, "database": 5}),
        (f"rediss://{LOGIN}/5", False, {**TLS, "database": 5}),
        (f"rediss://{LOGIN}", True, LAX),
    ],
)
def test_redis_keeps_its_encryption_and_its_database(address: str, ignores: bool, settings: dict[str, Any]) -> None:
    found = brought(type="redis", databaseConnectionString=address, ignoreTls=ignores)

    assert found == ({**PLACE, **settings}, [])


@pytest.mark.parametrize(
    ("tail", "settings", "lost"),
    [
        ("", PLAIN, []),
        ("/shop", {**PLAIN, "auth_database": "shop"}, []),
        ("/shop?authSource=admin&retryWrites=true&w=majority", {**PLAIN, "auth_database": "admin"}, []),
        ("/?tls=true&replicaSet=rs0", {**TLS, "replica_set": "rs0"}, []),
        ("/?ssl=true&tlsAllowInvalidCertificates=true", LAX, []),
        ("/?authMechanism=MONGODB-X509", PLAIN, [left("authmechanism")]),
        (",b.example:7001,c.example/?tls=true", TLS, ["Of its hosts only the first is asked."]),
    ],
)
def test_mongodb_reads_its_options(tail: str, settings: dict[str, Any], lost: list[str]) -> None:
    found = brought(type="mongodb", databaseConnectionString=f"mongodb://{LOGIN}{tail}")

    assert found == ({**PLACE, **settings}, lost)


def test_mongodb_behind_a_record_of_hosts_is_reported_and_not_made() -> None:
    found = brought(type="mongodb", databaseConnectionString="mongodb+srv://kuma:s3cret@cluster.example/shop")

    assert found == (
        None,
        ["Its address “mongodb+srv” names no host but a DNS record of hosts. Make a check for each of them."],
    )


def test_mongodb_command_is_reported() -> None:
    _config, lost = brought(
        type="mongodb", databaseConnectionString=f"mongodb://{LOGIN}", databaseQuery='{"dbStats": 1}'
    )

    assert lost == ["Its command and what it expects of the answer stay behind: the server is asked for its state."]


@pytest.mark.parametrize(
    ("host", "security"),
    [
        ("db.example", PLAIN),
        ("mqtt://db.example", PLAIN),
        ("mqtts://db.example", TLS),
        ("MQTTS://db.example", TLS),
    ],
)
def test_mqtt_is_secured_as_its_address_says(host: str, security: dict[str, Any]) -> None:
    found = brought(type="mqtt", hostname=host, port=7_000, mqttUsername="kuma", mqttPassword="s3cret")

    assert found == ({**PLACE, **security}, [])


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_mqtt_over_a_websocket_is_reported_and_not_made(scheme: str) -> None:
    found = brought(type="mqtt", hostname=f"{scheme}://db.example", port=7_000)

    assert found == (None, [f"It goes over “{scheme}”; no check of MQTT here does."])


@pytest.mark.parametrize(
    "expectation",
    [
        {"mqttSuccessMessage": "ok"},
        {"mqttCheckType": "json-query", "jsonPath": "a", "expectedValue": "b"},
        {"conditions": [{"type": "expression", "variable": "message", "operator": "equals", "value": "ok"}]},
    ],
)
def test_mqtt_topic_is_never_sent_to(expectation: dict[str, Any]) -> None:
    config, lost = brought(
        type="mqtt", hostname="db.example", port=7_000, mqttTopic="plant/line-1/command", **expectation
    )

    assert config == {"host": "db.example", "port": 7_000, **PLAIN}
    assert lost == [TOPIC_LOST, "What it expects of a message stays behind."]


def one_condition(operator: str, value: str) -> str:
    """Return conditions as the database's column has them."""
    return json.dumps([{"type": "expression", "variable": "result", "operator": operator, "value": value}])


@pytest.mark.parametrize(
    ("operator", "comparison"), [("equals", "equals"), ("not_equals", "differs"), ("contains", "contains")]
)
def test_condition_on_a_query_s_value_comes_along(operator: str, comparison: str) -> None:
    config, lost = brought(
        type="mysql",
        databaseConnectionString=f"mysql://{LOGIN}/shop",
        databaseQuery="SELECT state FROM jobs",
        conditions=one_condition(operator, "done"),
    )

    assert config == {
        **PLACE,
        **PLAIN,
        "database": "shop",
        "query": "SELECT state FROM jobs",
        "comparison": comparison,
        "expected": "done",
    }
    assert lost == []


@pytest.mark.parametrize(
    "conditions",
    [
        one_condition("starts_with", "do"),
        json.dumps([*json.loads(one_condition("equals", "a")), *json.loads(one_condition("equals", "b"))]),
        json.dumps([{"type": "group", "children": json.loads(one_condition("equals", "a"))}]),
        json.dumps([5]),
    ],
)
def test_conditions_that_no_check_has_are_reported(conditions: str) -> None:
    _config, lost = brought(
        type="mysql", databaseConnectionString=f"mysql://{LOGIN}/shop", databaseQuery="SELECT 1", conditions=conditions
    )

    assert lost == ["Its conditions stay behind."]


@pytest.mark.parametrize(
    ("record_type", "operator", "expected", "lost"),
    [
        ("A", "equals", {"matching": "includes", "expected": "192.0.2.1"}, []),
        ("A", "contains", {}, ["Its conditions stay behind."]),
        ("MX", "equals", {}, ["Its conditions stay behind."]),
    ],
)
def test_condition_on_a_record(record_type: str, operator: str, expected: dict[str, Any], lost: list[str]) -> None:
    found = brought(
        type="dns",
        hostname="a.example",
        dns_resolve_type=record_type,
        conditions=one_condition(operator, "192.0.2.1"),
    )

    assert found == ({"name": "a.example", "record_type": record_type, **expected}, lost)


def test_no_conditions_are_no_loss() -> None:
    found = brought(type="dns", hostname="a.example", conditions="[]")

    assert found == ({"name": "a.example", "record_type": "A"}, [])


@pytest.mark.parametrize(
    ("encoding", "own", "sent"),
    [
        ("xml", {}, {"Content-Type": "text/xml; charset=utf-8"}),
        ("form", {"X-A": "b"}, {"X-A": "b", "Content-Type": "application/x-www-form-urlencoded"}),
        ("xml", {"content-type": "application/soap+xml"}, {"content-type": "application/soap+xml"}),
        ("json", {"X-A": "b"}, {"X-A": "b"}),
    ],
)
def test_body_keeps_the_type_it_was_sent_with(encoding: str, own: dict[str, str], sent: dict[str, str]) -> None:
    config, _lost = brought(
        type="http",
        url="https://a.example/",
        method="POST",
        body="<a/>",
        httpBodyEncoding=encoding,
        headers=json.dumps(own),
    )

    assert config is not None
    assert config["headers"] == sent


def test_websocket_s_subprotocols_come_along() -> None:
    found = brought(type="websocket-upgrade", url="wss://a.example/live", wsSubprotocol="mqtt, amqp")

    assert found == ({"url": "wss://a.example/live", "subprotocols": "mqtt, amqp"}, [])
