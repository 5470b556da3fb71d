"""Healthchecks' filters and addresses: a job that moves in counts here as it did there."""

import json
from typing import Any

import pytest

from apps.checks.domain.heartbeat_rules import Report, signal_of
from apps.checks.enums import State
from apps.checks.importers.base import Found
from apps.checks.importers.registry import IMPORTERS
from apps.checks.types.heartbeat import HeartbeatConfig, Signal
from apps.core import clock
from apps.core.kinds import parse_config

UUID = "31365bce-8da9-4729-8ff3-aaa71d56b712"
JOB = {"name": "Job", "slug": "job", "timeout": 3_600, "grace": 600, "ping_url": f"https://hc.example/ping/{UUID}"}
WORDS = {"success_kw": "done", "failure_kw": "error", "start_kw": "begun"}


def read(*rows: dict[str, Any]) -> Found:
    return IMPORTERS.get("healthchecks").read(json.dumps({"checks": [{**JOB, **row} for row in rows]}).encode())


def counted(config: HeartbeatConfig, text: str, *, subject: str | None = None) -> Signal:
    """Return what a report counts as; one with a subject is a mail."""
    return signal_of(Report(signal=Signal.SUCCESS, at=clock.now(), text=text, subject=subject), config, State.UP)


REPORTS = (("", None), ("an error", None), ("", ""), ("an error", ""), ("", "an error"))  # texts, and mails' subjects


@pytest.mark.parametrize(
    ("filters", "signals"),
    [
        ((), "success success success success success"),
        (("filter_body",), "success success ign fail ign"),
        (("filter_http_body",), "ign fail success success success"),
        (("filter_subject",), "success success ign ign fail"),
        (("filter_body", "filter_http_body"), "ign fail ign fail ign"),
        (("filter_body", "filter_subject"), "success success ign fail fail"),
        (("filter_default_fail",), "success success success success success"),
        (("filter_body", "filter_default_fail"), "success success fail fail fail"),
        (("filter_http_body", "filter_default_fail"), "fail fail success success success"),
    ],
)
def test_filters_judge_what_they_judged_there(filters: tuple[str, ...], signals: str) -> None:
    (made,) = read({**WORDS, **dict.fromkeys(filters, True)}).checks

    config = parse_config(HeartbeatConfig, made["config"])

    assert [counted(config, text, subject=subject) for text, subject in REPORTS] == signals.split()


def test_words_for_subjects_alone_are_older_exports_filter() -> None:
    (made,) = read({"subject": "done", "subject_fail": "error"}).checks

    config = parse_config(HeartbeatConfig, made["config"])

    assert [counted(config, "", subject=words) for words in ("done", "an error", "else")] == ["success", "fail", "ign"]
    assert counted(config, "") == "success"


def test_what_filters_lose_is_said() -> None:
    found = read({**WORDS, "filter_http_body": True, "desc": "Ask Ann"}, {"filter_body": True, "ping_url": ""})

    assert [(loss.where, str(loss.reason)) for loss in found.losses if loss.where] == [
        ("checks[0]", "Its description stays behind."),
        (
            "checks[0]",
            "There its keywords judge /start, /fail, /log and exit statuses, too; here those count as they are.",
        ),
        ("checks[1]", "Its filters name no keyword; here its reports count without them."),
    ]
    assert len(found.checks) == 2


ADDRESSES = "Jobs keep pinging the old host until you give them ours; the end of the address stays the same."
NAMES = (
    "Jobs that ping by name keep their address once the project's ping key is yours here: see “Ping key” on a heartbeat's "
    "page. There is one for all of your heartbeats."
)


def said(*rows: dict[str, Any]) -> list[str]:
    return [str(loss.reason) for loss in read(*rows).losses if not loss.where]


def test_what_jobs_need_is_said_for_what_was_exported() -> None:
    read_only = {"ping_url": None, "unique_key": "a6c7b0a8a66bed0df66abfdab3c77736861703ee"}

    assert said({}) == [ADDRESSES, NAMES]
    assert said({"slug": ""}) == [ADDRESSES]
    assert said({}, read_only) == [
        ADDRESSES,
        "A read-only API key exports no addresses, which 1 of these checks lack: their jobs need the new ones, unless you "
        "bring the export of an API key that may write.",
        NAMES,
        "Several of these checks are called job in their addresses: jobs cannot ping them by name.",
    ]
    assert ADDRESSES not in said(read_only)


@pytest.mark.parametrize(
    "row",
    [
        {"ping_url": f"https://hc-ping.com/{UUID}"},
        {"ping_url": "https://hc-ping.com/3y2kd7a1m0c9x8z4q5w6e7/database-backup", "uuid": UUID},
    ],
)
def test_address_is_the_id_however_addresses_are_shown(row: dict[str, Any]) -> None:
    (made,) = read(row).checks

    assert made["config"]["address"] == UUID


def test_name_in_an_address_is_no_id() -> None:
    (made,) = read({"ping_url": "https://hc-ping.com/3y2kd7a1m0c9x8z4q5w6e7/database-backup"}).checks

    assert "address" not in made["config"]
