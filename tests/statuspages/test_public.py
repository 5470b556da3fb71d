"""The public door: who sees what, how fast, and what never shows."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.checks.enums import State
from apps.core.tenancy import tenant_scope
from apps.incidents.enums import EntryKind
from apps.incidents.models import Outage, OutageEntry
from apps.statuspages.domain.components import add_component, change_component
from apps.statuspages.domain.pages import create_page, update_page
from apps.statuspages.domain.shelf import shelf
from apps.statuspages.models import Component, StatusPage
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.statuspages.histories import at, live_through, watch

pytestmark = pytest.mark.django_db
SHAPES = ("public", "live", "history", "feed", "badge", "summary", "status", "components", "incidents")
CANARIES = (
    "canary-host",
    "CANARY-ERROR",
    "CANARY-TAG",
    "CANARY-NOTE",
    "CANARY-CHECK",
    "CANARY-HEADER",
    "status_mismatch",
)


def address(name: str = "public", slug: str = "acme") -> str:
    return reverse(f"statuspages:{name}", args=[slug])


@pytest.fixture
def shown(acme: Tenant, noon: time_machine.Traveller) -> StatusPage:
    """A published page with one component that is down; no scope is open."""
    with tenant_scope(acme.id):
        page = create_page(title="Acme Cloud", slug="acme", description="What we run.")
        check = watch(
            "CANARY-CHECK",
            ("2026-01-01 00:00", State.UP),
            ("20 10:00", State.DOWN),
            ("20 10:30", State.UP),
            ("21 11:00", State.DEGRADED),
            ("21 11:15", State.DOWN),
            target="https://canary-host.internal/path?token=1",
            config={"url": "https://canary-host.internal/path?token=1", "headers": "X-Key: CANARY-HEADER"},
            tags=["CANARY-TAG"],
        )
        add_component(page, check, name="Public API", description="REST", group="Core")
        for outage in Outage.objects.all():
            OutageEntry.objects.create(outage=outage, kind=EntryKind.NOTE, text="CANARY-NOTE")
    return page


@pytest.mark.parametrize("shape", SHAPES)
def test_everybody_sees_a_published_page_and_nothing_private(client: Client, shown: StatusPage, shape: str) -> None:
    response = client.get(address(shape))

    text = response.content.decode()
    assert response.status_code == 200
    assert [canary for canary in CANARIES if canary.lower() in text.lower()] == []
    assert response["Vary"] == "Accept-Language"
    assert not response.cookies
    if shape not in ("badge", "status"):
        assert "Public API" in text


@pytest.mark.parametrize("shape", SHAPES)
def test_unknown_page_is_404(client: Client, shown: StatusPage, shape: str) -> None:
    assert client.get(address(shape, "nobody")).status_code == 404


@pytest.mark.parametrize("shape", SHAPES)
def test_unpublished_page_is_404_for_everybody_else(
    client: Client, shown: StatusPage, globex: Tenant, shape: str
) -> None:
    with tenant_scope(shown.tenant_id):
        update_page(shown, is_published=False)
    stranger = make_member(globex, "stranger@globex.example", Role.OWNER)

    anonymous = client.get(address(shape)).status_code
    client.force_login(stranger)

    assert (anonymous, client.get(address(shape)).status_code) == (404, 404)


def test_members_preview_an_unpublished_page_which_nobody_keeps(
    client: Client, acme: Tenant, shown: StatusPage
) -> None:
    with tenant_scope(acme.id):
        update_page(shown, is_published=False)
    client.force_login(make_member(acme, "vera@acme.example", Role.VIEWER))

    response = client.get(address())

    assert response.status_code == 200
    assert response["Cache-Control"] == "private, no-store"
    assert "This is a preview" in response.content.decode()
    assert 'data-live-url=""' in response.content.decode()


def test_page_is_the_same_for_a_signed_in_visitor(client: Client, acme: Tenant, shown: StatusPage) -> None:
    anonymous = client.get(address()).content
    shelf.clear()
    client.force_login(make_member(acme, "vera@acme.example", Role.VIEWER))
    client.cookies["obsera_theme"] = "dark.dark"
    client.cookies["obsera_language"] = "de"

    assert client.get(address()).content == anonymous


def test_only_reading_is_possible(client: Client, shown: StatusPage) -> None:
    assert client.post(address()).status_code == 405
    assert client.head(address()).status_code == 200


def test_visitor_who_has_it_already_gets_304(client: Client, shown: StatusPage) -> None:
    first = client.get(address())

    second = client.get(address(), headers={"if-none-match": first["ETag"]})

    assert (first["Cache-Control"], second.status_code, second.content) == ("public, max-age=5", 304, b"")


def test_fragment_is_always_asked_for(client: Client, shown: StatusPage) -> None:
    assert client.get(address("live"))["Cache-Control"] == "public, no-cache"


def test_second_visitor_costs_one_question(client: Client, shown: StatusPage) -> None:
    with CaptureQueriesContext(connection) as first:
        client.get(address())
    with CaptureQueriesContext(connection) as second:
        client.get(address())

    assert [len(_selects(queries)) for queries in (first, second)] == [4, 1]


def test_other_processes_take_it_from_redis(client: Client, shown: StatusPage) -> None:
    client.get(address())
    shelf.clear()  # another process

    with CaptureQueriesContext(connection) as queries:
        client.get(address())

    assert len(_selects(queries)) == 1


def test_page_works_without_redis(client: Client, shown: StatusPage, settings: Any) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}

    first, second = client.get(address()), client.get(address())

    assert (first.status_code, first.content) == (200, second.content)


def test_change_is_seen_at_once(client: Client, shown: StatusPage) -> None:
    before = client.get(address())
    with tenant_scope(shown.tenant_id):
        change_component(Component.objects.get(), name="Renamed")

    after = client.get(address())

    assert "Renamed" not in before.content.decode()
    assert "Renamed" in after.content.decode()


def _selects(queries: CaptureQueriesContext) -> list[str]:
    asked = [query["sql"] for query in queries.captured_queries]
    return [sql for sql in asked if sql.lstrip("(").startswith("SELECT ") and "set_config" not in sql]


# --- What programs read --------------------------------------------------------------------------------------------


def test_summary_has_statuspages_shape(client: Client, acme: Tenant, shown: StatusPage) -> None:
    response = client.get(address("summary"), headers={"accept-language": "de"})

    answer = response.json()
    page_part = {
        "id": str(shown.id),
        "name": "Acme Cloud",
        "url": "https://obsera.example/status/acme/",
        "time_zone": "UTC",
        "updated_at": "2026-11-21T12:00:00.000+00:00",
    }
    assert response["Access-Control-Allow-Origin"] == "*"
    assert list(answer) == ["page", "components", "incidents", "scheduled_maintenances", "status"]
    assert answer["page"] == page_part
    assert answer["status"] == {"indicator": "critical", "description": "Major outage"}
    assert answer["scheduled_maintenances"] == []
    group, component = answer["components"]
    assert (group["name"], group["group"], group["components"]) == ("Core", True, [component["id"]])
    assert component == {
        "id": component["id"],
        "name": "Public API",
        "status": "major_outage",
        "created_at": "2026-11-21T12:00:00.000+00:00",
        "updated_at": "2026-11-21T12:00:00.000+00:00",
        "position": 2,
        "description": "REST",
        "showcase": True,
        "start_date": "2026-01-01",
        "group_id": group["id"],
        "page_id": str(shown.id),
        "group": False,
        "only_show_if_degraded": False,
    }
    assert client.get(address("status")).json() == {"page": page_part, "status": answer["status"]}
    assert client.get(address("components")).json() == {"page": page_part, "components": answer["components"]}


def test_incidents_tell_each_change(client: Client, shown: StatusPage) -> None:
    open_one, closed = client.get(address("incidents")).json()["incidents"]

    assert (open_one["name"], open_one["status"], open_one["impact"]) == (
        "Public API: outage",
        "investigating",
        "major",
    )
    assert (open_one["started_at"], open_one["resolved_at"]) == ("2026-11-21T11:00:00.000+00:00", None)
    changes = [
        (update["status"], update["created_at"][11:16], update["affected_components"][0]["old_status"], update["body"])
        for update in open_one["incident_updates"]
    ]
    assert changes == [
        ("investigating", "11:15", "degraded_performance", "Not available."),
        ("investigating", "11:00", "operational", "Slower than it should be."),
    ]
    assert (closed["status"], closed["resolved_at"]) == ("resolved", "2026-11-20T10:30:00.000+00:00")
    assert [update["status"] for update in closed["incident_updates"]] == ["resolved", "investigating"]
    assert client.get(address("summary")).json()["incidents"] == [open_one]


def test_feed_is_atom(client: Client, shown: StatusPage) -> None:
    response = client.get(address("feed"))

    atom = "{http://www.w3.org/2005/Atom}"
    root = ElementTree.fromstring(response.content)
    entries = root.findall(f"{atom}entry")
    assert response["Content-Type"] == "application/atom+xml; charset=utf-8"
    assert root.tag == f"{atom}feed"
    assert root.findtext(f"{atom}title") == "Acme Cloud status"
    assert [entry.findtext(f"{atom}updated") for entry in entries] == [
        "2026-11-21T11:15:00+00:00",
        "2026-11-20T10:30:00+00:00",
    ]
    assert entries[1].findtext(f"{atom}summary") == (
        "2026-11-20 10:00 UTC: Not available.\n2026-11-20 10:30 UTC: Works as it should again.\nIt lasted 30 min."
    )


def test_feed_without_outages_stays_as_it_is(client: Client, page: StatusPage) -> None:
    updated = ElementTree.fromstring(client.get(address("feed")).content).findtext(
        "{http://www.w3.org/2005/Atom}updated"
    )

    assert updated is not None
    assert updated[:19] == page.created_at.isoformat()[:19]


@pytest.mark.parametrize(("language", "text"), [("en", "Major outage"), ("fr", "Major outage")])
def test_badge_is_svg(client: Client, shown: StatusPage, language: str, text: str) -> None:
    response = client.get(address("badge"), headers={"accept-language": language})

    root = ElementTree.fromstring(response.content)
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert response["Content-Type"] == "image/svg+xml; charset=utf-8"
    assert words == ["status", text]
    assert root.get("aria-label") == f"status: {text}"


def test_titles_are_escaped_everywhere(client: Client, shown: StatusPage) -> None:
    with tenant_scope(shown.tenant_id):
        update_page(shown, title='<script>alert("t")</script>')
        change_component(Component.objects.get(), name="<img src=x onerror=alert(1)>&", description="<b>", group="<i>")

    for shape in ("public", "live", "history", "feed", "badge"):
        text = client.get(address(shape)).content.decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
    ElementTree.fromstring(client.get(address("feed")).content)
    assert json.loads(client.get(address("summary")).content)["page"]["name"] == '<script>alert("t")</script>'


# --- The past ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("until", "status"),
    [
        ("", 200),
        ("2026-11", 200),
        ("2026-08", 200),
        ("2025-12", 404),
        ("2026-12", 404),
        ("2026-13", 404),
        ("x", 404),
        ("2026-1", 404),
    ],
)
def test_history_by_month(client: Client, shown: StatusPage, until: str, status: int) -> None:
    assert client.get(address("history"), {"until": until}).status_code == status


def test_history_lists_outages_and_has_their_anchors(client: Client, shown: StatusPage) -> None:
    with tenant_scope(shown.tenant_id):
        ids = list(Outage.objects.values_list("id", flat=True))

    text = client.get(address("history")).content.decode()

    assert all(f'id="outage-{outage_id}"' in text for outage_id in ids)
    assert "November 2026" in text


def test_long_lists_are_cut_and_say_so(client: Client, shown: StatusPage) -> None:
    with tenant_scope(shown.tenant_id):
        check = Component.objects.get().watched
        live_through(check, [(at("21 11:20"), State.UP)])
        for minute in range(22, 36, 2):
            live_through(check, [(at(f"21 11:{minute}"), State.DOWN), (at(f"21 11:{minute + 1}"), State.UP)])

    text = client.get(address("live")).content.decode()

    assert "3 more" in text
