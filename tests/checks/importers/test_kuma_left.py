"""What Uptime Kuma's monitors have beyond what checks take is named: a setting of one, and what each of a file has."""

import json
from typing import Any

import pytest

from apps.checks.importers.base import SourceError
from apps.checks.importers.registry import IMPORTERS
from tests.checks.importers.test_uptime_kuma import kuma_database

WEB = {"type": "http", "url": "https://a.example/"}
BROKER = {"type": "kafka-producer", "kafkaProducerTopic": "orders", "kafkaProducerBrokers": ["mq.example:9093"]}
SENT = "Its message stays behind: a check here looks at the topic and its partitions, and sends nothing."
PAUSED = "It comes paused: without what stays behind it would judge something else."
GENERAL = "Notifications, status pages and history stay behind; set up channels and pages here."
MAINTENANCE = """
    CREATE TABLE maintenance (id INTEGER PRIMARY KEY, title VARCHAR(150), description TEXT, active BOOLEAN,
      strategy VARCHAR(50))
"""


def brought(**monitor: Any) -> tuple[str, dict[str, Any], list[str]]:
    """Return kind and settings of the check that a monitor becomes, and what is reported of it."""
    read = IMPORTERS.get("uptime_kuma").read(
        json.dumps({"monitorList": [{"id": 1, "name": "One", **monitor}]}).encode()
    )
    (check,) = read.checks
    return check["kind"], dict(check["config"]), [str(loss.reason) for loss in read.losses if loss.name == "One"]


def of_the_whole(*monitors: dict[str, Any]) -> list[str]:
    rows = [{"id": number, "name": "One", **monitor} for number, monitor in enumerate(monitors)]
    read = IMPORTERS.get("uptime_kuma").read(json.dumps({"monitorList": rows}).encode())
    return [str(loss.reason) for loss in read.losses if not loss.name]


@pytest.mark.parametrize(
    ("monitor", "lost"),
    [
        ({**WEB, "description": "Front page"}, "Its description stays behind."),
        ({**WEB, "ipFamily": "ipv6"}, "It keeps to one family of addresses; checks here take whichever the name has."),
        ({**WEB, "cacheBust": True}, "What it adds to its address against caches stays behind."),
        (
            {"type": "port", "hostname": "a.example", "port": 25, "smtpSecurity": "starttls"},
            "The TLS that it expects on its port stays behind; a check of the kind “TLS” looks at that.",
        ),
        (
            {"type": "dns", "hostname": "a.example", "dns_resolve_server": "1.1.1.1, 8.8.8.8"},
            "Of its DNS servers only the first is asked.",
        ),
    ],
)
def test_setting_that_no_check_has_is_named(monitor: dict[str, Any], lost: str) -> None:
    assert brought(**monitor)[2] == [lost]


@pytest.mark.parametrize(
    ("monitor", "lost"),
    [
        ({"proxyId": 3}, "Its proxy stays behind."),
        (
            {"authMethod": "mtls", "tlsCa": "-----BEGIN CERTIFICATE-----"},
            "Its own certificate authority stays behind; the server's certificate must be publicly known.",
        ),
        (
            {
                "authMethod": "oauth2-cc",
                "oauth_token_url": "https://id.example/token",
                "oauth_client_id": "kuma",
                "oauth_client_secret": "s3cret",
                "oauth_audience": "shop",
            },
            "The audience that it asks a token for stays behind.",
        ),
        (
            {"authMethod": "ntlm", "basic_auth_user": "kuma", "basic_auth_pass": "s3cret"},
            "Its way to sign in, “ntlm”, stays behind.",
        ),
        (
            {"type": "keyword", "keyword": "up", "method": "HEAD"},
            "keyword: The answer to HEAD has no text; choose another method or empty this.",
        ),
    ],
)
def test_monitor_that_would_be_down_for_want_of_a_setting_comes_paused(monitor: dict[str, Any], lost: str) -> None:
    backup = {"monitorList": [{"id": 1, "name": "One", **WEB, **monitor}]}

    read = IMPORTERS.get("uptime_kuma").read(json.dumps(backup).encode())

    assert [check.get("paused") for check in read.checks] == [True]
    assert [str(loss.reason) for loss in read.losses if loss.name] == [lost, PAUSED]


def test_monitor_that_only_promises_less_is_not_paused() -> None:
    backup = {"monitorList": [{"id": 1, "name": "One", **WEB, "ipFamily": "ipv6", "description": "Front page"}]}

    (check,) = IMPORTERS.get("uptime_kuma").read(json.dumps(backup).encode()).checks

    assert "paused" not in check


