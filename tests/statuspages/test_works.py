"""Planned maintenance on public pages."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from apps.checks.enums import State
from apps.core import clock
from apps.incidents.domain.maintenance import keep_window
from apps.incidents.domain.plans import WindowSettings
from apps.incidents.enums import Repeat
from apps.statuspages.domain.board import board_of
from apps.statuspages.domain.components import add_component
from apps.statuspages.enums import ComponentStatus, Indicator
from apps.statuspages.formats.sentences import headline, subline
from apps.statuspages.models import StatusPage
from tests.statuspages.histories import at, watch

pytestmark = pytest.mark.django_db


def plan(name: str, begin: str, **fields: Any) -> None:
    given = {
        "repeat": Repeat.ONCE,
        "time_zone": "UTC",
        "duration": timedelta(hours=1),
        "starts_at": at(begin),
        **fields,
    }
    keep_window(None, WindowSettings(name=name, **given), actor=None)


def test_board_lists_what_runs_and_what_comes_within_two_weeks(page: StatusPage, noon: time_machine.Traveller) -> None:
    api = watch("api-internal", ("2026-11-18 00:00", State.UP), tags=["eu"])
    shop = watch("shop-internal", ("2026-11-18 00:00", State.UP))
    add_component(page, api, name="API")
    add_component(page, shop, name="Shop")
    plan("Switches", "21 11:30", checks=[shop])
    plan("Disks", "23 02:00", tags=["eu"], description="Read-only meanwhile.")
    plan("Far away", "2026-12-24 02:00", covers_all=True)
    plan("Hidden", "22 02:00", covers_all=True, is_public=False)
    plan("Over", "20 02:00", covers_all=True)

    board = board_of(page, clock.now())

    shown = [(work.title, work.is_running, [one.name for one in work.components]) for work in board.works]
    assert shown == [("Switches", True, ["Shop"]), ("Disks", False, ["API"])]
    assert [component.status for component in board.components] == [
        ComponentStatus.OPERATIONAL,
        ComponentStatus.MAINTENANCE,
    ]
    assert (board.indicator, headline(board), subline(board)) == (Indicator.MAINTENANCE, "Maintenance under way", "")


def test_time_under_maintenance_is_in_no_days_uptime(page: StatusPage, noon: time_machine.Traveller) -> None:
    check = watch("API", ("2026-11-18 00:00", State.UP), ("21 06:00", State.MAINTENANCE), ("21 07:00", State.UP))
    add_component(page, check)

    [component] = board_of(page, clock.now()).components

    assert (component.days[-1].up, component.days[-1].down) == (11 * 3_600, 0)


def test_statuspages_json_names_maintenance_and_its_components(
    client: Client, page: StatusPage, noon: time_machine.Traveller
) -> None:
    component = add_component(page, watch("api", ("2026-11-18 00:00", State.UP)), name="API")
    plan("Switches", "21 11:30", covers_all=True, description="Both of them.")
    plan("Disks", "23 02:00", covers_all=True)

    base = "/status/acme/api/v2/"
    summary = client.get(f"{base}summary.json").json()
    names = {
        which: [one["name"] for one in client.get(f"{base}{which}.json").json()["scheduled_maintenances"]]
        for which in ("scheduled-maintenances", "scheduled-maintenances/active", "scheduled-maintenances/upcoming")
    }

    first = summary["scheduled_maintenances"][0]
    assert summary["status"] == {"indicator": "maintenance", "description": "Maintenance under way"}
    assert (first["name"], first["status"], first["impact"]) == ("Switches", "in_progress", "maintenance")
    assert (first["scheduled_for"], first["scheduled_until"]) == (
        "2026-11-21T11:30:00.000+00:00",
        "2026-11-21T12:30:00.000+00:00",
    )
    assert first["components"] == [{"id": str(component.id), "name": "API"}]
    assert first["incident_updates"][0]["body"] == "Both of them."
    assert names == {
        "scheduled-maintenances": ["Switches", "Disks"],
        "scheduled-maintenances/active": ["Switches"],
        "scheduled-maintenances/upcoming": ["Disks"],
    }


def test_page_shows_planned_work(client: Client, page: StatusPage, noon: time_machine.Traveller) -> None:
    add_component(page, watch("api", ("2026-11-18 00:00", State.UP)), name="API")
    plan("Disks <b>", "23 02:00", covers_all=True)

    shown = client.get("/status/acme/").content.decode()

    assert "Planned maintenance" in shown
    assert "Disks &lt;b&gt;" in shown
