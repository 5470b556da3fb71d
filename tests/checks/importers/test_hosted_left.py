"""Hosted products' rows: what is carried as it was meant, what of a row stays behind, and what all of them have."""

import json
from typing import Any

import pytest

from apps.checks.importers import statuscake
from apps.checks.importers.base import Found
from apps.checks.importers.registry import IMPORTERS
from apps.checks.types.patterns import bounded_search

CASE = "The export does not tell whether upper and lower case matter in its keyword; here they do."
PAUSED = "It comes paused: without what stays behind it would judge something else."
ADDRESS = "Its address is new here: change it where its job reports."
FAMILY = "It keeps to one family of addresses; checks here take whichever the name has."
DOMAINS = "Ends of domains are watched by checks of their own here: make one of the kind “domain” for each."
GROUPS = "Groups stay behind; use tags here."
REGIONS = "Regions stay behind; choose regions here."
REMINDERS = "Reminders of a certificate's end stay behind; set “Certificate's days left” here."
# Each source's lists, and the row of a web site there.
SOURCES: dict[str, tuple[str, dict[str, Any]]] = {
    "uptimerobot": ("data", {"id": 1, "friendlyName": "One", "url": "https://a.example/", "type": "HTTP"}),
    "better_stack": ("data", {"id": "1", "name": "One", "url": "https://a.example/", "monitor_type": "status"}),
    "statuscake": ("data", {"id": "1", "name": "One", "website_url": "https://a.example/", "test_type": "HTTP"}),
    "pingdom": ("checks", {"id": 1, "name": "One", "hostname": "a.example", "type": {"http": {"encryption": True}}}),
}


def read(source: str, **fields: Any) -> Found:
    listed, row = SOURCES[source]
    return IMPORTERS.get(source).read(json.dumps({listed: [{**row, **fields}]}).encode())


def config_of(source: str, **fields: Any) -> dict[str, Any]:
    (check,) = read(source, **fields).checks
    return dict(check["config"])


def left_of(source: str, **fields: Any) -> list[str]:
    return [str(loss.reason) for loss in read(source, **fields).losses if loss.name == "One"]


def left_of_all(source: str, **fields: Any) -> list[str]:
    """Return what is said of the whole export, but for the line that each of them ends with."""
    return [str(loss.reason) for loss in read(source, **fields).losses if not loss.name][:-1]


@pytest.mark.parametrize(
    ("source", "fields", "lost"),
    [
        ("uptimerobot", {"customFields": {"owner": "web"}}, ["Its custom fields stay behind."]),
        ("uptimerobot", {"authType": "DIGEST", "httpUsername": "u"}, [PAUSED, "Digest authentication stays behind."]),
        ("uptimerobot", {"authType": "BEARER"}, [PAUSED, "Its way to sign in, “bearer”, stays behind."]),
        ("uptimerobot", {"type": "KEYWORD", "keywordValue": "up"}, [CASE]),
        ("uptimerobot", {"type": "KEYWORD", "keywordValue": "up", "keywordCaseType": 0}, []),
        ("uptimerobot", {"type": "HEARTBEAT", "interval": 300}, [ADDRESS]),
        ("uptimerobot", {"config": {"ipVersion": "ipv6Only"}}, [FAMILY]),
        (
            "uptimerobot",
            {"type": "DNS", "url": "a.example", "config": {"dnsRecords": {"A": ["192.0.2.1"]}}},
            ["The records that it expects stay behind."],
        ),
        ("uptimerobot", {"authType": "NONE", "config": {}, "customFields": {}}, []),
        (
            "better_stack",
            {"maintenance_from": "01:00:00", "maintenance_to": "", "maintenance_days": ["sun"]},
            ["This maintenance stays behind: it cannot be read. Plan it here."],
        ),
        ("better_stack", {"maintenance_from": "00:00", "maintenance_to": "00:00", "maintenance_days": ["sun"]}, []),
        ("better_stack", {"ip_version": "ipv4"}, [FAMILY]),
        ("better_stack", {"proxy_host": "proxy.example", "proxy_port": 3_128}, [PAUSED, "Its proxy stays behind."]),
        ("better_stack", {"regions": ["eu"]}, ["Its regions stay behind; choose regions here."]),
        (
            "better_stack",
            {"monitor_type": "smtp", "url": "mx.example", "port": "25,465"},
            ["Of its ports only the first is asked."],
        ),
        ("better_stack", {"monitor_type": "", "type": "heartbeat", "period": 600, "grace": 120}, [ADDRESS]),
        (
            "statuscake",
            {"final_endpoint": "https://a.example/b"},
            ["The address where its redirects must end stays behind."],
        ),
        ("statuscake", {"include_header": True}, ["Its text is looked for in the body alone, not in the headers."]),
        (
            "statuscake",
            {"test_type": "DNS", "dns_ips": ["192.0.2.1", "192.0.2.2"]},
            ["The addresses that it expects stay behind."],
        ),
        ("statuscake", {"test_type": "", "period": 600}, ["grace_seconds 0 becomes 60.", ADDRESS]),
        ("pingdom", {"ipv6": True}, [FAMILY]),
        ("pingdom", {"custom_message": "Call Ada"}, ["The message that goes with its alerts stays behind."]),
        (
            "pingdom",
            {"type": {"http": {"quantum": "yes", "url": "/"}}},
            ["These of its settings are not known here and stay behind: quantum."],
        ),
    ],
)
def test_what_of_a_row_stays_behind_is_named(source: str, fields: dict[str, Any], lost: list[str]) -> None:
    assert left_of(source, **fields) == lost