@pytest.mark.parametrize(
    "monitor",
    [
        {**WEB, "tlsCa": "left over", "oauth_audience": "left over", "smtpSecurity": "secure"},
        {**WEB, "description": "", "ipFamily": None, "cacheBust": False, "proxyId": None, "resendInterval": 0},
        {"type": "dns", "hostname": "a.example", "dns_resolve_server": "1.1.1.1,"},
        {"type": "ping", "hostname": "a.example", "packetSize": 56, "cacheBust": True},
    ],
)
def test_setting_that_is_not_in_use_is_no_loss(monitor: dict[str, Any]) -> None:
    assert brought(**monitor)[2] == []


def test_ping_keeps_its_size_and_how_many_it_sends() -> None:
    one = brought(type="ping", hostname="a.example", packetSize=1_200, ping_count=1, ping_per_request_timeout=2)
    many = brought(type="ping", hostname="a.example", packetSize=2_000, ping_count=4, ping_per_request_timeout=3)

    assert one == ("icmp", {"host": "a.example", "size": 1_200}, [])
    assert many == (
        "icmp",
        {
            "host": "a.example",
            "size": 1_400,
            "count": 4,
            "wait_ms": 3_000,
            "max_loss_percent": 100,
            "warn_loss_percent": 100,
        },
        ["size 2000 becomes 1400."],
    )


def test_client_that_shows_itself_in_the_body_does_so_here() -> None:
    login = {"authMethod": "oauth2-cc", "oauth_token_url": "https://id.example/token", "oauth_client_id": "kuma"}

    _kind, config, _lost = brought(**WEB, **login, oauth_client_secret="s3cret", oauth_auth_method="client_secret_post")

    assert (config["auth"], config["oauth_in_body"]) == ("oauth2", True)


def test_token_of_its_own_is_shown_here() -> None:
    kind, config, lost = brought(**WEB, authMethod="bearer", bearer_token="t0ken", basic_auth_user="left over")

    assert (kind, config["auth"], config["token"], lost) == ("http", "bearer", "t0ken", [])


def test_what_nobody_knows_and_what_each_has_is_named_once() -> None:
    first = {**WEB, "holographicMode": "on", "domainExpiryNotification": True}

    assert of_the_whole(first, {**first, "quantumRetries": 3, "dullSetting": 0}) == [
        "Ends of domains are watched by checks of their own here: make one of the kind “domain” for each.",
        "These of its settings are not known here and stay behind: holographic_mode, quantum_retries.",
        GENERAL,
    ]
    assert of_the_whole(WEB) == [GENERAL]


@pytest.mark.parametrize(
    ("monitor", "config", "lost"),
    [
        ({}, {"security": "none", "topic": "orders"}, []),
        ({"kafkaProducerSsl": True}, {"security": "tls", "verify_tls": True, "topic": "orders"}, []),
        (
            {"kafkaProducerBrokers": '["mq.example:9093", "b.example:9092"]'},
            {"security": "none", "topic": "orders"},
            ["Of its brokers only the first is asked."],
        ),
        (
            {"kafkaProducerAllowAutoTopicCreation": True},
            {"security": "none"},
            ["Its topic stays behind: it may be one that only its message makes."],
        ),
        (
            {"kafkaProducerSaslOptions": {"mechanism": "scram-sha-512", "username": "kuma", "password": "s3cret"}},
            {
                "security": "none",
                "topic": "orders",
                "mechanism": "SCRAM-SHA-512",
                "username": "kuma",
                "password": "s3cret",
            },
            [],
        ),
        ({"kafkaProducerSaslOptions": '{"mechanism": "None"}'}, {"security": "none", "topic": "orders"}, []),
    ],
)
def test_kafka_is_looked_at_and_sent_nothing(monitor: dict[str, Any], config: dict[str, Any], lost: list[str]) -> None:
    found = brought(**{**BROKER, **monitor})

    assert found == ("kafka", {"host": "mq.example", "port": 9_093, **config}, [SENT, *lost])


def test_kafka_with_a_login_of_a_cloud_is_reported_and_not_made() -> None:
    monitor = {"id": 1, "name": "One", **BROKER, "kafkaProducerSaslOptions": {"mechanism": "aws"}}

    read = IMPORTERS.get("uptime_kuma").read(json.dumps({"monitorList": [monitor]}).encode())

    assert read.checks == []
    assert [str(loss.reason) for loss in read.losses if loss.is_whole] == [
        "It logs in with “aws”; no check of Kafka here does."
    ]


