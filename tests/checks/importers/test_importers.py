"""Each importer against an export in its vendor's format: what comes over, exactly, and what is reported as lost."""

import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from apps.checks.domain.configuration import read_configuration, settle_config
from apps.checks.domain.ping_dialects import gatus_token
from apps.checks.importers.base import Found, SourceError
from apps.checks.importers.registry import IMPORTERS
from apps.checks.importers.wish import seconds
from apps.checks.types.registry import CHECK_TYPES

EXPORTS = Path(__file__).parent / "exports"


def found(source: str, name: str) -> Found:
    return IMPORTERS.get(source).read((EXPORTS / name).read_bytes())


def checks(source: str, name: str) -> dict[str, Mapping[str, Any]]:
    return {check["name"]: check for check in found(source, name).checks}


def losses(source: str, name: str) -> list[tuple[str, str, str]]:
    return [(loss.where, loss.name, str(loss.reason)) for loss in found(source, name).losses]


@pytest.mark.parametrize("path", sorted(EXPORTS.iterdir()), ids=lambda path: path.name)
def test_what_comes_over_can_be_applied(path: Path) -> None:
    wanted = read_configuration(
        {"apiVersion": "obsera/v1", "checks": found(path.stem, path.name).checks}, regions={"main": 1}
    )

    assert wanted.entries
    for entry in wanted.entries:
        settle_config(entry, None)


@pytest.mark.parametrize("importer", IMPORTERS, ids=lambda importer: importer.kind)
def test_sample_is_read(importer: Any) -> None:
    read = importer.read(importer.sample())

    assert len(read.checks) + len([loss for loss in read.losses if loss.is_whole]) == 1


