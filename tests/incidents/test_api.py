"""Outages over the API."""

import pytest

from apps.checks.enums import State
from apps.core.tenancy import tenant_scope
from apps.incidents.models import OutageEntry
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories.api import make_api
from tests.factories.checks import make_check
from tests.factories.incidents import make_outage, minute
from tests.queries import queries_of

pytestmark = pytest.mark.django_db


def test_outage_as_json(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        outage = make_outage(make_check("API"), ended_at=minute(2))

    answer = make_api(acme).get(f"/api/v1/outages/{outage.id}/")

    assert answer.status_code == 200
    assert answer.json() == {
        "id": str(outage.id),
        "check_id": str(outage.watched_id),
        "check_name": "API",
        "state": "resolved",
        "severity": "down",
        "started_at": "2026-11-20T12:00:00Z",
        "ended_at": "2026-11-20T12:02:00Z",
        "error_code": "connect_refused",
        "error_values": {},
        "cause": "The server refused the connection.",
    }


def test_list_filters_and_refuses_nonsense(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        make_outage(make_check("Slow"), severity=State.DEGRADED, ended_at=minute(2))
        open_one = make_outage(make_check("Open"), at=minute(5))
    api = make_api(acme)

    def names(query: str) -> list[str]:
        return [outage["check_name"] for outage in api.get(f"/api/v1/outages/?{query}").json()["results"]]

    assert names("") == ["Open", "Slow"]
    assert names("state=open") == ["Open"]
    assert names("severity=degraded") == ["Slow"]
    assert names(f"check={open_one.watched_id}") == ["Open"]
    assert names("since=2026-11-20T12:03:00Z") == ["Open"]
    assert names("until=2026-11-20T12:05:00Z") == ["Slow"]
    refused = api.get("/api/v1/outages/?state=broken")
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["state"])


def test_list_asks_as_much_for_three_rows_as_for_one(acme: Tenant) -> None:
    api, counts = make_api(acme), []
    for name in ("One", "Two", "Three"):
        with tenant_scope(acme.id):
            make_outage(make_check(name))
        counts.append(queries_of(lambda: api.get("/api/v1/outages/")))

    assert counts == [4, 4, 4]


def test_note_is_written_by_a_program(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        outage = make_outage(make_check())
    api = make_api(acme, Role.EDITOR)

    answer = api.post(f"/api/v1/outages/{outage.id}/notes/", {"text": "Rolled back."})
    lines = api.get(f"/api/v1/outages/{outage.id}/timeline/").json()

    assert (answer.status_code, answer.json()["text"], answer.json()["author"]) == (201, "Rolled back.", None)
    assert [line["kind"] for line in lines] == ["note", "opened"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [({}, ["text"]), ({"text": ""}, ["text"]), ({"text": 5}, ["text"]), ({"text": "x", "at": "now"}, ["at"])],
)
def test_wrong_note_names_its_fields(acme: Tenant, body: object, fields: list[str]) -> None:
    with tenant_scope(acme.id):
        outage = make_outage(make_check())

    answer = make_api(acme).post(f"/api/v1/outages/{outage.id}/notes/", body)

    assert (answer.status_code, list(answer.json()["errors"])) == (400, fields)


def test_viewer_key_writes_no_notes(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        outage = make_outage(make_check())

    answer = make_api(acme, Role.VIEWER).post(f"/api/v1/outages/{outage.id}/notes/", {"text": "x"})

    assert answer.status_code == 403
    with tenant_scope(acme.id):
        assert OutageEntry.objects.count() == 1


def test_strangers_outage_does_not_exist(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        outage = make_outage(make_check())
    api = make_api(acme)

    codes = [api.get(f"/api/v1/outages/{outage.id}/{path}").status_code for path in ("", "timeline/")]

    assert codes == [404, 404]
    assert api.get("/api/v1/outages/").json()["results"] == []
