"""Crafted maintenance whose monitors stand for the same checks again and again: it is read without asking for each anew."""

from collections.abc import Sequence
from typing import Any

import pytest

from apps.checks.importers.base import Found
from apps.checks.importers.kuma_file import KumaFile
from apps.checks.importers.kuma_windows import plan_windows
from apps.checks.importers.wish import Gathering

GROUP = {"id": "g", "type": "group"}
LOOKS = 4  # at a check, for each place of it in a window
FULL = "An import makes 200 maintenance windows at most; plan this one here."


class Key(str):
    """The key of a check that counts how often one is looked for."""

    looks = 0

    def __hash__(self) -> int:
        Key.looks += 1
        return super().__hash__()


@pytest.fixture(autouse=True)
def from_zero() -> None:
    Key.looks = 0


def row(number: int, monitors: Sequence[Any], hour: int = 2, minute: int = 0) -> dict[str, Any]:
    return {
        "id": number,
        "title": f"Patches {number}",
        "timezone": "UTC",
        "strategy": "recurring-interval",
        "interval_day": 1,
        "start_time": f"{hour:02}:{minute:02}",
        "end_time": "23:59",
        "monitors": monitors,
    }


def planned(count: int, windows: list[dict[str, Any]], *groups: dict[str, Any], parent: str = "g") -> Found:
    """Plan maintenance of ``count`` monitors in a group."""
    members = [{"id": number, "parent": parent} for number in range(count)]
    gathering = Gathering("kuma")
    file = KumaFile([*(groups or [GROUP]), *members], windows=windows)
    plan_windows(file, "", [(number, Key(f"kuma-{number}")) for number in range(count)], gathering)
    return gathering.found()


def covered(found: Found) -> list[tuple[str, int]]:
    return [(entry["key"], len(entry["checks"])) for entry in found.others["maintenance"]]


def test_group_that_is_linked_many_times_is_asked_once() -> None:
    found = planned(1_000, [row(1, ["g"] * 1_000)])

    assert covered(found) == [("kuma-maintenance-1", 1_000)]
    assert Key.looks <= LOOKS * 1_000


@pytest.mark.parametrize(
    "groups",
    [[{**GROUP, "parent": "g"}], [{**GROUP, "parent": "h"}, {**GROUP, "id": "h", "parent": "g"}]],
    ids=["in itself", "in one another"],
)
def test_groups_without_an_end_hold_a_check_once(groups: list[dict[str, Any]]) -> None:
    found = planned(1_000, [row(1, ["g"])], *groups)

    assert covered(found) == [("kuma-maintenance-1", 1_000)]
    assert Key.looks <= LOOKS * 1_000


def test_what_no_window_has_a_place_for_is_named_without_a_look_at_each_check() -> None:
    found = planned(10_000, [*(row(number, ["g"]) for number in range(300)), row(300, ["x"])])

    assert {count for _key, count in covered(found)} == {1_000}
    assert len(covered(found)) == 200
    assert [(loss.name, str(loss.reason)) for loss in found.losses] == [
        *((f"Patches {number}", FULL) for number in range(20, 300)),
        ("Patches 300", "None of the checks that it covers comes over."),
    ]
    assert Key.looks <= LOOKS * 210_000


def test_same_checks_at_the_same_times_end_as_well() -> None:
    found = planned(10_000, [row(1, ["g"])] * 100)

    assert [count for _key, count in covered(found)] == [1_000] * 10
    assert {str(loss.reason) for loss in found.losses} == {FULL}
    assert Key.looks <= LOOKS * 210_000


def test_times_that_share_an_id_are_not_gone_through_for_each_check() -> None:
    found = planned(200, [row(1, ["g"], minute=minute % 50, hour=minute // 50) for minute in range(100)])

    assert covered(found) == [("kuma-maintenance-1", 200)] + [
        (f"kuma-maintenance-1-{number}", 200) for number in range(2, 101)
    ]
    assert Key.looks <= LOOKS * 20_000


def test_each_of_the_times_that_share_an_id_has_a_window_for_all_of_its_checks() -> None:
    found = planned(3, [row(1, [0]), row(1, [0], hour=3), row(1, [1]), row(1, [1, 2], hour=3)])

    assert [(entry["key"], entry["time_of_day"], entry["checks"]) for entry in found.others["maintenance"]] == [
        ("kuma-maintenance-1", "02:00", ["kuma-0", "kuma-1"]),
        ("kuma-maintenance-1-2", "03:00", ["kuma-0", "kuma-1", "kuma-2"]),
    ]