@pytest.mark.parametrize(
    ("source", "fields", "lost"),
    [
        (
            "uptimerobot",
            {"regionalData": "na", "groupId": 7, "sslExpirationReminder": True, "domainExpirationReminder": True},
            [REGIONS, GROUPS, REMINDERS, DOMAINS],
        ),
        (
            "better_stack",
            {"recovery_period": 180, "domain_expiration": 14, "monitor_group_id": 7, "heartbeat_group_id": 8},
            ["How long a monitor must be up before its incident ends stays behind.", DOMAINS, GROUPS],
        ),
        (
            "statuscake",
            {"trigger_rate": 4, "enable_ssl_alert": True, "servers": [{"region": "London"}]},
            [
                "How long a test waits before it alarms stays behind; alert rules here have their own delay.",
                REMINDERS,
                REGIONS,
            ],
        ),
        (
            "pingdom",
            {"sendnotificationwhendown": 2, "notifyagainevery": 5, "maintenanceids": [1]},
            [
                "When and how often somebody is notified stays behind; make alert rules here.",
                "Maintenance stays behind; make windows under Maintenance.",
            ],
        ),
    ],
)
def test_what_nearly_all_rows_have_is_named_once(source: str, fields: dict[str, Any], lost: list[str]) -> None:
    assert left_of_all(source, **fields) == lost


@pytest.mark.parametrize("source", SOURCES)
def test_what_nobody_knows_is_named_as_it_is_written(source: str) -> None:
    unknown = {"quantum_retries": 3, "Holo-Mode": "on", "dull_setting": 0, "empty_setting": [], "off_setting": "false"}

    assert left_of_all(source, **unknown) == [
        "These of its settings are not known here and stay behind: Holo-Mode, quantum_retries."
    ]
    assert left_of_all(source) == []


def test_column_that_nobody_knows_is_named_as_its_header_says() -> None:
    table = b"Type,Friendly Name,URL/IP,Holo Mode\nHTTP,Shop,https://a.example/,on\nHTTP,Blog,https://b.example/,\n"

    found = IMPORTERS.get("uptimerobot").read(table)

    assert str(found.losses[0].reason) == "These of its settings are not known here and stay behind: Holo Mode."


@pytest.mark.parametrize(
    ("kind", "case", "setting", "fits"),
    [
        ("ALERT_NOT_EXISTS", 1, "patterns", True),
        ("ALERT_EXISTS", "CaseInsensitive", "patterns_absent", True),
        ("ALERT_NOT_EXISTS", 0, "keyword", False),
        ("ALERT_NOT_EXISTS", "CaseSensitive", "keyword", False),
    ],
)
def test_keyword_of_uptimerobot_keeps_how_its_case_matters(kind: str, case: Any, setting: str, fits: bool) -> None:
    keyword = "All (good).\nReally"

    config = config_of("uptimerobot", type="KEYWORD", keywordType=kind, keywordValue=keyword, keywordCaseType=case)

    if fits:
        (pattern,) = config[setting]
        assert "\n" not in pattern
        assert bounded_search(pattern, "… ALL (GOOD).\nreally …")
        assert not bounded_search(pattern, "all good.\nreally")
    else:
        assert (config[setting], config["keyword_absent"]) == (keyword, False)


