"""Checks over the API."""

import json
from typing import Any

import pytest
from django.test import Client

from apps.checks.domain.queries import outage_confidence
from apps.checks.domain.results import store_results
from apps.checks.enums import State, Verdict
from apps.checks.models import Check, CheckState, Turn
from apps.core.tenancy import tenant_scope
from apps.tenants.domain.api_keys import create_api_key
from apps.tenants.domain.rights import permissions_of
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result

pytestmark = pytest.mark.django_db

NEW = {"name": "API", "kind": "http", "config": {"url": "https://api.example/health"}}


def key_of(tenant: Tenant, role: Role = Role.EDITOR) -> str:
    with tenant_scope(tenant.id):
        return create_api_key(name="ci", role=role, created_by=None, can=permissions_of(Role.OWNER))[1]


class Api:
    """A program with a key."""

    def __init__(self, tenant: Tenant, role: Role = Role.EDITOR) -> None:
        self._client, self._headers = Client(), {"Authorization": f"Bearer {key_of(tenant, role)}"}

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        address = f"/api/v1/checks/{path}"
        response = self._client.generic(method, address, data, content_type="application/json", headers=self._headers)
        return response.status_code, json.loads(response.content) if response.content else None


@pytest.fixture
def api(acme: Tenant) -> Api:
    return Api(acme)


def test_create_read_change_delete(api: Api, acme: Tenant) -> None:
    config = {**NEW["config"], "headers": {"X-Key": "topsecretvalue"}}
    status, made = api.call("POST", "", {**NEW, "interval_seconds": 10, "tags": ["eu"], "config": config})
    assert (status, made["interval_seconds"], made["state"], made["tags"]) == (201, 10, "new", ["eu"])
    assert made["config"]["headers"] == {"X-Key": "••••alue"}

    status, changed = api.call("PATCH", f"{made['id']}/", {"retries": 4, "config": {"url": "https://api.example/v2"}})
    assert (status, changed["retries"], changed["target"]) == (200, 4, "https://api.example/v2")
    assert changed["config"]["headers"] == {"X-Key": "••••alue"}

    assert api.call("DELETE", f"{made['id']}/") == (204, None)
    assert api.call("GET", f"{made['id']}/")[0] == 404


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": 5}, "name"),
        ({"interval_seconds": 9}, "interval_seconds"),
        ({"interval_seconds": "60"}, "interval_seconds"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"kind": "telepathy"}, "kind"),
        ({"colour": "blue"}, "colour"),
        ({"state": "up"}, "state"),
        ({"tags": "eu"}, "tags"),
        ({"config": []}, "config"),
        ({"config": {}}, "config"),
        ({"config": {"url": "http://"}}, "config"),
        ({"config": {"url": "https://a.example", "verb": "GET"}}, "config"),
        ({"config": {"url": "https://a.example", "expected_status": "700"}}, "config"),
    ],
)
def test_wrong_field_is_named(api: Api, acme: Tenant, change: dict[str, Any], field: str) -> None:
    status, problem = api.call("POST", "", {**NEW, **change})

    assert (status, list(problem["errors"])) == (400, [field])
    with tenant_scope(acme.id):
        assert Check.objects.count() == 0


def test_kind_stays_as_it_is(api: Api) -> None:
    _status, made = api.call("POST", "", NEW)

    status, problem = api.call("PATCH", f"{made['id']}/", {"kind": "dns"})

    said = "A check keeps its kind (http); make another one, with another key."
    assert (status, problem["errors"]) == (400, {"kind": [said]})


@pytest.mark.parametrize(
    "body", [b"{", b"[" * 100_000, b'{"name": "\\u0000"}', b'{"name": NaN}', b"\xff", b"null", b"[]"]
)
def test_broken_body_is_400(api: Api, body: bytes) -> None:
    assert api.call("POST", "", body)[0] == 400


def test_results_come_newest_first(api: Api, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=State.UP)
    for verdict in (Verdict.SUCCESS, Verdict.FAILURE):
        with tenant_scope(acme.id):
            result = make_result(check, verdict)
        store_results([result])

    status, page = api.call("GET", f"{check.id}/results/")

    assert (status, [row["error_code"] for row in page["results"]]) == (200, ["connect_refused", ""])


def test_strangers_check_is_404_for_every_verb(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        check = make_check()
    api = Api(acme, Role.OWNER)

    answers = [
        api.call(method, f"{check.id}/{suffix}", body)[0]
        for method, suffix, body in [
            ("GET", "", None),
            ("PATCH", "", {"name": "mine"}),
            ("PUT", "", NEW),
            ("DELETE", "", None),
            ("POST", "pause/", None),
            ("POST", "resume/", None),
            ("POST", "run/", None),
            ("GET", "results/", None),
        ]
    ]

    assert answers == [404] * 8


def test_viewers_key_may_only_read(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check()
    api = Api(acme, Role.VIEWER)

    assert api.call("GET", "")[0] == 200
    assert api.call("POST", "", NEW)[0] == 403
    assert api.call("POST", f"{check.id}/pause/")[0] == 403


def test_check_says_its_kinds_name_and_icon(api: Api, acme: Tenant) -> None:
    _status, made = api.call("POST", "", NEW)

    assert {name: made[name] for name in ("kind", "kind_label", "kind_icon")} == {
        "kind": "http",
        "kind_label": "HTTP",
        "kind_icon": "world",
    }


def test_check_says_how_sure_we_are_and_whether_it_flaps(api: Api, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        make_check(name="calm")
        restless = make_check(name="restless", state=State.DOWN)
        Turn.objects.filter(watched=restless).update(failures=3, opinion=Verdict.FAILURE)
        CheckState.objects.filter(watched=restless).update(is_flapping=True)
        sure = outage_confidence(restless)

    _status, page = api.call("GET", "")

    told = {check["name"]: (check["is_flapping"], check["confidence_ratio"]) for check in page["results"]}
    assert sure is not None
    assert told == {"calm": (False, None), "restless": (True, sure)}


def test_key_of_another_check_is_refused_by_name(api: Api) -> None:
    taken = api.call("POST", "", {**NEW, "key": "api"})[1]
    other = api.call("POST", "", {**NEW, "name": "Other", "key": "other"})[1]

    made, changed = api.call("POST", "", {**NEW, "key": "api"}), api.call("PATCH", f"{other['id']}/", {"key": "api"})

    said = {"key": ["Another check has this key; choose another."]}
    assert [(status, answer["errors"]) for status, answer in (made, changed)] == [(409, said), (409, said)]
    assert {row["key"] for row in api.call("GET", "")[1]["results"]} == {taken["key"], "other"}


def test_what_stands_in_lists_is_not_converted(api: Api) -> None:
    status, answer = api.call("POST", "", {**NEW, "tags": ["eu", 5]})

    assert (status, answer["errors"]) == (400, {"tags": {"1": ["Give a text in quotes."]}})
