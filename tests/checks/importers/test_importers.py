"""Every importer alike, and most on an export in its vendor's format: what comes over, exactly, and what is lost."""

from pathlib import Path
from typing import Any

import pytest

from apps.checks.domain.configuration import read_configuration, settle_config
from apps.checks.domain.ping_dialects import gatus_token
from apps.checks.importers.base import SourceError
from apps.checks.importers.registry import IMPORTERS
from apps.checks.importers.wish import integer, seconds
from apps.checks.types.registry import CHECK_TYPES
from tests.checks.importers.reading import EXPORTS, checks, found, losses
from tests.checks.importers.test_gatus_windows import ALERTS_ALONE


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


def test_gatus() -> None:
    made = checks("gatus", "gatus.yaml")

    front = made["front-end"]
    assert (front["key"], front["interval_seconds"], front["timeout_seconds"], front["tags"]) == (
        "gatus-core-front-end",
        90,
        5,
        ["core", "env:prod"],
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
    assert made["nightly"]["config"] == {
        "period_seconds": 1_800,
        "grace_seconds": 60,
        "address": gatus_token("jobs_nightly", "potato"),
    }
    sign_in = made["sign-in"]
    assert (sign_in["key"], sign_in["kind"], sign_in["interval_seconds"], sign_in["timeout_seconds"]) == (
        "gatus-suite-shop-sign-in",
        "multistep",
        600,
        20,
    )
    assert "paused" not in sign_in
    assert sorted(made) == ["certificate", "database", "front-end", "nightly", "off", "resolver", "sign-in"]


def test_gatus_losses() -> None:
    lost = losses("gatus", "gatus.yaml")

    assert ("endpoints[0]", "front-end", "Its alerts stay behind; make alert rules here.") in lost
    assert ("endpoints[0]", "front-end", "The condition “[NONSENSE] == 1” stays behind.") in lost
    assert ("endpoints[3]", "pub-sub", "Nothing here does “sctp://example.org:38412”.") in lost
    assert (
        "suites[0].endpoints[1]",
        "sign-out",
        "It always runs there; here no step follows one that failed.",
    ) in lost
    assert [(where, reason) for where, name, reason in lost if not name] == [
        ("maintenance", ALERTS_ALONE),
        ("alerting", "Its alerts stay behind; make alert rules here."),
        ("connectivity", "This section stays behind."),
        ("security", "This section stays behind."),
        ("storage", "This section stays behind."),
        ("ui", "This section stays behind."),
        ("x-defaults", "This section stays behind."),
    ]


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
            "manual_resume": False,
            "only_post": True,
            "slug": "db-backup",
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
        "judged_texts": "mails",
        "filters_subject": True,
        "failure_keywords": "ERROR",
        "success_keywords": "done",
        "manual_resume": True,
        "only_post": False,
        "slug": "reports",
        "address": "803f680d-e89b-492b-82ef-2be7b774a92d",
    }
    assert made["Reports"]["paused"] is True
    assert made["Sync"]["key"] == "hc-9d17c61f-5c4f-4cab-b517-11e6b2679ced"
    assert made["Sync"]["config"]["on_calendar"] == "Mon..Fri 12:00"
    assert made["Import"]["config"] == {
        "schedule": "simple",
        "period_seconds": 3_600,
        "grace_seconds": 60,
        "filters_body": True,
        "judged_texts": "requests",
        "success_keywords": "done",
        "unmatched_fails": True,
        "manual_resume": False,
        "only_post": False,
        "slug": "import",
        "address": "5b1c9d5e-5d1f-4f5e-8a3f-0b7f3b9b8c11",
    }


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
    assert (made["SMTP"]["kind"], made["SMTP"]["config"]) == (
        "smtp",
        {"host": "mail.example", "port": 25, "security": "none"},
    )
    assert made["Custom port"]["config"] == {"host": "db.example", "port": 5432}


def test_uptimerobot_csv() -> None:
    made = checks("uptimerobot", "uptimerobot.csv")

    assert made["Shop, EU"]["config"]["url"] == "https://shop.example/"
    assert made["Words"]["config"]["keyword_absent"] is False
    assert (made["Words"]["paused"], made["Words"]["key"]) == (True, "words")
    assert made["Database"]["config"] == {"host": "db.example", "port": 5432}
    assert losses("uptimerobot", "uptimerobot.csv")[:2] == [
        (
            "line 3",
            "Words",
            "The export does not tell whether upper and lower case matter in its keyword; here they do.",
        ),
        ("line 5", "Mind", "Nothing here is like its type “telepathy”."),
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
    assert losses("pingdom", "pingdom.csv")[2] == (
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
        ([60], None),
        (10**400, 1e9),
        (float("inf"), 1e9),
        (float("nan"), None),
        ("9" * 40, 1e9),
        ("9" * 39 + "h", 1e9),
        ("9" * 400, None),
        ("1" * 1_000_000 + "x", None),  # which took hours
    ],
)
def test_durations(text: Any, value: float | None) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (7, 7),
        (" 7 ", 7),
        (10**400, 10**9),
        ("-" + "9" * 400, -(10**9)),
        (True, None),
        (1.5, None),
        ([7], None),
        (None, None),
    ],
)
def test_whole_numbers(given: Any, value: int | None) -> None:
    assert integer(given) == value
