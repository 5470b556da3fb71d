"""Uptime Kuma's maintenance: what its strategies become, which checks it covers, and what stays behind."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine

from apps.checks.importers.base import Found
from apps.checks.importers.registry import IMPORTERS
from config.cli.kuma import slim_backup
from tests.checks.importers.test_several_files import monitor, read

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAILY = {"start_time": "23:30", "end_time": "01:00"}
CUT = "it is limited by dates, which may cut one short"


@pytest.fixture(autouse=True)
def today() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def brought(*, monitors: list[int] | None = None, server: str = "", **given: Any) -> Found:
    row = {
        "id": 7,
        "title": "Patches",
        "active": 1,
        "timezone": "Europe/Berlin",
        "monitors": [1] if monitors is None else monitors,
        **given,
    }
    listed = [
        {"id": 2, "name": "Office", "type": "group"},
        {"id": 3, "name": "Hall", "type": "group", "parent": 2},
        monitor(1, "Shop"),
        monitor(4, "Door", parent=3),
        monitor(5, "Desk", parent=2),
        {"id": 6, "name": "Game", "type": "gamedig"},
    ]
    return read("uptime_kuma", {"monitorList": listed, "maintenanceList": [row], "serverTimezone": server})


def window(**given: Any) -> dict[str, Any]:
    (one,) = brought(**given).others["maintenance"]
    return one


def unsaid(**given: Any) -> list[str]:
    found = brought(**given)
    assert found.others == {}
    return [str(loss.reason) for loss in found.losses if loss.name == "Patches"]


def test_weekdays_are_counted_from_monday_and_it_may_end_the_next_day() -> None:
    given = {"strategy": "recurring-weekday", "weekdays": "[0, 1]", "description": "Front", **DAILY}

    assert window(**given) == {
        "key": "kuma-maintenance-7",
        "name": "Patches",
        "description": "Front",
        "repeat": "weekly",
        "time_zone": "Europe/Berlin",
        "weekdays": [0, 6],
        "time_of_day": "23:30",
        "duration_minutes": 90,
        "checks": ["kuma-1"],
        "is_public": False,
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"strategy": "single", "start_date": "2026-03-28T22:00", "end_date": "2026-03-29 04:00:00"},
            # The clocks are put forward that night.
            {"repeat": "once", "starts_at": "2026-03-28T22:00:00+01:00", "duration_minutes": 300},
        ),
        (
            {"strategy": "recurring-interval", "interval_day": 1, **DAILY},
            {"repeat": "weekly", "weekdays": [0, 1, 2, 3, 4, 5, 6], "time_of_day": "23:30", "duration_minutes": 90},
        ),
        (
            {"strategy": "recurring-day-of-month", "days_of_month": '[1, 15, "lastDay1"]', **DAILY},
            {"repeat": "cron", "cron": "30 23 1,15,L * *", "duration_minutes": 90},
        ),
        (
            {"strategy": "cron", "cron": "30  3 * * 1-5", "duration": 3_600},
            {"repeat": "cron", "cron": "30 3 * * 1-5", "duration_minutes": 60},
        ),
    ],
)
def test_strategies(given: dict[str, Any], said: dict[str, Any]) -> None:
    made = window(**given)

    assert {name: made[name] for name in said} == said


def test_dates_limit_what_repeats_and_those_of_the_past_say_nothing() -> None:
    given = {"strategy": "recurring-weekday", "weekdays": "[1]", **DAILY}

    coming = window(**given, start_date="2026-04-01 12:00:00", end_date="2026-05-01T12:00")
    under_way = window(**given, start_date="2026-01-01 00:00:00")

    assert (coming["starts_at"], coming["repeats_until_at"]) == (
        "2026-04-01T12:00:00+02:00",
        "2026-05-01T12:00:00+02:00",
    )
    assert "starts_at" not in under_way


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"strategy": "manual"}, "somebody switches it on and off by hand"),
        ({"strategy": "single", "start_date": "2026-03-01 02:00", "end_date": "2026-03-01 03:00"}, "it is over"),
        ({"strategy": "single", "start_date": "soon", "end_date": "2026-04-01 03:00"}, "it cannot be read"),
        ({"strategy": "single", "start_date": 1_775_000_000, "end_date": "2026-04-01 03:00"}, "it cannot be read"),
        ({"strategy": "recurring-interval", "interval_day": 2, **DAILY}, "it takes place every 2 days"),
        ({"strategy": "recurring-interval", "interval_day": 1}, "it cannot be read"),
        (
            {"strategy": "recurring-interval", "interval_day": 1, "start_time": "02:00", "end_time": "02:00"},
            "it does not last whole minutes",
        ),
        ({"strategy": "recurring-weekday", "weekdays": "[7]", **DAILY}, "it cannot be read"),
        ({"strategy": "recurring-weekday", "weekdays": "[]", **DAILY}, "it cannot be read"),
        ({"strategy": "recurring-weekday", "weekdays": "[1.5, {}]", **DAILY}, "it cannot be read"),
        ({"strategy": "recurring-day-of-month", "days_of_month": '["lastDay2"]', **DAILY}, "it cannot be read"),
        ({"strategy": "recurring-weekday", "weekdays": "[1]", "end_date": "2026-01-01 00:00", **DAILY}, "it is over"),
        ({"strategy": "recurring-weekday", "weekdays": "[1]", "end_date": "2026-05-01 00:00", **DAILY}, CUT),
        ({"strategy": "recurring-weekday", "weekdays": "[1]", "start_date": "2026-05-01 23:45", **DAILY}, CUT),
        ({"strategy": "cron", "cron": "0 3 * * *", "duration": 3_600, "end_date": "2026-05-01 03:30"}, CUT),
        (
            {"strategy": "cron", "cron": "0 3 1 * 1", "duration": 3_600},
            "its cron expression “0 3 1 * 1” may mean something else here",
        ),
        (
            {"strategy": "cron", "cron": "0 0 3 * * *", "duration": 3_600},
            "its cron expression “0 0 3 * * *” may mean something else here",
        ),
        ({"strategy": "lunar"}, "nothing here is like its strategy “lunar”"),
        (
            {"strategy": "recurring-weekday", "weekdays": "[1]", "timezone": "Mars/Olympus", **DAILY},
            "its time zone “Mars/Olympus” is not known here",
        ),
        (
            {"strategy": "recurring-weekday", "weekdays": "[1]", "timezone": "SAME_AS_SERVER", **DAILY},
            "it keeps to the time zone of its server, which the export does not tell",
        ),
        (
            {"strategy": "recurring-weekday", "weekdays": "[1]", "timezone": None, **DAILY},
            "it keeps to the time zone of its server, which the export does not tell",
        ),
    ],
)
def test_maintenance_that_no_window_says_is_named(given: dict[str, Any], reason: str) -> None:
    assert unsaid(**given) == [f"This maintenance stays behind: {reason}. Plan it here."]


def test_maintenance_of_a_group_covers_all_that_is_in_it() -> None:
    given = {"strategy": "recurring-interval", "interval_day": 1, **DAILY}

    assert window(monitors=[2, 5], **given)["checks"] == ["kuma-4", "kuma-5"]


def test_groups_that_are_in_one_another_end() -> None:
    found = read(
        "uptime_kuma",
        {
            "monitorList": [
                {"id": 2, "name": "A", "type": "group", "parent": 3},
                {"id": 3, "name": "B", "type": "group", "parent": 2},
                monitor(1, "Shop", parent=2),
            ],
            "maintenanceList": [
                {
                    "id": 7,
                    "title": "Patches",
                    "strategy": "recurring-interval",
                    "interval_day": 1,
                    "timezone": "UTC",
                    "monitors": [3],
                    **DAILY,
                }
            ],
        },
    )

    assert [one["checks"] for one in found.others["maintenance"]] == [["kuma-1"]]


def test_maintenance_of_monitors_that_do_not_come_is_named() -> None:
    given = {"strategy": "recurring-interval", "interval_day": 1, **DAILY}

    assert unsaid(monitors=[6], **given) == ["None of the checks that it covers comes over."]


def test_servers_time_zone_is_taken_from_its_settings_and_said() -> None:
    given = {"strategy": "recurring-interval", "interval_day": 1, "timezone": "SAME_AS_SERVER", **DAILY}

    found = brought(server="Asia/Tokyo", **given)

    assert [one["time_zone"] for one in found.others["maintenance"]] == ["Asia/Tokyo"]
    assert [str(loss.reason) for loss in found.losses if loss.name == "Patches"] == [
        "It keeps to the time zone of its server, by its settings Asia/Tokyo: mend the window if the server's environment "
        "says another."
    ]


def database(path: Path) -> bytes:
    with closing(sqlite3.connect(path)) as kuma:
        kuma.executescript(
            """
            CREATE TABLE monitor (id INTEGER PRIMARY KEY, name TEXT, type TEXT, url TEXT);
            CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE monitor_tag (id INTEGER PRIMARY KEY, monitor_id INTEGER, tag_id INTEGER, value TEXT);
            CREATE TABLE maintenance (id INTEGER PRIMARY KEY, title VARCHAR(150), description TEXT, user_id INTEGER,
              active BOOLEAN, strategy VARCHAR(50), start_date DATETIME, end_date DATETIME, start_time TIME, end_time TIME,
              weekdays VARCHAR2(250), days_of_month TEXT, interval_day INTEGER, cron TEXT, timezone VARCHAR(255),
              duration INTEGER);
            CREATE TABLE monitor_maintenance (id INTEGER PRIMARY KEY, monitor_id INTEGER, maintenance_id INTEGER);
            CREATE TABLE setting (id INTEGER PRIMARY KEY, key VARCHAR(200), value TEXT, type VARCHAR(20));
            INSERT INTO monitor VALUES (1, 'Shop', 'http', 'https://shop.example/');
            INSERT INTO maintenance VALUES
              (1, 'Nightly', '', 1, 1, 'recurring-weekday', NULL, NULL, '02:00', '03:00', '[6]', '[]', 1, '0 2 * * 6',
               'SAME_AS_SERVER', 3600),
              (2, 'Old', '', 1, 0, 'manual', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL),
              (3, 'By hand', '', 1, 1, 'manual', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', 'UTC', NULL);
            INSERT INTO monitor_maintenance VALUES (1, 1, 1), (2, 1, 3);
            INSERT INTO setting VALUES (1, 'jwtSecret', 'hidden', NULL), (2, 'serverTimezone', '"Europe/Berlin"', 'general');
            """
        )
        return kuma.serialize()


@pytest.mark.parametrize("by_command_line", [False, True])
def test_database(tmp_path: Path, by_command_line: bool) -> None:
    raw = database(tmp_path / "kuma.db")
    sent = slim_backup(tmp_path / "kuma.db") if by_command_line else raw

    found = IMPORTERS.get("uptime_kuma").read(sent)

    (one,) = found.others["maintenance"]
    assert (one["name"], one["weekdays"], one["time_zone"], one["checks"]) == (
        "Nightly",
        [5],
        "Europe/Berlin",
        ["kuma-1"],
    )
    assert [(loss.where, loss.name) for loss in found.losses if loss.name] == [
        ("maintenance[0]", "Nightly"),
        ("maintenance[1]", "By hand"),
    ]
    assert not by_command_line or b"hidden" not in sent
