"""Modules and targets of the Blackbox exporter: what comes over, exactly, and what is reported as lost."""

import json
from typing import Any

import pytest

from apps.checks.importers import blackbox
from apps.checks.importers.base import Found, SourceError
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


# --- What one file may cost ----------------------------------------------------------------------------------------


def read_job(module: dict[str, Any], *, targets: int, labels: dict[str, str] | None = None, **job: Any) -> Found:
    addresses = [f"{number}.example:80" for number in range(targets)]
    scraped = {"metrics_path": "/probe", "static_configs": [{"targets": addresses, "labels": labels or {}}], **job}
    files = [{"modules": {"web": module}}, {"scrape_configs": [scraped]}]
    return IMPORTERS.get("blackbox").read(*(json.dumps(file).encode() for file in files))


LONG = "x" * 10_000


@pytest.mark.parametrize(
    ("module", "job", "line"),
    [
        ({"prober": "http", "http": {LONG: 1}}, {}, f"“{LONG[:60]}” of the module stays behind."),
        ({"prober": LONG}, {}, f"Nothing here is like the prober “{LONG[:60]}”."),
        (
            {"prober": "dns", "dns": {"query_name": "a.example", "query_type": LONG}},
            {},
            f"“query_type {LONG[:49].upper()}” of the module stays behind.",
        ),
        (
            {"prober": "http"},
            {"params": {"module": [LONG]}},
            f"The module “{LONG[:60]}” is not given: a plain HTTP check is made.",
        ),
    ],
    ids=["option", "prober", "value", "module"],
)
def test_blackbox_long_name_is_not_repeated_in_each_line_of_the_report(
    module: dict[str, Any], job: dict[str, Any], line: str
) -> None:
    found = read_job(module, targets=2, **job)

    assert [str(loss.reason) for loss in found.losses].count(line) == 2
    assert max(len(str(loss.reason)) for loss in found.losses) < 150


OPTIONS = {f"option{number}": 1 for number in range(500)}


@pytest.mark.parametrize(
    ("module", "job"),
    [
        ({"prober": "http", "http": OPTIONS}, {}),
        ({"prober": "http", "http": {"fail_if_header_matches": [{"header": "A", "regexp": "b"}] * 200}}, {}),
        ({"prober": "tcp", "tcp": {"query_response": [{"expect": "a"}] * 350}}, {}),
        ({"prober": "http", "http": {"body": "x" * 100_000}}, {}),
        ({"prober": "http"}, {"labels": dict.fromkeys(OPTIONS, "a")}),
        ({"prober": "http"}, {"labels": {"text": "x" * 100_000}}),
        ({"prober": "http"}, {"job_name": "x" * 100_000}),
        ({"prober": "http"}, {"params": {"hostname": ["x" * 100_000]}}),
    ],
    ids=["options", "rules", "steps", "body", "labels", "label", "job", "hostname"],
)
def test_blackbox_module_counts_for_each_target_that_takes_it(
    module: dict[str, Any], job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(read_job(module, targets=1, **job).checks) == 1

    monkeypatch.setattr(blackbox, "module_settings", refuse_to_read)
    with pytest.raises(SourceError, match="take more than 500000 values of their modules, jobs and labels together"):
        read_job(module, targets=1_000, **job)


def refuse_to_read(*_given: Any, **_named: Any) -> None:
    raise AssertionError("a module was read for a target before the whole was refused")


def test_blackbox_refusal_names_the_target_up_to_which_it_is_not_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    module = {"prober": "http", "http": {"method": "HEAD"}}  # seven values: two mappings, three names, two texts
    taken = 7 + 4  # and of the job: its empty name, no other host, no labels, and the list of them

    monkeypatch.setattr(blackbox, "MAX_TAKEN", 3 * taken)
    assert len(read_job(module, targets=3).checks) == 3
    with pytest.raises(SourceError) as refused:
        read_job(module, targets=4)

    assert str(refused.value) == (
        f"file 2: scrape_configs[0][0].targets[3]: up to here, the targets take more than {3 * taken} values of their "
        "modules, jobs and labels together; divide the targets, or shorten their modules."
    )