@pytest.mark.parametrize("importer", IMPORTERS, ids=lambda importer: importer.kind)
@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"[[[[",
        b"null",
        b"\xff\xfe\x00",
        b"a: &a [*a]",
        b"[" * 100_000,
        b"SQLite format 3\x00" + b"x" * 4_096,
    ]
    + [
        b'{"%s": [1, null, "x", {"name": {"a": []}, "type": [[]], "url": {}}]}' % name
        for name in (b"checks", b"monitors", b"data", b"monitorList", b"endpoints")
    ],
)
def test_broken_export_is_refused_or_reported(importer: Any, raw: bytes) -> None:
    try:
        made = importer.read(raw).checks
    except SourceError:
        made = []

    assert made == []


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
                "database": "shop",
                "query": "SELECT 1",
            },
        ),
        (
            {"type": "redis", "databaseConnectionString": "redis://db.example:6379"},
            "redis",
            {"host": "db.example", "port": 6379},
        ),
        (
            {
                "type": "mqtt",
                "hostname": "mqtt://broker.example",
                "port": 1883,
                "mqttUsername": "u",
                "mqttTopic": "a/b",
            },
            "mqtt",
            {"host": "broker.example", "port": 1883, "username": "u", "topic": "a/b"},
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
                "json_rules": ["$.status == ok"],
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


def test_gatus() -> None:
    made = checks("gatus", "gatus.yaml")

    front = made["front-end"]
    assert (front["key"], front["interval_seconds"], front["timeout_seconds"], front["tags"]) == (
        "gatus-core-front-end",
        90,
        5,
        ["core"],
    )
    assert front["config"] == {
        "url": "https://example.org/health",
        "method": "GET",
        "headers": {"Accept": "application/json"},
        "expected_status": "100-599",
        "verify_tls": False,
        "follow_redirects": True,
        "conditions": ["[STATUS] == 200", "[RESPONSE_TIME] < 300"],
    }
    assert made["resolver"]["config"] == {
        "name": "example.org",
        "record_type": "A",
        "server": "8.8.8.8",
        "rcode": "NOERROR",
        "matching": "includes",
        "expected": "93.184.216.34",
    }
    assert made["certificate"]["config"] == {"host": "example.org", "port": 443, "fail_days": 2}
    assert made["database"]["config"] == {"host": "db.example.org", "port": 5432}
    assert made["off"]["paused"] is True
    assert made["nightly"]["config"] == {"period_seconds": 1_800, "address": gatus_token("jobs_nightly", "potato")}
    assert sorted(made) == ["certificate", "database", "front-end", "nightly", "off", "resolver"]


def test_gatus_losses() -> None:
    lost = losses("gatus", "gatus.yaml")

    assert ("endpoints[0]", "front-end", "Its alerts stay behind; make alert rules here.") in lost
    assert ("endpoints[0]", "front-end", "The condition “[NONSENSE] == 1” stays behind.") in lost
    assert ("endpoints[3]", "pub-sub", "Nothing here does “sctp://example.org:38412”.") in lost
    assert [where for where, name, _reason in lost if not name] == ["alerting", "storage", "x-defaults"]


def test_healthchecks() -> None:
    made = checks("healthchecks", "healthchecks.json")

    assert made["DB backup"] == {
        "key": "hc-db-backup",
        "name": "DB backup",
        "kind": "heartbeat",
        "config": {
            "schedule": "simple",
            "period_seconds": 86_400,
            "grace_seconds": 1_800,
            "filters_body": False,
            "manual_resume": False,
            "only_post": True,
            "address": "31365bce-8da9-4729-8ff3-aaa71d56b712",
        },
        "tags": ["db", "nightly"],
    }
    assert made["Reports"]["config"] == {
        "schedule": "cron",
        "cron": "15 5 * * 1-5",
        "time_zone": "Europe/Berlin",
        "grace_seconds": 600,
        "filters_body": True,
        "failure_keywords": "ERROR",
        "success_keywords": "done",
        "manual_resume": True,
        "only_post": False,
        "address": "803f680d-e89b-492b-82ef-2be7b774a92d",
    }
    assert made["Reports"]["paused"] is True
    assert made["Sync"]["key"] == "hc-9d17c61f-5c4f-4cab-b517-11e6b2679ced"
    assert made["Sync"]["config"]["on_calendar"] == "Mon..Fri 12:00"


def test_uptimerobot_json() -> None:
    made = checks("uptimerobot", "uptimerobot.json")

    assert made["Google"] == {
        "key": "uptimerobot-777749809",
        "name": "Google",
        "kind": "http",
        "config": {
            "url": "http://www.google.example",
            "method": "HEAD",
            "headers": {"X-A": "b"},
            "auth": "basic",
            "username": "robot",
            "password": "pw",
            "expected_status": "200, 404",
            "keyword_absent": False,
        },
        "interval_seconds": 900,
        "timeout_seconds": 30,
        "tags": ["search"],
    }
    assert (made["Words"]["config"]["keyword"], made["Words"]["config"]["keyword_absent"]) == ("Error", True)
    assert made["Words"]["paused"] is True
    assert (made["SMTP"]["kind"], made["SMTP"]["config"]) == ("smtp", {"host": "mail.example", "port": 25})
    assert made["Custom port"]["config"] == {"host": "db.example", "port": 5432}


def test_uptimerobot_csv() -> None:
    made = checks("uptimerobot", "uptimerobot.csv")

    assert made["Shop, EU"]["config"]["url"] == "https://shop.example/"
    assert made["Words"]["config"]["keyword_absent"] is False
    assert (made["Words"]["paused"], made["Words"]["key"]) == (True, "words")
    assert made["Database"]["config"] == {"host": "db.example", "port": 5432}
    assert losses("uptimerobot", "uptimerobot.csv")[0] == (
        "line 5",
        "Mind",
        "Nothing here is like its type “telepathy”.",
    )


def test_blackbox() -> None:
    made = checks("blackbox", "blackbox.yml")

    assert sorted(made) == [
        "bastion.example:22",
        "files",
        "https://login.example/",
        "https://shop.example/",
        "shop.example",
    ]
    assert made["shop.example"] == {
        "key": "blackbox-web-shopexample",
        "name": "shop.example",
        "kind": "http",
        "config": {
            "url": "http://shop.example",
            "method": "GET",
            "expected_status": "200-299",
            "verify_tls": True,
            "follow_redirects": True,
        },
        "interval_seconds": 30,
        "timeout_seconds": 5,
        "retries": 0,
        "tags": ["web", "env:prod"],
    }
    login = made["https://login.example/"]
    assert login["config"] == {
        "url": "https://login.example/",
        "method": "POST",
        "headers": {"Content-Type": "application/json"},
        "auth": "basic",
        "username": "prom",
        "password": "pw",
        "body": '{"a": 1}',
        "expected_status": "200, 201",
        "verify_tls": False,
        "follow_redirects": False,
        "patterns": ["welcome back"],
        "header_rules": ["Set-Cookie: !~ x"],
    }
    assert (login["interval_seconds"], login["timeout_seconds"]) == (15, 60)
    assert made["bastion.example:22"]["config"]["script"] == 'expect /^SSH-2.0-/\nsend "say \\"hi\\"\\n"'


def test_blackbox_losses() -> None:
    lost = losses("blackbox", "blackbox.yml")

    assert lost == [
        (
            "scrape_configs[1]",
            "",
            "Only static targets are read; paste what its discovery finds as a target file.",
        ),
        (
            "scrape_configs[2][0].targets[0]",
            "https://login.example/",
            "“compression” of the module stays behind.",
        ),
        ("scrape_configs[2][0].targets[0]", "https://login.example/", "timeout_seconds 120 becomes 60."),
    ]


def test_better_stack() -> None:
    made = checks("better_stack", "better_stack.json")

    assert made["Home page"]["config"] == {
        "url": "https://uptime.example/",
        "method": "GET",
        "headers": {"X-A": "b"},
        "auth": "basic",
        "username": "u",
        "password": "p",
        "expected_status": "200, 204",
        "keyword": "Fatal",
        "keyword_absent": True,
        "follow_redirects": False,
        "verify_tls": False,
    }
    assert (made["Home page"]["interval_seconds"], made["Home page"]["timeout_seconds"]) == (180, 15)
    assert (made["DB"]["config"], made["DB"]["timeout_seconds"], made["DB"]["paused"]) == (
        {"host": "db.example", "port": 5432},
        5,
        True,
    )
    assert losses("better_stack", "better_stack.json")[:2] == [
        ("data[0]", "Home page", "Its regions stay behind; choose regions here."),
        ("data[2]", "Journey", "Nothing here is like its type “playwright”."),
    ]
    assert checks("better_stack", "better_stack.csv")["Blog"]["config"]["url"] == "https://blog.example"


def test_pingdom() -> None:
    table, answer = checks("pingdom", "pingdom.csv"), checks("pingdom", "pingdom.json")

    site = table["My site"]
    assert (site["config"]["url"], site["interval_seconds"], site["tags"]) == (
        "http://www.example.com/",
        60,
        ["web", "eu"],
    )
    assert (table["Mail"]["kind"], table["Mail"]["paused"]) == ("smtp", True)
    assert losses("pingdom", "pingdom.csv")[0] == (
        "line 4",
        "Journey",
        "Nothing here is like its type “transaction”.",
    )
    assert answer["API"]["degraded_ms"] == 2_000
    assert answer["API"]["config"] == {
        "url": "https://api.example:8443/health?x=1",
        "method": "GET",
        "headers": {"User-Agent": "Pingdom.com_bot"},
        "auth": "basic",
        "username": "u",
        "password": "p",
        "keyword": "ok",
        "keyword_absent": False,
        "verify_tls": True,
    }


def test_statuscake() -> None:
    made = checks("statuscake", "statuscake.csv")

    shop = made["Shop"]
    assert shop["config"] == {
        "url": "https://shop.example",
        "method": "GET",
        "headers": {"X-A": "b"},
        "keyword": "Sold out",
        "keyword_absent": True,
        "follow_redirects": True,
    }
    assert (shop["retries"], shop["interval_seconds"], shop["timeout_seconds"], shop["tags"]) == (
        3,
        300,
        40,
        ["a", "b"],
    )
    assert (made["Gone"]["config"]["method"], made["Gone"]["paused"], made["Gone"]["interval_seconds"]) == (
        "HEAD",
        True,
        10,
    )
    assert made["Port"]["config"] == {"host": "db.example", "port": 5432}


def test_kind_that_does_not_exist_is_reported_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.checks.importers.wish.CHECK_TYPES", [CHECK_TYPES.get("http")])

    read = found("uptimerobot", "uptimerobot.csv")

    assert [(loss.name, str(loss.reason)) for loss in read.losses if loss.is_whole] == [
        ("Shop, EU", "There is no check of kind “http” here."),
        ("Words", "There is no check of kind “http” here."),
        ("Database", "There is no check of kind “tcp” here."),
        ("Mind", "Nothing here is like its type “telepathy”."),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60", 60),
        (60, 60),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1h", 3600),
        ("x", None),
        ("", None),
        (None, None),
        (True, None),
    ],
)
def test_durations(text: Any, value: float | None) -> None:
    assert seconds(text) == value


