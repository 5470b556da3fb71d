"""The edge of the API: every error is a problem document, bodies are read strictly, callers are counted."""

import json

import pytest
from django.test import Client, override_settings

from apps.tenants.models import Tenant
from tests.factories.api import Api, make_api

pytestmark = pytest.mark.django_db


def test_unknown_address_is_a_problem_document_for_every_method() -> None:
    answers = [getattr(Client(), method)("/api/v1/nothing/") for method in ("get", "post", "put", "patch", "delete")]

    assert {(answer.status_code, answer.headers["Content-Type"]) for answer in answers} == {
        (404, "application/problem+json")
    }
    assert answers[0].json() == {
        "type": "urn:obsera:problem:not_found",
        "title": "Not Found",
        "status": 404,
        "detail": "There is nothing at this address; /api/v1/docs/ lists what there is.",
    }


def test_last_slash_is_optional(acme: Tenant) -> None:
    api = make_api(acme)

    assert (api.get("/api/v1/tenant").status_code, api.get("/api/v1/members?limit=1").status_code) == (200, 200)


def test_no_key_is_401_and_wrong_method_405_and_wrong_type_415(acme: Tenant) -> None:
    api = make_api(acme)
    form = Client().post(
        "/api/v1/invitations/", {"email": "x@y.example"}, headers={"authorization": f"Bearer {api.key}"}
    )

    answers = [
        Client().get("/api/v1/tenant/"),
        Api("obs_live_wrong").get("/api/v1/tenant/"),
        api.delete("/api/v1/tenant/"),
        form,
    ]

    assert [answer.status_code for answer in answers] == [401, 401, 405, 415]
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/problem+json"}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "The body is not valid JSON"),
        (b'{"email": NaN}', "The body is not valid JSON"),
        (b'{"email": "\xff"}', "The body is not valid JSON"),
        (b"[" * 100_000, "The JSON is nested more than 64 levels deep."),
        (b'{"email": "a\\u0000b"}', "Texts may hold neither null characters nor lone surrogates."),
        (b'{"email": "\\ud800"}', "Texts may hold neither null characters nor lone surrogates."),
        (b" " * 2_621_441, "The body is larger than 2.5 MiB."),
    ],
)
def test_hurtful_body_is_400_with_the_reason(acme: Tenant, body: bytes, detail: str) -> None:
    answer = make_api(acme).post("/api/v1/invitations/", body)

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(detail)


def test_text_that_cannot_be_kept_is_refused_with_its_field(acme: Tenant) -> None:
    body = {"email": "x@acme.example", "role": ["\ud800"], "\x00": "x", "more": {"a": "\x00"}}

    answer = make_api(acme).post("/api/v1/invitations/", json.dumps(body))

    said = ["Texts may hold neither null characters nor lone surrogates."]
    assert (answer.status_code, answer.json()["errors"]) == (400, {"role": said, "more": said})


def test_body_that_is_no_object_is_400(acme: Tenant) -> None:
    answers = [make_api(acme).post("/api/v1/invitations/", json.dumps(body)) for body in ([], "text", 5, None)]

    assert [answer.status_code for answer in answers] == [400, 400, 400, 400]


def test_null_character_in_an_address_is_refused_everywhere(acme: Tenant) -> None:
    api, page = make_api(acme).get("/api/v1/members/?cursor=%00"), Client().get("/account/login/?next=%00")

    assert (api.status_code, page.status_code) == (400, 400)
    assert api.headers["Content-Type"] == "application/problem+json"


@override_settings(ALLOWED_HOSTS=["obsera.example"])
def test_refused_host_is_a_problem_document() -> None:
    answer = Client().get("/api/v1/tenant/", headers={"host": "evil.example"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


@override_settings(API_RATE_PER_KEY=6)
def test_key_beyond_its_rate_is_429_with_the_time_to_wait(acme: Tenant) -> None:
    api = make_api(acme)

    answers = [api.get("/api/v1/tenant/") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert (answers[3].headers["RateLimit-Limit"], answers[3].headers["Retry-After"]) == ("3", "10")
    assert answers[3].json()["type"] == "urn:obsera:problem:throttled"


@override_settings(API_RATE_PER_ADDRESS=2)
def test_guessing_keys_is_counted_by_address() -> None:
    import secrets

    address = f"2001:db8::{secrets.randbelow(65_535):x}:{secrets.randbelow(65_535):x}"

    answers = [
        Client(REMOTE_ADDR=address).get("/api/v1/tenant/", headers={"authorization": f"Bearer obs_live_{guess}"})
        for guess in range(2)
    ]

    assert [answer.status_code for answer in answers] == [401, 429]


def test_schema_and_docs_are_there_for_everybody_and_list_the_same_operations() -> None:
    schema = Client().get("/api/v1/schema/?format=json").json()
    page = Client().get("/api/v1/docs/").content.decode()

    operations = [
        node["operationId"] for item in schema["paths"].values() for node in item.values() if "operationId" in node
    ]
    assert "members_list" in operations
    assert [operation for operation in operations if f'id="{operation}"' not in page] == []
