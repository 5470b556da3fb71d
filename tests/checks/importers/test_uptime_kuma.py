"""Backups and databases of Uptime Kuma: what comes over, exactly, and what is reported as lost or refused."""

import json
import sqlite3
from typing import Any

import pytest

from apps.checks.importers.base import SourceError
from apps.checks.importers.registry import IMPORTERS
from tests.checks.importers.reading import checks, losses


def test_uptime_kuma_backup() -> None:
    made = checks("uptime_kuma", "uptime_kuma.json")

    assert made["Shop API"] == {
        "key": "kuma-2",
        "name": "Shop API",
        "kind": "http",
        "config": {
            "url": "https://shop.example/health",
            "method": "POST",
            "headers": {"X-Probe": "kuma"},
            "auth": "basic",
            "username": "kuma",
            "password": "s3cret",
            "body": '{"probe": true}',
            "expected_status": "200-299, 302",
            "keyword_absent": False,
            "follow_redirects": False,
            "max_redirects": 10,
            "verify_tls": False,
        },
        "interval_seconds": 30,
        "timeout_seconds": 24,
        "retries": 2,
        "retry_interval_seconds": 10,
        "tags": ["team:web", "eu", "shops"],
    }
    words = made["Shop words"]
    assert (words["config"]["keyword"], words["config"]["keyword_absent"], words["paused"]) == ("Sold out", True, True)
    mail = made["Mail port"]
    assert (mail["kind"], mail["config"]) == ("tcp", {"host": "mail.example", "port": 993})
    assert (mail["interval_seconds"], mail["retries"]) == (10, 10)
    backup = made["Nightly backup"]
    assert (backup["kind"], backup["config"]) == (
        "heartbeat",
        {"period_seconds": 86_400, "grace_seconds": 3_600, "address": "Yb1aT5Zc7Q"},
    )


def test_uptime_kuma_losses_name_place_and_reason() -> None:
    assert losses("uptime_kuma", "uptime_kuma.json") == [
        ("monitorList[0]", "Shops", "Groups become tags of their members."),
        ("monitorList[1]", "Shop API", "Repeated messages are a matter of alert rules here."),
        ("monitorList[3]", "Mail port", "interval_seconds 5 becomes 10."),
        ("monitorList[3]", "Mail port", "retries 20 becomes 10."),
        ("monitorList[5]", "CS server", "Nothing here is like its type “gamedig”."),
        (
            "monitorList[6]",
            "Must be closed",
            "It is upside down: up means failed. No check here turns its verdict round.",
        ),
        ("", "", "Notifications, status pages and history stay behind; set up channels and pages here."),
    ]


@pytest.mark.parametrize(
    ("monitor", "kind", "config"),
    [
        ({"type": "ping", "hostname": "a.example"}, "icmp", {"host": "a.example"}),
        (
            {
                "type": "dns",
                "hostname": "a.example",
                "dns_resolve_type": "MX",
                "dns_resolve_server": "1.1.1.1",
                "port": 53,
            },
            "dns",
            {"name": "a.example", "record_type": "MX", "server": "1.1.1.1", "port": 53},
        ),
        (
            {
                "type": "postgres",
                "databaseConnectionString": "postgres://kuma:p%40ss@db.example:5433/shop",
                "databaseQuery": "SELECT 1",
            },
            "postgresql",
            {
                "host": "db.example",
                "port": 5433,
                "username": "kuma",
                "password": "p@ss",
                "security": "none",
                "database": "shop",
                "query": "SELECT 1",
            },
        ),
        (
            {"type": "redis", "databaseConnectionString": "redis://db.example:6379"},
            "redis",
            {"host": "db.example", "port": 6379, "security": "none"},
        ),
        (
            {
                "type": "mqtt",
                "hostname": "mqtt://broker.example",
                "port": 1883,
                "mqttUsername": "u",
            },
            "mqtt",
            {"host": "broker.example", "port": 1883, "security": "none", "username": "u"},
        ),
        (
            {"type": "grpc-keyword", "grpcUrl": "rpc.example:50051", "grpcServiceName": "shop", "grpcEnableTls": True},
            "grpc",
            {"host": "rpc.example", "port": 50051, "service": "shop", "uses_tls": True},
        ),
        (
            {
                "type": "json-query",
                "url": "https://a.example/",
                "jsonPath": "status",
                "jsonPathOperator": "==",
                "expectedValue": "ok",
                "authMethod": "oauth2-cc",
                "oauth_token_url": "https://id.example/token",
                "oauth_client_id": "kuma",
                "oauth_client_secret": "s3cret",
                "expiryNotification": True,
            },
            "http",
            {
                "url": "https://a.example/",
                "method": "GET",
                "auth": "oauth2",
                "oauth_token_url": "https://id.example/token",
                "oauth_client_id": "kuma",
                "oauth_client_secret": "s3cret",
                "keyword_absent": False,
                "follow_redirects": True,
                "max_redirects": 10,
                "verify_tls": True,
                "certificate_days": 14,
                "json_rules": ["$.status text == ok"],
            },
        ),
    ],
)
def test_uptime_kuma_types(monitor: dict[str, Any], kind: str, config: dict[str, Any]) -> None:
    backup = {"monitorList": [{"id": 1, "name": "One", "interval": 60, **monitor}]}

    read = IMPORTERS.get("uptime_kuma").read(json.dumps(backup).encode())

    assert [(check["kind"], check["config"]) for check in read.checks] == [(kind, config)]


