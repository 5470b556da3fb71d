"""The ping key: who may replace it, which ones are taken, and that jobs from elsewhere switch by host name alone."""

import json

import pytest
from django.test import Client
from django.urls import get_resolver, reverse

from apps.accounts.models import User
from apps.checks.domain.heartbeats import ping_key
from apps.checks.domain.ping_dialects import BARE, dialect_of
from apps.checks.domain.ping_keys import PingKeyTaken, rotate_ping_key, set_ping_key
from apps.checks.enums import State
from apps.checks.models import Check, Heartbeat, PingKey
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.checks.test_api import Api
from tests.checks.test_ping_door import Door, check, door, scope
from tests.checks.test_pings import heartbeat, state_of, token_of
from tests.factories import make_member

__all__ = ["check", "door", "scope"]
KNOWN = "3y2kd7a1m0c9x8z4q5w6e7"  # as Healthchecks makes them
JOB = {
    "name": "DB backup",
    "slug": "db_backup-",
    "timeout": 3_600,
    "grace": 600,
    "ping_url": "https://hc-ping.com/31365bce-8da9-4729-8ff3-aaa71d56b712",
}


# --- Replacing it ---------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_key_of_another_tenant_is_refused_and_not_said_whose_it_is(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        set_ping_key(KNOWN)
    with tenant_scope(acme.id):
        before = ping_key()
        with pytest.raises(PingKeyTaken) as refused:
            set_ping_key(KNOWN)

        assert (str(refused.value), refused.value.field) == (
            "This ping key is in use already. Give another one.",
            "key",
        )
        assert ping_key() == before
        set_ping_key(before)  # one's own is nobody else's
    with tenant_scope(globex.id):
        assert PingKey.objects.get().key == KNOWN


@pytest.mark.django_db
def test_new_key_survives_a_mailer_that_knows_no_capitals(in_acme: Tenant) -> None:
    before, made = ping_key(), rotate_ping_key()

    assert made != before
    assert ping_key() == made == made.lower()
    assert len(made) == 22


@pytest.mark.django_db
def test_api_shows_sets_and_rotates_it_for_who_may(acme: Tenant) -> None:
    admin, editor, viewer = Api(acme, Role.ADMIN), Api(acme, Role.EDITOR), Api(acme, Role.VIEWER)

    assert admin.call("PUT", "ping-key/", {"key": KNOWN}) == (200, {"key": KNOWN})
    assert editor.call("GET", "ping-key/") == (200, {"key": KNOWN})
    assert [viewer.call("GET", "ping-key/")[0], editor.call("PUT", "ping-key/", {"key": "x" * 22})[0]] == [403, 403]
    assert editor.call("POST", "ping-key/rotate/")[0] == 403
    status, made = admin.call("POST", "ping-key/rotate/")
    assert (status, admin.call("GET", "ping-key/")) == (200, (200, made))
    assert made["key"] != KNOWN


@pytest.mark.django_db
@pytest.mark.parametrize(
    "key", ["", "short", KNOWN[:21], f"{KNOWN}x", f"{KNOWN[:21]} ", f"{KNOWN[:21]}ü", "a" * 22, 7, None]
)
def test_api_refuses_a_key_that_no_door_takes_or_anybody_guesses(acme: Tenant, key: object) -> None:
    api = Api(acme, Role.OWNER)
    before = api.call("GET", "ping-key/")

    status, problem = api.call("PUT", "ping-key/", {"key": key})

    assert (status, list(problem["errors"])) == (400, ["key"])
    assert api.call("GET", "ping-key/") == before