def test_number_beyond_a_setting_takes_the_nearest_and_not_the_default() -> None:
    monitor = {"id": 7, "name": "Job", "type": "push", "interval": 20, "push_token": "abcdefghij0123456789"}

    found = IMPORTERS.get("uptime_kuma").read(json.dumps({"monitorList": [monitor]}).encode())

    assert found.checks[0]["config"]["period_seconds"] == 60
    assert str(found.losses[0].reason) == "period_seconds 20 becomes 60."


def test_blackbox_pattern_s_end_is_the_end_of_a_line_in_cr_and_lf() -> None:
    steps = [{"expect": "^220 .+ESMTP$", "send": "EHLO a\r"}, {"expect": r"^250 costs 5\$", "starttls": True}]
    module = {"prober": "tcp", "tcp": {"query_response": steps}}
    job = {"params": {"module": ["smtp"]}, "static_configs": [{"targets": ["mail.example:25"]}]}
    scraped = {"scrape_configs": [{"job_name": "a", "metrics_path": "/probe", **job}]}
    raw = json.dumps({"modules": {"smtp": module}}) + "\n---\n" + json.dumps(scraped)

    found = IMPORTERS.get("blackbox").read(raw.encode())

    assert found.checks[0]["config"]["script"].splitlines() == [
        r"expect /^220 .+ESMTP\r?$/",
        r'send "EHLO a\r\n"',
        r"expect /^250 costs 5\$/",
        "starttls",
    ]


def test_blackbox_script_ends_before_what_it_cannot_say_and_reports_it() -> None:
    module = {
        "prober": "tcp",
        "tcp": {
            "query_response": [
                {"send": "NICK prober"},
                {"expect": "PING :(.+)", "send": "PONG ${1}"},
                {"expect": "001"},
            ]
        },
    }
    job = {"params": {"module": ["irc"]}, "static_configs": [{"targets": ["irc.example:6667"]}]}
    raw = (
        json.dumps({"modules": {"irc": module}})
        + "\n---\n"
        + json.dumps({"scrape_configs": [{"job_name": "a", "metrics_path": "/probe", **job}]})
    )

    found = IMPORTERS.get("blackbox").read(raw.encode())

    assert found.checks[0]["config"]["script"] == 'send "NICK prober\\n"'
    assert [str(loss.reason) for loss in found.losses] == ["“query_response” of the module stays behind."]
