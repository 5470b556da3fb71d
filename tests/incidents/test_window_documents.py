"""Maintenance windows in configuration documents."""

from typing import Any

import pytest

from apps.checks.domain.applying import apply_document, export_checks
from apps.checks.domain.configuration import DocumentErrors
from apps.checks.models import Check
from apps.core.tenancy import tenant_scope
from apps.incidents.models import MaintenanceWindow
from apps.tenants.models import Tenant

pytestmark = pytest.mark.django_db

NIGHT = {
    "key": "night",
    "name": "Night work",
    "repeat": "weekly",
    "time_zone": "Europe/Berlin",
    "duration_minutes": 90,
    "weekdays": [5, 6],
    "time_of_day": "02:30:00",
    "tags": ["eu"],
    "checks": ["shop"],
}
CRON = {
    "key": "patches",
    "name": "Patches",
    "repeat": "cron",
    "time_zone": "UTC",
    "duration_minutes": 30,
    "cron": "0 3 * * 6",
    "covers_all": True,
    "is_public": False,
}


def document(*windows: Any, label: str = "ops", **more: Any) -> dict[str, Any]:
    shop = {"key": "shop", "name": "Shop", "kind": "http", "config": {"url": "https://shop.example/"}}
    return {"apiVersion": "obsera/v1", "managedBy": label, "checks": [shop], "maintenance": list(windows), **more}


def steps(plan: Any) -> list[tuple[str, str, str]]:
    return [(step.action.value, step.kind, step.key) for step in plan.steps]


def windows() -> list[tuple[str, str, str]]:
    return list(MaintenanceWindow.objects.order_by("key").values_list("key", "name", "managed_by"))


def test_windows_come_with_the_checks_they_name_and_a_second_time_nothing_happens(in_acme: Tenant) -> None:
    dry = apply_document(document(NIGHT, CRON), is_dry_run=True)
    before = windows()
    first, second = apply_document(document(NIGHT, CRON)), apply_document(document(NIGHT, CRON))

    made = [("create", "http", "shop"), ("create", "maintenance", "night"), ("create", "maintenance", "patches")]
    assert (steps(dry), before, steps(first)) == (made, [], made)
    assert second.counts == {"create": 0, "update": 0, "unchanged": 3, "prune": 0}
    assert windows() == [("night", "Night work", "ops"), ("patches", "Patches", "ops")]
    night = MaintenanceWindow.objects.get(key="night")
    assert ([check.key for check in night.checks.all()], night.tags, night.weekdays) == (["shop"], ["eu"], [5, 6])
    assert night.next_edge_at is not None


def test_exported_windows_want_nothing_and_move_to_another_tenant(acme: Tenant, globex: Tenant) -> None:
    once = {
        "key": "move",
        "name": "Move",
        "repeat": "once",
        "time_zone": "Europe/Berlin",
        "duration_minutes": 60,
        "starts_at": "2099-07-01T02:00",
        "checks": ["shop"],
    }
    with tenant_scope(acme.id):
        apply_document(document(NIGHT, CRON, once))
        exported = export_checks()
        again = apply_document(exported)
        tagged = export_checks(tag="managed-by:ops")
    with tenant_scope(globex.id):
        there = apply_document(exported)

    assert exported["maintenance"] == [NIGHT, CRON, {**once, "starts_at": "2099-07-01T02:00:00+02:00"}]
    assert again.counts == {"create": 0, "update": 0, "unchanged": 4, "prune": 0}
    assert there.counts["create"] == 4
    assert "maintenance" not in tagged


def test_change_is_shown_by_field_and_keeps_the_row(in_acme: Tenant) -> None:
    apply_document(document(NIGHT))
    before = MaintenanceWindow.objects.get()

    plan = apply_document(document({**NIGHT, "name": "Late work", "duration_minutes": 120, "tags": []}))

    changes = [(change.field, change.before, change.after) for change in plan.steps[1].changes]
    after = MaintenanceWindow.objects.get()
    assert changes == [
        ("name", "Night work", "Late work"),
        ("duration_minutes", 90, 120),
        ("tags", ["eu"], []),
    ]
    assert (after.id, after.name, after.duration.total_seconds(), after.tags) == (before.id, "Late work", 7_200, [])