def test_answer_of_uptimerobots_newer_api_is_read() -> None:
    fields = {
        "httpMethodType": "POST",
        "authType": "HTTP_BASIC",
        "httpUsername": "u",
        "httpPassword": "p",
        "postValueType": "KEY_VALUE",
        "postValueData": {"a": "1 2"},
        "customHttpHeaders": {"X-A": "b"},
        "successHttpResponseCodes": ["2xx", "301"],
        "followRedirections": False,
        "checkSSLErrors": False,
    }

    (check,) = read("uptimerobot", **fields, responseTimeThreshold=900, interval=60).checks

    assert check["config"] == {
        "url": "https://a.example/",
        "method": "POST",
        "headers": {"Content-Type": "application/x-www-form-urlencoded", "X-A": "b"},
        "auth": "basic",
        "username": "u",
        "password": "p",
        "body": "a=1+2",
        "expected_status": "2xx, 301",
        "keyword_absent": False,
        "follow_redirects": False,
        "verify_tls": False,
    }
    assert (check["degraded_ms"], check["interval_seconds"]) == (900, 60)


def test_wait_for_a_confirmation_is_a_second_look() -> None:
    (check,) = read("better_stack", confirmation_period=90, remember_cookies=True).checks
    (at_once,) = read("better_stack", confirmation_period=0, remember_cookies=False).checks

    assert (check["retries"], check["retry_interval_seconds"], check["config"]["keeps_cookies"]) == (1, 90, True)
    assert "retries" not in at_once
    assert "keeps_cookies" not in at_once["config"]


@pytest.mark.parametrize(
    ("source", "fields", "port", "security"),
    [
        ("uptimerobot", {"type": "4", "subType": "6", "url": "mx.example"}, 143, "none"),
        ("uptimerobot", {"type": "4", "subType": "5", "url": "mx.example"}, 110, "none"),
        ("better_stack", {"monitor_type": "pop", "url": "mx.example", "port": "995,110"}, 995, "tls"),
        ("better_stack", {"monitor_type": "smtp", "url": "mx.example", "port": "587"}, 587, "none"),
        ("statuscake", {"test_type": "SMTP", "website_url": "mx.example", "port": 465}, 465, "tls"),
        ("pingdom", {"hostname": "mx.example", "type": "imap"}, 143, "none"),
    ],
)
def test_mail_server_is_spoken_to_as_its_port_wants(
    source: str, fields: dict[str, Any], port: int, security: str
) -> None:
    assert config_of(source, **fields) == {"host": "mx.example", "port": port, "security": security}


def test_datagram_of_better_stack_has_what_is_sent_and_expected() -> None:
    config = config_of(
        "better_stack", monitor_type="udp", url="a.example", port="53", request_body="a\n", required_keyword='"b"'
    )

    assert config == {"host": "a.example", "port": 53, "payload": "a\\n", "expected": '\\"b\\"'}


def test_statuses_that_alarm_at_statuscake_are_those_not_expected() -> None:
    config = config_of("statuscake", status_codes=["404", "500", "501", "502"], use_jar=True, user_agent="cake")

    assert config["expected_status"] == "100-403, 405-499, 503-599"
    assert (config["keeps_cookies"], config["headers"]) == (True, {"User-Agent": "cake"})
    assert "expected_status" not in config_of("statuscake", status_codes=[])


def test_statuses_of_statuscake_are_worked_out_once_for_all_tests_that_alarm_at_the_same() -> None:
    statuscake.statuses_beside.cache_clear()
    codes = [",".join(order) for order in (("404", "500"), ("500", "404"), ("500", "404", "9"))]
    rows = [
        {"id": str(row), "url": "a.example", "test_type": "HTTP", "status_codes": codes[row % 3]} for row in range(9)
    ]

    found = IMPORTERS.get("statuscake").read(json.dumps({"data": rows}).encode())

    assert {check["config"]["expected_status"] for check in found.checks} == {"100-403, 405-499, 501-599"}
    assert statuscake.statuses_beside.cache_info().misses == 1


def test_address_that_a_name_must_have_at_statuscake() -> None:
    config = config_of("statuscake", test_type="DNS", website_url="a.example", dns_ips=["2001:db8::1"])

    assert config == {
        "name": "a.example",
        "record_type": "AAAA",
        "matching": "includes",
        "expected": "2001:db8::1",
    }


def test_silence_alarms_at_once_at_statuscake_and_as_soon_as_may_be_here() -> None:
    config = config_of("statuscake", test_type="PUSH", period=600)

    assert config == {"period_seconds": 600, "grace_seconds": 60}
