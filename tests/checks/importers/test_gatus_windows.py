"""Gatus' maintenance: of a whole file, and of an endpoint."""

from typing import Any

import pytest

from apps.checks.importers.base import Found
from tests.checks.importers.test_several_files import read

ALERTS_ALONE = "In Gatus its maintenance holds back alerts alone; here what is measured meanwhile judges nothing."
NIGHT = {"start": "23:00", "duration": "1h"}


def endpoint(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "url": f"https://{name}.example/", "conditions": ["[STATUS] == 200"], **more}


def job(**more: Any) -> dict[str, Any]:
    return {"name": "job", "token": "t", "heartbeat": {"interval": "1h"}, **more}


def windows(found: Found) -> list[dict[str, Any]]:
    return found.others.get("maintenance", [])


def reasons(found: Found) -> list[tuple[str, str, str]]:
    return [(loss.where, loss.name, str(loss.reason)) for loss in found.losses if "aintenance" in str(loss.reason)]


def test_maintenance_of_a_file_covers_every_check_that_comes_of_it() -> None:
    given = {
        "maintenance": {**NIGHT, "timezone": "Europe/Berlin", "every": ["Sunday", "Monday"]},
        "endpoints": [endpoint("shop"), {"name": "none", "url": "sctp://a.example:1"}, endpoint("blog")],
        "external-endpoints": [job()],
    }

    found = read("gatus", given)

    (window,) = windows(found)
    assert window.pop("key").startswith("gatus-maintenance-")
    assert window == {
        "name": "Maintenance at 23:00",
        "repeat": "weekly",
        "time_zone": "Europe/Berlin",
        "weekdays": [0, 6],
        "time_of_day": "23:00",
        "duration_minutes": 60,
        "checks": ["gatus-shop", "gatus-blog", "gatus-job"],
        "is_public": False,
    }
    assert reasons(found) == [("maintenance", "", ALERTS_ALONE)]


def test_without_days_it_is_daily_and_without_a_zone_in_utc() -> None:
    (window,) = windows(read("gatus", {"maintenance": NIGHT, "endpoints": [endpoint("shop")]}))

    assert (window["weekdays"], window["time_zone"]) == ([0, 1, 2, 3, 4, 5, 6], "UTC")


def test_windows_of_endpoints_cover_those_and_alike_ones_are_one() -> None:
    noon = {"start": "12:00", "duration": "1h30m"}
    given = {
        "endpoints": [
            endpoint("shop", **{"maintenance-windows": [NIGHT, noon]}),
            endpoint("blog", **{"maintenance-windows": [NIGHT]}),
        ],
        "external-endpoints": [job(**{"maintenance-windows": [noon]})],
    }

    found = read("gatus", given)

    assert [(one["time_of_day"], one["duration_minutes"], one["checks"]) for one in windows(found)] == [
        ("23:00", 60, ["gatus-shop", "gatus-blog"]),
        ("12:00", 90, ["gatus-shop", "gatus-job"]),
    ]
    assert reasons(found)[0] == ("endpoints[0].maintenance-windows[0]", "shop", ALERTS_ALONE)


def test_maintenance_of_a_file_is_of_that_file_alone() -> None:
    found = read("gatus", {"maintenance": NIGHT, "endpoints": [endpoint("shop")]}, {"endpoints": [endpoint("blog")]})

    assert [one["checks"] for one in windows(found)] == [["gatus-shop"]]


def test_maintenance_that_is_switched_off_is_no_loss() -> None:
    found = read("gatus", {"maintenance": {**NIGHT, "enabled": False}, "endpoints": [endpoint("shop")]})

    assert (windows(found), found.losses) == ([], [])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"start": "23:00"}, "it cannot be read"),
        ({"start": "24:00", "duration": "1h"}, "it cannot be read"),
        ({"start": "23:00", "duration": "60"}, "it cannot be read"),  # without a unit Gatus counts nanoseconds
        ({"start": "23:00", "duration": 3_600}, "it cannot be read"),
        ({**NIGHT, "every": ["Someday"]}, "it cannot be read"),
        ({**NIGHT, "every": "Monday"}, "it cannot be read"),
        ("nightly", "it cannot be read"),
        ({"start": "23:00", "duration": "90s"}, "it does not last whole minutes"),
        ({**NIGHT, "timezone": "${ZONE}"}, "it has variables of Gatus' environment"),
        ({**NIGHT, "enabled": "${MAINTAINED}"}, "it has variables of Gatus' environment"),
    ],
)
def test_maintenance_that_no_window_says_is_named(given: Any, reason: str) -> None:
    found = read("gatus", {"maintenance": given, "endpoints": [endpoint("shop")]})

    assert windows(found) == []
    assert reasons(found) == [("maintenance", "", f"This maintenance stays behind: {reason}. Plan it here.")]


def test_windows_beyond_what_a_document_holds_are_named() -> None:
    starts = [f"{number // 60:02}:{number % 60:02}" for number in range(202)]
    listed = [{"start": start, "duration": "1m"} for start in starts]

    found = read("gatus", {"endpoints": [endpoint("shop", **{"maintenance-windows": listed})]})

    beyond = "An import makes 200 maintenance windows at most; plan this one here."
    assert len(windows(found)) == 200
    assert [where for where, _name, reason in reasons(found) if reason == beyond] == [
        "endpoints[0].maintenance-windows[200]",
        "endpoints[0].maintenance-windows[201]",
    ]


def test_more_checks_than_a_window_names_take_another() -> None:
    endpoints = [endpoint(f"shop-{number}") for number in range(1_001)]

    found = read("gatus", {"maintenance": NIGHT, "endpoints": endpoints})

    first, second = windows(found)
    assert (len(first["checks"]), second["checks"]) == (1_000, ["gatus-shop-1000"])
    assert second["key"] == f"{first['key']}-2"
