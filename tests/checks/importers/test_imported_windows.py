"""What becomes of the maintenance that an import brings: windows here, or a line of the report that says why not."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.checks.domain.importing import Import, import_checks
from apps.checks.permissions import EDIT_CHECKS
from apps.core.documents import write_yaml
from apps.core.tenancy import tenant_scope
from apps.incidents.models import MaintenanceWindow
from apps.incidents.permissions import PLAN_MAINTENANCE
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.checks.importers.test_gatus_windows import NIGHT, endpoint
from tests.checks.importers.test_several_files import monitor
from tests.factories.api import make_api
from tests.factories.plans import give_plan

pytestmark = pytest.mark.django_db

MAY = (EDIT_CHECKS.name, PLAN_MAINTENANCE.name)


def bring(*names: str, can: tuple[str, ...] = MAY, is_dry_run: bool = False, **maintenance: Any) -> Import:
    given = {"maintenance": {**NIGHT, **maintenance}, "endpoints": [endpoint(name) for name in names]}
    return import_checks(source="gatus", files=[write_yaml(given).encode()], can=can, is_dry_run=is_dry_run)


def lost(made: Import) -> list[tuple[str, str]]:
    return [(loss.name, str(loss.reason)) for loss in made.losses if loss.name.startswith("Maintenance")]


def covered() -> list[tuple[str, list[str]]]:
    return [
        (window.name, sorted(check.key for check in window.checks.all())) for window in MaintenanceWindow.objects.all()
    ]


def test_api_makes_the_window_and_shows_it(acme: Tenant) -> None:
    api = make_api(acme, Role.EDITOR)
    given = write_yaml({"maintenance": NIGHT, "endpoints": [endpoint("shop")]})

    dry = api.post("/api/v1/checks/import/gatus/?dry_run=1", given).json()
    before = api.get("/api/v1/maintenance-windows/").json()["results"]
    made = api.post("/api/v1/checks/import/gatus/", given).json()
    (window,) = api.get("/api/v1/maintenance-windows/").json()["results"]

    steps = [("create", "http", "shop"), ("create", "maintenance", "Maintenance at 23:00")]
    for answer in (dry, made):
        assert [(step["action"], step["kind"], step["name"]) for step in answer["steps"]] == steps
    assert before == []
    (check,) = api.get("/api/v1/checks/").json()["results"]
    assert (window["check_ids"], window["time_of_day"], window["duration_minutes"]) == ([check["id"]], "23:00:00", 60)
    assert (window["is_public"], len(window["upcoming"])) == (False, 5)


def test_second_import_of_the_same_changes_nothing(in_acme: Tenant) -> None:
    bring("shop")
    again = bring("shop")

    assert again.plan.counts == {"create": 0, "update": 0, "unchanged": 0, "prune": 0}
    assert lost(again) == [("Maintenance at 23:00", "It is here already; it stays as it is.")]
    assert covered() == [("Maintenance at 23:00", ["gatus-shop"])]


def test_window_of_an_earlier_import_stays_as_somebody_changed_it_and_the_report_says_what_it_lacks(
    in_acme: Tenant,
) -> None:
    bring("shop")
    MaintenanceWindow.objects.update(name="Backups")

    again = bring("shop", "blog")

    text = "It is here already and stays as it is: it does not cover the checks that come now. Add them to it."
    assert lost(again) == [("Maintenance at 23:00", text)]
    assert covered() == [("Backups", ["gatus-shop"])]


def test_window_covers_checks_that_were_here_before_it(in_acme: Tenant) -> None:
    bring("shop", enabled=False)

    bring("shop")

    assert covered() == [("Maintenance at 23:00", ["gatus-shop"])]


def test_what_the_section_refuses_is_named_and_the_checks_come(in_acme: Tenant) -> None:
    made = bring("shop", timezone="Mars/Olympus")

    assert lost(made) == [("Maintenance at 23:00", "time_zone: This is no time zone, such as Europe/Berlin.")]
    assert [step.key for step in made.plan.steps] == ["gatus-shop"]
    assert covered() == []


def test_who_may_not_plan_maintenance_reads_what_is_missing(in_acme: Tenant) -> None:
    made = bring("shop", can=(EDIT_CHECKS.name,))

    assert lost(made) == [("Maintenance at 23:00", "This needs the right “Plan maintenance”.")]
    assert [step.key for step in made.plan.steps] == ["gatus-shop"]


def test_window_of_which_no_check_comes_is_named(in_acme: Tenant) -> None:
    give_plan(in_acme, "free", checks=1)
    blog = endpoint("blog", **{"maintenance-windows": [NIGHT]})
    raw = write_yaml({"endpoints": [endpoint("shop"), blog]}).encode()

    made = import_checks(source="gatus", files=[raw], can=MAY, is_dry_run=False)

    assert lost(made) == [("Maintenance at 23:00", "None of the checks that it covers comes over.")]
    assert covered() == []


def test_what_other_products_say_is_taken_by_the_section(in_acme: Tenant) -> None:
    daily = {
        "title": "Daily",
        "strategy": "recurring-interval",
        "interval_day": 1,
        "start_time": "23:30",
        "end_time": "01:00",
    }
    kuma = [
        {**daily, "start_date": "2099-01-01 12:00:00", "end_date": "2100-01-01T12:00"},
        {"title": "Once", "strategy": "single", "start_date": "2099-03-01 02:00:00", "end_date": "2099-03-01 04:00:00"},
        {**daily, "title": "Monthly", "strategy": "recurring-day-of-month", "days_of_month": '[1, "lastDay1"]'},
        {"title": "By cron", "strategy": "cron", "cron": "0 3 * * 6", "duration": 3_600},
    ]
    listed = [{"id": number, "timezone": "Europe/Berlin", "monitors": [1], **row} for number, row in enumerate(kuma)]
    better_stack = {
        "maintenance_from": "01:00:00",
        "maintenance_to": "03:00:00",
        "maintenance_days": ["sun"],
        "maintenance_timezone": "Eastern Time (US & Canada)",
    }
    row = {
        "id": "1",
        "url": "https://a.example/",
        "pronounceable_name": "One",
        "monitor_type": "status",
        **better_stack,
    }

    for source, given in (
        ("uptime_kuma", {"monitorList": [monitor(1, "Shop")], "maintenanceList": listed}),
        ("better_stack", {"data": [row]}),
    ):
        made = import_checks(source=source, files=[json.dumps(given).encode()], can=MAY, is_dry_run=False)
        assert not [loss for loss in made.losses if loss.is_whole]

    found = {window.name: window for window in MaintenanceWindow.objects.all()}
    assert {name: (str(window.repeat), window.time_zone) for name, window in found.items()} == {
        "Daily": ("weekly", "Europe/Berlin"),
        "Once": ("once", "Europe/Berlin"),
        "Monthly": ("cron", "Europe/Berlin"),
        "By cron": ("cron", "Europe/Berlin"),
        "Maintenance at 01:00": ("weekly", "America/New_York"),
    }
    assert found["Once"].starts_at == datetime(2099, 3, 1, 1, tzinfo=UTC)
    assert found["Once"].duration == timedelta(hours=2)
    assert all(window.next_edge_at for window in found.values())


def test_page_shows_the_window_and_makes_it(acme: Tenant, client: Any, owner: Any) -> None:
    client.force_login(owner)
    given = write_yaml({"maintenance": NIGHT, "endpoints": [endpoint("shop")]})

    shown = client.post("/t/acme/checks/import/gatus/", {"text": given})
    client.post("/t/acme/checks/import/gatus/", {"sealed": shown.context["preview"].sealed})

    page = shown.content.decode()
    assert "Maintenance at 23:00" in page
    with tenant_scope(acme.id):
        assert covered() == [("Maintenance at 23:00", ["gatus-shop"])]