@pytest.mark.django_db
def test_api_says_that_a_key_is_taken(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        set_ping_key(KNOWN)

    status, problem = Api(acme, Role.OWNER).call("PUT", "ping-key/", {"key": KNOWN})

    assert (status, problem["detail"]) == (409, "This ping key is in use already. Give another one.")


@pytest.mark.django_db
def test_page_replaces_it_and_heartbeats_lead_there(acme: Tenant, globex: Tenant, owner: User) -> None:
    with tenant_scope(globex.id):
        set_ping_key("7" + KNOWN[1:])
    with tenant_scope(acme.id):
        check = heartbeat()
    client, address = Client(), reverse("checks:ping_key", args=[acme.slug])
    client.force_login(owner)

    taken = client.post(address, {"key": "7" + KNOWN[1:]})
    saved = client.post(address, {"key": KNOWN})

    assert (taken.status_code, saved.status_code) == (422, 302)
    assert "This ping key is in use already. Give another one." in taken.content.decode()
    assert KNOWN in client.get(address).content.decode()
    assert address in client.get(reverse("checks:detail", args=[acme.slug, check.id])).content.decode()
    assert client.post(reverse("checks:rotate_ping_key", args=[acme.slug])).status_code == 302
    with tenant_scope(acme.id):
        assert ping_key() != KNOWN


@pytest.mark.django_db
def test_editor_is_not_led_to_what_he_may_not_do(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = heartbeat()
    client = Client()
    client.force_login(make_member(acme, "editor@acme.example", Role.EDITOR))
    address = reverse("checks:ping_key", args=[acme.slug])

    assert client.get(address).status_code == 403
    assert address not in client.get(reverse("checks:detail", args=[acme.slug, check.id])).content.decode()


# --- Names in addresses -------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_name_in_the_address_is_what_is_set_and_stays_when_it_is_cleared(acme: Tenant) -> None:
    api = Api(acme)
    config = {"period_seconds": 3_600, "slug": "a--b"}
    _status, made = api.call("POST", "", {"name": "Nightly", "kind": "heartbeat", "config": config})
    slugs = []

    for slug in ("a--b", "job-", ""):
        api.call("PATCH", f"{made['id']}/", {"config": {**config, "slug": slug}})
        with tenant_scope(acme.id):
            slugs.append(Heartbeat.objects.get().slug)

    assert slugs == ["a--b", "job-", "job-"]
    status, problem = api.call("PATCH", f"{made['id']}/", {"config": {"slug": "Größe"}})
    assert (status, list(problem["errors"]["config"])) == (400, ["slug"])


@pytest.mark.django_db(transaction=True)
def test_healthchecks_jobs_switch_by_host_name(door: Door, acme: Tenant) -> None:
    api = Api(acme, Role.OWNER)
    assert api.call("POST", "import/healthchecks/", json.dumps({"checks": [JOB]}).encode())[0] == 200
    assert door.ask(f"/ping/{KNOWN}/db_backup-").status == 404
    api.call("PUT", "ping-key/", {"key": KNOWN})

    answers = [
        door.ask(path)[:2]
        for root in ("/ping", "")
        for path in (
            f"{root}/{KNOWN}/db_backup-/start",
            f"{root}/{KNOWN}/db_backup-?create=1",
            f"{root}{JOB['ping_url'].removeprefix('https://hc-ping.com')}/0",  # type: ignore[attr-defined]
        )
    ]

    assert answers == [(200, "OK")] * 6
    with tenant_scope(acme.id):
        made = Check.objects.get()
        assert (made.key, state_of(made), Heartbeat.objects.get().pings) == ("hc-db_backup", State.UP, 6)


@pytest.mark.django_db(transaction=True)
def test_doors_follow_a_key_that_is_replaced(door: Door, check: Check, scope: Tenant) -> None:
    before = ping_key()
    answers = [door.ask(f"/ping/{before}/backup").status]

    after = rotate_ping_key()
    answers += [door.ask(f"/ping/{key}/backup").status for key in (before, after)]

    assert answers == [200, 404, 200]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/{token}", 200),
        ("/{upper}/fail/", 200),
        ("/{key}/backup", 200),
        ("/{key}/other", 404),
        ("/{token}/stop", 404),
        ("/{token}/start/again", 299),
        ("/{key}", 299),
        ("/{key}/Backup", 299),
        ("/pages/backup", 299),
    ],
)
def test_address_without_ping_is_one_where_nothing_else_can_be(
    door: Door, check: Check, path: str, status: int
) -> None:
    token = token_of(check)

    assert door.ask(path.format(token=token, upper=token.upper(), key=ping_key())).status == status


def test_no_page_begins_as_an_address_without_ping_does() -> None:
    firsts = {str(entry.pattern).partition("/")[0] for entry in get_resolver().url_patterns}
    for nested in (entry for entry in get_resolver().url_patterns if str(entry.pattern) == ""):
        firsts |= {str(entry.pattern).partition("/")[0] for entry in nested.url_patterns}

    assert {"account", "api", "t", "status", "invitations"} <= firsts
    assert [first for first in firsts if "<" in first or len(first) == 22] == []
    assert dialect_of("/31365bce-8da9-4729-8ff3-aaa71d56b712") is BARE
