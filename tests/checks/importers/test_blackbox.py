"""Modules and targets of the Blackbox exporter: what comes over, exactly, and what is reported as lost."""

import json

from apps.checks.importers.registry import IMPORTERS
from tests.checks.importers.reading import checks, losses


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
        "header_rules": ["Set-Cookie: exists", "Set-Cookie: !~ x"],
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
            "“fail_if_ssl” of the module stays behind.",
        ),
        ("scrape_configs[2][0].targets[0]", "https://login.example/", "timeout_seconds 120 becomes 60."),
        (
            "scrape_configs[2][0].targets[0]",
            "https://login.example/",
            "It comes paused: without what stays behind it would judge something else.",
        ),
    ]


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
    assert [str(loss.reason) for loss in found.losses] == [
        "“query_response” of the module stays behind.",
        "It comes paused: without what stays behind it would judge something else.",
    ]


def test_blackbox_target_of_an_unknown_prober_does_not_come_over() -> None:
    raw = json.dumps({"modules": {"web": {"prober": "carrier_pigeon"}}}) + '\n---\n[{"targets": ["a.example"]}]'

    found = IMPORTERS.get("blackbox").read(raw.encode())

    assert found.checks == []
    assert [(loss.name, str(loss.reason), loss.is_whole) for loss in found.losses] == [
        ("a.example", "Nothing here is like the prober “carrier_pigeon”.", True)
    ]
