"""Planning maintenance through pages and the API."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.models import Check, CheckState
from apps.core.tenancy import tenant_scope
from apps.incidents.domain.maintenance import end_now, keep_window, start_now
from apps.incidents.domain.plans import WindowSettings, plan_of
from apps.incidents.enums import Repeat
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


def test_page_of_a_check_names_each_maintenance_it_is_under(signed_in: Client, acme: Tenant, hand: object) -> None:
    with tenant_scope(acme.id):
        check = make_check()
        start_now(check, actor=None, time_zone="UTC")
        given = WindowSettings(
            name="Everything", repeat=Repeat.ONCE, time_zone="UTC", duration=timedelta(hours=3), starts_at=NOON
        )
        keep_window(None, replace(given, covers_all=True), actor=None)
        keep_window(None, replace(given, name="Elsewhere", tags=["elsewhere"]), actor=None)
        window = MaintenanceWindow.objects.get(name="Everything")
    page = reverse("checks:detail", args=[acme.slug, check.id])

    shown = signed_in.get(page).content.decode()
    for one in ("Everything", "Maintenance of API"):
        with tenant_scope(acme.id):
            end_now(window_id=MaintenanceWindow.objects.get(name=one).id)
    after = signed_in.get(page).content.decode()

    assert shown.index("Everything") < shown.index("Maintenance of API")
    assert address(acme, "window_edit", window.id) in shown
    assert "Elsewhere" not in shown
    assert "This maintenance ends" not in after


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


# --- What the form shows less exactly than it is kept ---------------------------------------------------------------------


def save_again(signed_in: Client, tenant: Tenant, window: MaintenanceWindow, **changes: Any) -> MaintenanceWindow:
    """Open the form of a window and send what it shows, as a browser does, with some of it changed."""
    page = address(tenant, "window_edit", window.id)
    form = signed_in.get(page).context["form"]
    shown = {field.html_name: field.value() for field in form if field.value() not in (None, False)}
    shown["time_of_day"] = f"{shown['time_of_day']:%H:%M}" if "time_of_day" in shown else ""
    assert signed_in.post(page, {**shown, **changes}).status_code == 302
    with tenant_scope(tenant.id):
        window.refresh_from_db()
    return window


def test_what_was_ended_by_hand_stays_ended_when_its_words_change(
    signed_in: Client, acme: Tenant, hand: time_machine.Traveller
) -> None:
    began = NOON + timedelta(seconds=37, microseconds=5)
    hand.move_to(began)
    with tenant_scope(acme.id):
        window = start_now(make_check(), actor=None, time_zone="Europe/Berlin")
        hand.move_to(at(0.5))
        end_now(window_id=window.id)

    window = save_again(signed_in, acme, window, description="All went well.")

    assert (window.description, window.starts_at, window.cut_off_at) == ("All went well.", began, at(0.5))
    assert not window.is_running


def kept(**fields: Any) -> MaintenanceWindow:
    """A window as the API or a document makes it."""
    given = {
        "name": "Disks",
        "time_zone": "Europe/Berlin",
        "duration": timedelta(hours=2),
        "covers_all": True,
        **fields,
    }
    return keep_window(None, WindowSettings(**given), actor=None)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(
            {"repeat": Repeat.ONCE, "starts_at": datetime(2026, 10, 25, 1, 30, tzinfo=UTC)}, id="the second 02:30"
        ),
        pytest.param({"repeat": Repeat.ONCE, "starts_at": NOON, "duration": timedelta(seconds=90)}, id="90 seconds"),
        pytest.param(
            {"repeat": Repeat.WEEKLY, "weekdays": [5], "time_of_day": time(12, 0, 7), "starts_at": at(-48)}, id="weekly"
        ),
        pytest.param(
            {"repeat": Repeat.CRON, "cron": "0 3 * * *", "repeats_until_at": NOON + timedelta(seconds=9)}, id="cron"
        ),
    ],
)
def test_words_change_and_the_plan_does_not(
    signed_in: Client, acme: Tenant, hand: object, fields: dict[str, Any]
) -> None:
    with tenant_scope(acme.id):
        window = kept(**fields)
    before = plan_of(window)

    window = save_again(signed_in, acme, window, name="New disks")

    assert (window.name, plan_of(window)) == ("New disks", before)


def test_what_was_changed_is_taken_as_it_was_written(signed_in: Client, acme: Tenant, hand: object) -> None:
    with tenant_scope(acme.id):
        window = kept(repeat=Repeat.ONCE, starts_at=NOON + timedelta(seconds=37), duration=timedelta(seconds=90))

    longer = save_again(signed_in, acme, window, duration_minutes="2")
    seen = longer.starts_at, longer.duration
    moved = save_again(signed_in, acme, window, time_zone="UTC").starts_at
    later = save_again(signed_in, acme, window, repeat="weekly", weekdays=["5"], time_of_day="14:00")

    assert seen == (NOON + timedelta(seconds=37), timedelta(minutes=2))
    assert (moved, later.weekdays, later.starts_at) == (at(1), [5], None)
