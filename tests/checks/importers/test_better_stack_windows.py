"""Better Stack's maintenance: windows that several checks share, and what stays behind."""

from typing import Any

import pytest

from apps.checks.importers.base import Found
from tests.checks.importers.test_several_files import read

NIGHT = {"maintenance_from": "01:00:00", "maintenance_to": "03:00:00"}
SUNDAY = {**NIGHT, "maintenance_days": ["sun"], "maintenance_timezone": "Berlin"}


def brought(*monitors: dict[str, Any]) -> Found:
    rows = [
        {"id": str(number), "url": "https://a.example/", "pronounceable_name": "One", "monitor_type": "status", **given}
        for number, given in enumerate(monitors, 1)
    ]
    return read("better_stack", {"data": rows})


def windows(found: Found) -> list[dict[str, Any]]:
    return found.others.get("maintenance", [])


def test_monitors_with_the_same_maintenance_share_a_window() -> None:
    found = brought(SUNDAY, {}, {**SUNDAY, "maintenance_days": ["sat"]}, SUNDAY)

    first, second = windows(found)
    assert first.pop("key").startswith("betterstack-maintenance-")
    assert first == {
        "name": "Maintenance at 01:00",
        "repeat": "weekly",
        "time_zone": "Europe/Berlin",
        "weekdays": [6],
        "time_of_day": "01:00",
        "duration_minutes": 120,
        "checks": ["betterstack-1", "betterstack-4"],
        "is_public": False,
    }
    assert (second["weekdays"], second["checks"]) == ([5], ["betterstack-3"])
    assert not [loss for loss in found.losses if loss.name]


def test_tables_tell_it_as_well_and_without_days_it_is_daily() -> None:
    head = b"id,name,url,maintenance_from,maintenance_to,maintenance_days\n"

    listed = windows(read("better_stack", head + b'1,One,https://a.example/,01:00,03:00,"mon, tue"\n'))
    as_json = windows(read("better_stack", head + b'1,One,https://a.example/,01:00,03:00,"[""mon""]"\n'))
    daily = windows(brought(NIGHT))

    assert [one["weekdays"] for one in (*listed, *as_json, *daily)] == [[0, 1], [0], [0, 1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("", "UTC"),
        ("UTC", "UTC"),
        ("Europe/Berlin", "Europe/Berlin"),
        ("Hong Kong", "Asia/Hong_Kong"),
        ("Eastern Time (US & Canada)", "America/New_York"),
        ("Samoa", "Pacific/Apia"),
        ("Nowhere", "Nowhere"),  # which the section refuses by its name
    ],
)
def test_zones_by_their_names_in_rails(name: str, zone: str) -> None:
    (one,) = windows(brought({**SUNDAY, "maintenance_timezone": name}))

    assert one["time_zone"] == zone


def test_every_night_may_go_beyond_midnight() -> None:
    (one,) = windows(brought({"maintenance_from": "23:00:00", "maintenance_to": "01:30:00"}))

    assert (one["time_of_day"], one["duration_minutes"], len(one["weekdays"])) == ("23:00", 150, 7)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            {**SUNDAY, "maintenance_from": "23:00:00"},
            "it goes beyond midnight, on some days of the week alone",
        ),
        ({**SUNDAY, "maintenance_to": "03:00:30"}, "it does not last whole minutes"),
        ({**SUNDAY, "maintenance_from": "01:00:30", "maintenance_to": "03:00:30"}, "it cannot be read"),
        ({**SUNDAY, "maintenance_from": "1 am"}, "it cannot be read"),
        ({**SUNDAY, "maintenance_to": None}, "it cannot be read"),
        ({**SUNDAY, "maintenance_days": []}, "it cannot be read"),
        ({**SUNDAY, "maintenance_days": ["someday"]}, "it cannot be read"),
        ({**SUNDAY, "maintenance_days": [{}]}, "it cannot be read"),
        ({**SUNDAY, "maintenance_days": 7}, "it cannot be read"),
    ],
)
def test_maintenance_that_no_window_says_is_named(given: dict[str, Any], reason: str) -> None:
    found = brought(given)

    assert windows(found) == []
    assert [str(loss.reason) for loss in found.losses if loss.name] == [
        f"This maintenance stays behind: {reason}. Plan it here."
    ]


def test_no_maintenance_is_no_loss() -> None:
    found = brought({"maintenance_from": "00:00", "maintenance_to": "00:00", "maintenance_days": ["sun"]})

    assert (windows(found), [loss for loss in found.losses if loss.name]) == ([], [])
