"""Status pages over the API."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core.tenancy import tenant_scope
from apps.statuspages.domain.components import add_component
from apps.statuspages.domain.pages import create_page
from apps.statuspages.models import Component, StatusPage
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories.api import Api, make_api
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db
PAGES = "/api/v1/status-pages/"


@pytest.fixture
def api(acme: Tenant) -> Api:
    return make_api(acme, Role.EDITOR)


@pytest.fixture
def checks(acme: Tenant) -> list[str]:
    """The ids of two checks, "one" and "two"."""
    with tenant_scope(acme.id):
        return [str(make_check(name).id) for name in ("one", "two")]


def components(page_id: str, tenant: Tenant) -> list[tuple[int, str, str]]:
    with tenant_scope(tenant.id):
        rows = Component.objects.filter(page_id=page_id).order_by("position")
        return [(row.position, row.name, str(row.watched_id)) for row in rows]


def test_create_with_components(api: Api, acme: Tenant, checks: list[str]) -> None:
    body = {
        "title": "Acme Cloud",
        "slug": "acme-cloud",
        "components": [
            {"check": checks[1], "name": "API", "description": "REST", "group": "Core"},
            {"check": checks[0]},
        ],
    }

    response = api.post(PAGES, body)

    answer = response.json()
    ids = [component["id"] for component in answer["components"]]
    assert response.status_code == 201
    assert answer == {
        "id": answer["id"],
        "title": "Acme Cloud",
        "slug": "acme-cloud",
        "url": "https://obsera.example/status/acme-cloud/",
        "description": "",
        "is_published": True,
        "theme": "system",
        "shows_uptime": True,
        "support_url": "",
        "components": [
            {"id": ids[0], "check": checks[1], "name": "API", "description": "REST", "group": "Core"},
            {"id": ids[1], "check": checks[0], "name": "one", "description": "", "group": ""},
        ],
        "created_at": answer["created_at"],
        "updated_at": answer["updated_at"],
    }
    assert api.get(f"{PAGES}{answer['id']}/").json() == answer
    assert api.get(PAGES).json()["results"] == [answer]


def test_components_given_replace_those_there(api: Api, acme: Tenant, checks: list[str]) -> None:
    page = api.post(
        PAGES, {"title": "A", "slug": "a", "components": [{"check": checks[0]}, {"check": checks[1]}]}
    ).json()
    first, second = page["components"]

    swapped = [{**second, "name": "Two", "check": checks[0]}, {**first, "check": checks[1]}]
    response = api.patch(f"{PAGES}{page['id']}/", {"components": swapped})

    assert response.status_code == 200
    assert [component["id"] for component in response.json()["components"]] == [second["id"], first["id"]]
    assert components(page["id"], acme) == [(0, "Two", checks[0]), (1, "one", checks[1])]

    api.patch(f"{PAGES}{page['id']}/", {"components": [{"check": checks[1], "name": "Only"}]})

    assert components(page["id"], acme) == [(0, "Only", checks[1])]


def test_components_not_given_stay(api: Api, acme: Tenant, checks: list[str]) -> None:
    page = api.post(PAGES, {"title": "A", "slug": "a", "components": [{"check": checks[0]}]}).json()

    answer = api.patch(f"{PAGES}{page['id']}/", {"title": "B", "is_published": False}).json()

    assert (answer["title"], answer["is_published"], answer["components"]) == ("B", False, page["components"])


def test_delete(api: Api, acme: Tenant) -> None:
    page = api.post(PAGES, {"title": "A", "slug": "a"}).json()

    assert api.delete(f"{PAGES}{page['id']}/").status_code == 204
    assert api.get(f"{PAGES}{page['id']}/").status_code == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"slug": "Not Good"}, "slug"),
        ({"slug": None}, "slug"),
        ({"title": ""}, "title"),
        ({"title": 5}, "title"),
        ({"theme": "pink"}, "theme"),
        ({"is_published": "yes"}, "is_published"),
        ({"support_url": "ftp://acme.example"}, "support_url"),
        ({"version": 7}, "version"),
        ({"url": "x"}, "url"),
        ({"components": "none"}, "components"),
        ({"components": [{"name": "no check"}]}, "components"),
        ({"components": [{"check": "01a1fc25-1548-78d6-806a-02f5ce75cc71"}]}, "components"),
    ],
)
def test_bad_input_is_named(api: Api, change: dict[str, Any], field: str) -> None:
    response = api.post(PAGES, {"title": "A", "slug": "a", **change})

    assert response.status_code == 400
    assert list(response.json()["errors"]) == [field]
    assert api.get(PAGES).json()["results"] == []


def test_check_given_twice_is_refused(api: Api, checks: list[str]) -> None:
    response = api.post(PAGES, {"title": "A", "slug": "a", "components": [{"check": checks[0]}, {"check": checks[0]}]})

    assert response.json()["errors"] == {"components": ["A page shows a check only once."]}


def test_foreign_component_id_is_refused(api: Api, acme: Tenant, checks: list[str]) -> None:
    page = api.post(PAGES, {"title": "A", "slug": "a", "components": [{"check": checks[0]}]}).json()
    other = api.post(PAGES, {"title": "B", "slug": "b"}).json()

    for given in (page["components"][0]["id"], str(uuid4())):
        response = api.patch(f"{PAGES}{other['id']}/", {"components": [{"id": given, "check": checks[1]}]})

        assert response.status_code == 400
    assert components(page["id"], acme) == [(0, "one", checks[0])]


def test_strangers_check_is_refused(api: Api, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs = str(make_check("theirs").id)

    response = api.post(PAGES, {"title": "A", "slug": "a", "components": [{"check": theirs}]})

    assert response.status_code == 400
    refusal = f'Invalid pk "{theirs}" - object does not exist.'
    assert response.json()["errors"] == {"components": {"0": {"check": [refusal]}}}


def test_taken_address_is_a_conflict(api: Api, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        create_page(title="Theirs", slug="theirs")

    response = api.post(PAGES, {"title": "A", "slug": "theirs"})

    assert (response.status_code, response.json()["detail"]) == (409, "This address is taken; choose another.")
    assert response.json()["errors"] == {"slug": ["This address is taken; choose another."]}


def test_strangers_page_is_404(api: Api, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs = create_page(title="Theirs", slug="theirs")

    where = f"{PAGES}{theirs.id}/"

    assert [
        api.get(where).status_code,
        api.patch(where, {"title": "x"}).status_code,
        api.delete(where).status_code,
    ] == [404] * 3
    assert api.get(PAGES).json()["results"] == []
    with tenant_scope(globex.id):
        assert StatusPage.objects.get().title == "Theirs"


def test_viewers_only_read(acme: Tenant) -> None:
    viewer = make_api(acme, Role.VIEWER)
    with tenant_scope(acme.id):
        page = create_page(title="A", slug="a")

    where = f"{PAGES}{page.id}/"

    assert [viewer.get(PAGES).status_code, viewer.get(where).status_code] == [200, 200]
    writes = (viewer.post(PAGES, {}), viewer.patch(where, {}), viewer.delete(where))
    assert [answer.status_code for answer in writes] == [403] * 3


def test_list_asks_the_same_for_one_and_three(api: Api, acme: Tenant) -> None:
    api.get(PAGES)
    counts = []
    for size in (1, 2):
        with tenant_scope(acme.id):
            for number in range(size):
                page = create_page(title="A", slug=f"a-{size}-{number}")
                for part in range(size):
                    add_component(page, make_check(f"{size} {number} {part}"))
        with CaptureQueriesContext(connection) as queries:
            api.get(PAGES)
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_component_that_shows_no_check_is_refused_in_part_changes_too(api: Api, checks: list[str]) -> None:
    page = api.post(PAGES, {"title": "A", "slug": "a", "components": [{"check": checks[0]}]}).json()

    response = api.patch(f"{PAGES}{page['id']}/", {"components": [{"id": page["components"][0]["id"], "name": "One"}]})

    said = {"components": {"0": {"check": ["This field is required."]}}}
    assert (response.status_code, response.json()["errors"]) == (400, said)


def test_crowd_of_components_is_refused_before_each_check_is_looked_for(api: Api, checks: list[str]) -> None:
    with CaptureQueriesContext(connection) as asked:
        response = api.post(PAGES, {"title": "A", "slug": "a", "components": [{"check": checks[0]}] * 3_000})

    said = {"components": {"non_field_errors": ["A page shows at most 100 components."]}}
    assert (response.status_code, response.json()["errors"]) == (400, said)
    assert len(asked) < 20
