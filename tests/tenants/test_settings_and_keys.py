"""Settings and API keys on screen."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core.tenancy import tenant_scope
from apps.tenants.domain.api_keys import find_api_key
from apps.tenants.enums import Role
from apps.tenants.models import ApiKey, Tenant
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def client_of(tenant: Tenant, role: Role) -> Client:
    client = Client()
    client.force_login(make_member(tenant, f"{role}-who-acts@acme.example", role))
    return client


def test_admin_changes_name_and_time_zone(acme: Tenant) -> None:
    answer = client_of(acme, Role.ADMIN).post("/t/acme/settings/", {"name": "Acme Ltd", "time_zone": "Europe/Berlin"})

    acme.refresh_from_db()
    assert (answer.status_code, acme.name, acme.slug, acme.time_zone) == (302, "Acme Ltd", "acme", "Europe/Berlin")


def test_wrong_settings_are_named_and_change_nothing_not_even_the_heading(acme: Tenant) -> None:
    answer = client_of(acme, Role.ADMIN).post("/t/acme/settings/", {"name": "", "time_zone": "Mars/Olympus"})

    assert list(answer.context["form"].errors) == ["name", "time_zone"]
    assert answer.context["tenant"].name == "Acme"


def test_editor_reads_settings_and_changes_none(acme: Tenant) -> None:
    client = client_of(acme, Role.EDITOR)

    page, answer = (
        client.get("/t/acme/settings/"),
        client.post("/t/acme/settings/", {"name": "Mine", "time_zone": "UTC"}),
    )

    acme.refresh_from_db()
    assert 'name="time_zone"' not in page.content.decode()
    assert (page.status_code, answer.status_code, acme.name) == (200, 403, "Acme")


def test_new_key_is_shown_once_and_works(acme: Tenant) -> None:
    client = client_of(acme, Role.ADMIN)

    made = client.post("/t/acme/api-keys/", {"name": "ci", "role": "viewer", "lifetime": "30"})
    again = client.get("/t/acme/api-keys/")

    (text,) = set(re.findall(r"obs_live_\w{39}", made.content.decode()))
    key = find_api_key(text)
    assert key
    assert key.expires_at
    assert (key.role, round((key.expires_at - key.created_at).total_seconds() / 86_400)) == (Role.VIEWER, 30)
    assert made.headers["Cache-Control"] == "max-age=0, no-cache, no-store, must-revalidate, private"
    assert text not in again.content.decode()
    assert f"…{text[-4:]}" in again.content.decode()


def test_admin_page_offers_no_owner_key(acme: Tenant) -> None:
    client = client_of(acme, Role.ADMIN)

    choices = [value for value, _label in client.get("/t/acme/api-keys/").context["form"].fields["role"].choices]
    answer = client.post("/t/acme/api-keys/", {"name": "root", "role": "owner", "lifetime": ""})

    assert choices == ["viewer", "editor", "admin"]
    assert list(answer.context["form"].errors) == ["role"]


def test_revoked_key_is_dead_and_an_owners_key_is_out_of_an_admins_reach(acme: Tenant) -> None:
    admin, owner = client_of(acme, Role.ADMIN), client_of(acme, Role.OWNER)
    owner.post("/t/acme/api-keys/", {"name": "root", "role": "owner", "lifetime": ""})
    with tenant_scope(acme.id):
        key = ApiKey.objects.get()

    statuses = [client.post(f"/t/acme/api-keys/{key.id}/revoke/").status_code for client in (admin, owner, owner)]

    with tenant_scope(acme.id):
        key.refresh_from_db()
    assert statuses == [403, 302, 302]
    assert key.revoked_at


def test_strangers_key_is_404(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs = ApiKey.objects.create(name="theirs", key_hash="0" * 64, last_four="0000")

    assert client_of(acme, Role.OWNER).post(f"/t/acme/api-keys/{theirs.id}/revoke/").status_code == 404


def test_keys_page_asks_the_same_number_of_queries_for_one_and_three_rows(acme: Tenant) -> None:
    client = client_of(acme, Role.ADMIN)
    counts = []
    for names in ("a", "bc"):
        for name in names:
            client.post("/t/acme/api-keys/", {"name": name, "role": "viewer", "lifetime": ""})
        with CaptureQueriesContext(connection) as captured:
            client.get("/t/acme/api-keys/")
        counts.append(len(captured))

    assert counts[0] == counts[1]
