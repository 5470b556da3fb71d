"""The first tenant of an installation."""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client

from apps.accounts.models import User
from apps.tenants.models import Tenant
from tests.factories.api import Api

pytestmark = pytest.mark.django_db


def provision() -> dict[str, object]:
    output = StringIO()
    call_command("provision_first_tenant", "--json", stdout=output)
    found: dict[str, object] = json.loads(output.getvalue())
    return found


def test_first_tenant_can_be_signed_in_to_and_asked_over_the_api() -> None:
    made = provision()
    client = Client()

    answer = client.post("/account/login/", {"login": made["email"], "password": made["password"]})
    tenant = Api(str(made["api_key"])).get("/api/v1/tenant/").json()

    person = User.objects.get()
    assert set(made) == {"email", "password", "api_key", "tenant"}
    assert (made["email"], made["tenant"]) == ("owner@obsera.localhost", "main")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert (tenant["name"], tenant["slug"]) == ("My team", "main")
    assert (person.is_staff, person.is_superuser) == (True, True)


def test_second_time_changes_nothing() -> None:
    provision()

    assert provision() == {"exists": True}
    assert (Tenant.objects.count(), User.objects.count()) == (1, 1)


def test_without_json_it_is_told_in_lines() -> None:
    output = StringIO()
    call_command("provision_first_tenant", stdout=output)

    assert output.getvalue().splitlines()[0] == "email: owner@obsera.localhost"