def kuma_database(*statements: str) -> bytes:
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        """
        CREATE TABLE monitor (id INTEGER PRIMARY KEY, name VARCHAR(150), active BOOLEAN DEFAULT 1, interval INTEGER,
          url TEXT, type VARCHAR(20), hostname VARCHAR(255), port INTEGER, keyword VARCHAR(255), maxretries INTEGER,
          ignore_tls BOOLEAN, upside_down BOOLEAN, maxredirects INTEGER, accepted_statuscodes_json TEXT,
          retry_interval INTEGER, method TEXT, body TEXT, headers TEXT, basic_auth_user TEXT, basic_auth_pass TEXT,
          auth_method VARCHAR(250), timeout DOUBLE, invert_keyword BOOLEAN, parent INTEGER);
        CREATE TABLE tag (id INTEGER PRIMARY KEY, name VARCHAR(255), color VARCHAR(255));
        CREATE TABLE monitor_tag (id INTEGER PRIMARY KEY, monitor_id INTEGER, tag_id INTEGER, value TEXT);
        CREATE TABLE heartbeat (id INTEGER PRIMARY KEY, monitor_id INTEGER, status INTEGER, msg TEXT);
        INSERT INTO monitor VALUES (4, 'Shop', 1, 60, 'https://shop.example/', 'http', NULL, NULL, NULL, 1, 0, 0, 10,
          '["200-299"]', 60, 'GET', NULL, NULL, NULL, NULL, NULL, 48, 0, NULL);
        INSERT INTO tag VALUES (1, 'prod', '#f00');
        INSERT INTO monitor_tag VALUES (1, 4, 1, 'eu');
        """
    )
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    return connection.serialize()


def test_uptime_kuma_database() -> None:
    read = IMPORTERS.get("uptime_kuma").read(kuma_database())

    assert read.checks == [
        {
            "key": "kuma-4",
            "name": "Shop",
            "kind": "http",
            "config": {
                "url": "https://shop.example/",
                "method": "GET",
                "expected_status": "200-299",
                "keyword_absent": False,
                "follow_redirects": True,
                "max_redirects": 10,
                "verify_tls": True,
            },
            "interval_seconds": 60,
            "timeout_seconds": 48,
            "retries": 1,
            "retry_interval_seconds": 60,
            "tags": ["prod:eu"],
        }
    ]


@pytest.mark.parametrize(
    "statements",
    [
        ("ALTER TABLE monitor RENAME TO kept", "CREATE VIEW monitor AS SELECT load_extension('x') AS id FROM kept"),
        ("ALTER TABLE monitor RENAME TO kept", "CREATE VIEW monitor AS SELECT * FROM kept"),
        (
            "ALTER TABLE monitor RENAME TO kept",
            "CREATE VIEW monitor AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n",
        ),
        ("DROP TABLE tag",),
    ],
)
def test_crafted_database_is_refused(statements: tuple[str, ...]) -> None:
    with pytest.raises(SourceError):
        IMPORTERS.get("uptime_kuma").read(kuma_database(*statements))


def test_number_beyond_a_setting_takes_the_nearest_and_not_the_default() -> None:
    monitor = {"id": 7, "name": "Job", "type": "push", "interval": 20, "push_token": "abcdefghij0123456789"}

    found = IMPORTERS.get("uptime_kuma").read(json.dumps({"monitorList": [monitor]}).encode())

    assert found.checks[0]["config"]["period_seconds"] == 60
    assert str(found.losses[0].reason) == "period_seconds 20 becomes 60."
