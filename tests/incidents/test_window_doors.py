"""Planning maintenance through pages and the API."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.models import Check, CheckState
from apps.core.tenancy import tenant_scope
from apps.incidents.domain.maintenance import start_now
from apps.incidents.models import MaintenanceWindow, WindowCheck
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.factories.api import make_api
from tests.factories.checks import make_check
from tests.incidents.test_maintenance import NOON, at, hand
from tests.queries import queries_of

pytestmark = pytest.mark.django_db
__all__ = ["hand"]
WEEKLY = {
    "name": "Disks",
    "repeat": "weekly",
    "weekdays": ["0", "4"],
    "time_of_day": "02:30",
    "duration_minutes": "90",
    "time_zone": "Europe/Berlin",
    "tags": "db, eu",
    "is_public": "on",
}
API = "/api/v1/maintenance-windows/"


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def address(tenant: Tenant, name: str, *args: object) -> str:
    return reverse(f"incidents:{name}", args=[tenant.slug, *args])


def test_form_plans_a_weekly_window(signed_in: Client, acme: Tenant, hand: object) -> None:
    answer = signed_in.post(address(acme, "window_create"), WEEKLY)

    assert answer.status_code == 302
    with tenant_scope(acme.id):
        window = MaintenanceWindow.objects.get()
    assert (window.weekdays, f"{window.time_of_day:%H:%M}", window.tags) == ([0, 4], "02:30", ["db", "eu"])
    assert (window.starts_at, window.running_until_at, window.next_edge_at) == (None, None, at(37.5))


def test_form_reads_the_begin_on_the_wall_clock_of_the_chosen_zone(
    signed_in: Client, acme: Tenant, hand: object
) -> None:
    given = {"repeat": "once", "starts_at": "2026-11-21T18:00", "time_zone": "America/New_York", "covers_all": "on"}

    signed_in.post(address(acme, "window_create"), {**WEEKLY, **given, "tags": ""})

    with tenant_scope(acme.id):
        window = MaintenanceWindow.objects.get()
    assert window.starts_at == at(11)
    assert b"2026-11-21T18:00" in signed_in.get(address(acme, "window_edit", window.id)).content


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"weekdays": []}, "weekdays"),
        ({"time_of_day": ""}, "time_of_day"),
        ({"duration_minutes": "0"}, "duration_minutes"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"repeat": "cron", "cron": "61 * * * *"}, "cron"),
        ({"repeat": "once", "starts_at": "soon"}, "starts_at"),
        ({"tags": ""}, "checks"),
    ],
)
def test_form_says_what_is_wrong_beside_its_field(
    signed_in: Client, acme: Tenant, changes: dict[str, Any], field: str
) -> None:
    answer = signed_in.post(address(acme, "window_create"), {**WEEKLY, **changes})

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]


def test_preview_lists_the_next_five_in_spite_of_what_is_still_missing(
    signed_in: Client, acme: Tenant, hand: object
) -> None:
    given = {**WEEKLY, "name": "", "tags": ""}

    shown = signed_in.post(address(acme, "window_preview"), given).content.decode()

    assert shown.count("<li>") == 5
    assert "Mon 2026-11-23 01:30 – 03:00 UTC" in shown


def test_one_hour_from_the_checks_page_and_its_end(signed_in: Client, acme: Tenant, hand: object) -> None:
    with tenant_scope(acme.id):
        check = make_check()

    signed_in.post(address(acme, "maintenance_now", check.id))
    with tenant_scope(acme.id):
        during = CheckState.objects.get(watched=check).state
        window = MaintenanceWindow.objects.get()
    listed = signed_in.get(address(acme, "windows")).content.decode()
    signed_in.post(address(acme, "window_end", window.id))

    assert (during, window.running_until_at) == ("maintenance", at(1))
    assert "Maintenance of API" in listed
    with tenant_scope(acme.id):
        assert CheckState.objects.get(watched=check).state == "unknown"


def test_viewer_sees_windows_and_plans_none(client: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        start_now(make_check(), actor=None, time_zone="UTC")
        window = MaintenanceWindow.objects.get()
    client.force_login(make_member(acme, "viewer@acme.example", Role.VIEWER))

    listed = client.get(address(acme, "windows"))

    assert b"Maintenance of API" in listed.content
    assert b"Plan maintenance" not in listed.content
    assert client.post(address(acme, "window_end", window.id)).status_code == 403


def test_list_takes_as_many_queries_for_three_as_for_one(signed_in: Client, acme: Tenant) -> None:
    counts = []
    for number in (1, 2, 3):
        with tenant_scope(acme.id):
            start_now(make_check(f"Check {number}"), actor=None, time_zone="UTC")
        counts.append(queries_of(lambda: signed_in.get(address(acme, "windows"))))

    assert counts[0] == counts[2]


def body(check: Check | None = None, **fields: Any) -> dict[str, Any]:
    given = {"name": "Disks", "repeat": "once", "time_zone": "UTC", "starts_at": NOON.isoformat()}
    return {**given, "duration_minutes": 60, "check_ids": [str(check.id)] if check else [], **fields}


def test_api_plans_changes_ends_and_deletes(acme: Tenant, hand: Any) -> None:
    api = make_api(acme)
    with tenant_scope(acme.id):
        check = make_check()

    made = api.post(API, body(check))
    during = state_of(acme, check)
    window = made.json()
    changed = api.request("put", f"{API}{window['id']}/", body(tags=["db"], starts_at="2026-11-22T12:00:00Z"))
    after = state_of(acme, check)
    refused = api.post(f"{API}{window['id']}/end/", {})
    deleted = api.delete(f"{API}{window['id']}/")

    assert (made.status_code, window["is_running"], window["check_ids"]) == (201, True, [str(check.id)])
    assert window["upcoming"] == [["2026-11-21T12:00:00Z", "2026-11-21T13:00:00Z"]]
    assert (during, after) == ("maintenance", "unknown")
    assert (changed.status_code, changed.json()["tags"], changed.json()["is_running"]) == (200, ["db"], False)
    assert (refused.status_code, deleted.status_code) == (409, 204)


def state_of(tenant: Tenant, check: Check) -> str:
    with tenant_scope(tenant.id):
        return str(CheckState.objects.get(watched=check).state)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"time_zone": "Mars"}, "time_zone"),
        ({"repeat": "cron", "cron": "x"}, "cron"),
        ({"repeat": "weekly"}, "weekdays"),
        ({"starts_at": None}, "starts_at"),
        ({"covers_all": False}, "check_ids"),
        ({"duration_minutes": 10_081}, "duration_minutes"),
        ({"weekdays": [8]}, "weekdays"),
    ],
)
def test_api_names_the_field_at_fault(acme: Tenant, changes: dict[str, Any], field: str) -> None:
    answer = make_api(acme).post(API, body(**{"covers_all": True, **changes}))

    assert answer.status_code == 400
    assert field in answer.content.decode()


def test_api_takes_no_strangers_check(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs = make_check()

    answer = make_api(acme).post(API, body(theirs))

    assert answer.status_code == 400
    with tenant_scope(acme.id):
        assert WindowCheck.objects.count() == 0