def test_rabbitmq_is_asked_for_its_alarms() -> None:
    nodes = ["https://mq.example:15671/ui", "https://b.example:15671"]

    found = brought(type="rabbitmq", rabbitmqNodes=nodes, rabbitmqUsername="kuma", rabbitmqPassword="s3cret")

    assert found == (
        "http",
        {
            "url": "https://mq.example:15671/api/health/checks/alarms",
            "method": "GET",
            "expected_status": "200",
            "auth": "basic",
            "username": "kuma",
            "password": "s3cret",
        },
        ["Of its nodes only the first is asked."],
    )


def test_browser_goes_to_the_page() -> None:
    found = brought(type="real-browser", url="https://a.example/a?q=it's", remote_browser=2)

    assert found == (
        "browser",
        {"steps": ["""goto 'https://a.example/a?q=it'"'"'s'"""]},
        ["Its remote browser stays behind; one of this installation goes there."],
    )


def test_row_in_which_nobody_chose_anything_has_no_losses() -> None:
    """The columns of Kuma 2.1, as it fills them for a monitor with an address and nothing else."""
    nothing = (
        *("description", "keyword", "hostname", "port", "dns_last_result", "push_token", "body", "headers"),
        *("basic_auth_user", "basic_auth_pass", "docker_host", "docker_container", "proxy_id", "mqtt_topic"),
        *("auth_method", "auth_domain", "auth_workstation", "grpc_url", "grpc_protobuf", "grpc_body", "grpc_metadata"),
        *("grpc_method", "grpc_service_name", "radius_username", "radius_secret", "game", "tls_ca", "tls_cert"),
        *("tls_key", "parent", "expected_value", "kafka_producer_topic", "kafka_producer_message", "remote_browser"),
        *("oauth_client_id", "oauth_client_secret", "oauth_token_url", "oauth_scopes", "oauth_audience", "snmp_oid"),
        *("rabbitmq_username", "rabbitmq_password", "smtp_security", "ip_family", "mqtt_websocket_path"),
        *("manual_status", "system_service_name", "expected_tls_alert", "screenshot_delay", "snmp_v3_username"),
    )
    usual = {
        **{"user_id": 1, "weight": 2000, "created_date": "2025-11-02 10:11:12", "interval": 60, "timeout": 48},
        **{"retry_interval": 60, "maxretries": 0, "maxredirects": 10, "accepted_statuscodes_json": '["200-299"]'},
        **{"dns_resolve_type": "A", "dns_resolve_server": "1.1.1.1", "method": "GET", "packet_size": 56, "active": 1},
        **{"http_body_encoding": "json", "json_path": "$", "json_path_operator": "==", "kafka_producer_brokers": "[]"},
        **{"kafka_producer_sasl_options": '{"mechanism":"None"}', "oauth_auth_method": "client_secret_basic"},
        **{"gamedig_given_port_only": 1, "mqtt_check_type": "keyword", "snmp_version": "2c", "conditions": "[]"},
        **{"rabbitmq_nodes": "[]", "ping_count": 1, "ping_numeric": 1, "ping_per_request_timeout": 2, "cache_bust": 0},
        **{"response_max_length": 1024, "save_response": 0, "save_error_response": 1, "ws_subprotocol": ""},
        **{"ws_ignore_sec_websocket_accept_header": 0, "resend_interval": 0, "expiry_notification": 0},
    }
    monitor = {**WEB, **dict.fromkeys(nothing), **usual}

    assert brought(**monitor)[2] == []
    assert of_the_whole(monitor) == [GENERAL]


def test_maintenance_of_an_older_database_is_named() -> None:
    raw = kuma_database(
        MAINTENANCE,
        "INSERT INTO maintenance VALUES (1, 'Patch day', '', 1, 'recurring-weekday'), (2, 'Old', '', 0, 'single'), "
        "(3, 'Move', '', 1, 'cron')",
    )

    read = IMPORTERS.get("uptime_kuma").read(raw)

    reason = "it keeps to the time zone of its server, which the export does not tell"
    assert [(loss.name, str(loss.reason)) for loss in read.losses] == [
        ("Patch day", f"This maintenance stays behind: {reason}. Plan it here."),
        ("Move", f"This maintenance stays behind: {reason}. Plan it here."),
        ("", GENERAL),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW maintenance AS SELECT 1 AS id, 1 AS active, load_extension('x') AS title",
        "CREATE VIEW maintenance AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i AS id, i AS title, 1 AS active FROM n",
    ],
)
def test_crafted_maintenance_is_refused(statement: str) -> None:
    with pytest.raises(SourceError):
        IMPORTERS.get("uptime_kuma").read(kuma_database(statement))