def test_prune_deletes_the_windows_of_its_label_alone(in_acme: Tenant) -> None:
    apply_document(document(NIGHT))
    apply_document(document(CRON, label="other"))
    left = document(label="ops")

    kept = apply_document(left)
    pruned = apply_document(left, prune_label="ops")

    assert kept.counts["prune"] == 0
    assert steps(pruned) == [
        ("unchanged", "http", "shop"),
        ("prune", "maintenance", "night"),
    ]
    assert windows() == [("patches", "Patches", "other")]


def test_document_without_the_section_leaves_windows_alone(in_acme: Tenant) -> None:
    apply_document(document(NIGHT))
    without = document()
    del without["maintenance"]

    assert apply_document(without).counts["prune"] == 0
    assert windows() == [("night", "Night work", "ops")]


@pytest.mark.parametrize(
    ("window", "path"),
    [
        ("night", "maintenance[0]"),
        ({**NIGHT, "key": "Night!"}, "maintenance[0].key"),
        ({**NIGHT, "color": "red"}, "maintenance[0].color"),
        ({**NIGHT, "name": 5}, "maintenance[0].name"),
        ({**NIGHT, "name": "x" * 151}, "maintenance[0].name"),
        ({name: NIGHT[name] for name in NIGHT if name != "repeat"}, "maintenance[0].repeat"),
        ({**NIGHT, "repeat": []}, "maintenance[0].repeat"),
        ({**NIGHT, "time_zone": "Mars/Base"}, "maintenance[0].time_zone"),
        ({**NIGHT, "duration_minutes": 10_081}, "maintenance[0].duration_minutes"),
        ({**NIGHT, "duration_minutes": True}, "maintenance[0].duration_minutes"),
        ({**NIGHT, "weekdays": [7]}, "maintenance[0].weekdays"),
        ({**NIGHT, "weekdays": [{}]}, "maintenance[0].weekdays"),
        ({**NIGHT, "weekdays": []}, "maintenance[0].weekdays"),
        ({**NIGHT, "time_of_day": "25:00"}, "maintenance[0].time_of_day"),
        ({**NIGHT, "starts_at": "soon"}, "maintenance[0].starts_at"),
        ({**NIGHT, "starts_at": 5}, "maintenance[0].starts_at"),
        ({**NIGHT, "checks": ["ghost"]}, "maintenance[0].checks"),
        ({**NIGHT, "checks": [], "tags": []}, "maintenance[0].checks"),
        ({**NIGHT, "tags": ["x" * 41]}, "maintenance[0].tags"),
        ({**CRON, "cron": "every night"}, "maintenance[0].cron"),
        ({**CRON, "covers_all": "yes"}, "maintenance[0].covers_all"),
    ],
)
def test_wrong_window_names_its_place_and_nothing_is_done(in_acme: Tenant, window: Any, path: str) -> None:
    with pytest.raises(DocumentErrors) as refused:
        apply_document(document(window))

    assert list(refused.value.errors) == [path]
    assert (Check.objects.count(), MaintenanceWindow.objects.count()) == (0, 0)


def test_two_windows_of_one_key_and_too_many_are_refused(in_acme: Tenant) -> None:
    with pytest.raises(DocumentErrors) as twice:
        apply_document(document(NIGHT, NIGHT))
    with pytest.raises(DocumentErrors) as many:
        apply_document(document(*({**CRON, "key": f"k{place}"} for place in range(201))))
    with pytest.raises(DocumentErrors) as no_list:
        apply_document({**document(), "maintenance": {}})

    assert [list(one.value.errors) for one in (twice, many, no_list)] == [
        ["maintenance[1].key"],
        ["maintenance"],
        ["maintenance"],
    ]
