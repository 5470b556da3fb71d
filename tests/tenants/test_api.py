"""Members, invitations, keys and the tenant over the API."""

from datetime import timedelta

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.domain.api_keys import find_api_key
from apps.tenants.enums import Role
from apps.tenants.models import ApiKey, Invitation, Membership, Tenant
from tests.contracts.test_doors import client_of
from tests.factories import make_member, make_user
from tests.factories.api import Api, make_api

pytestmark = pytest.mark.django_db


def membership_id(tenant: Tenant, email: str) -> str:
    with tenant_scope(tenant.id):
        return str(Membership.objects.get(user__email=email).id)


def test_tenant_is_the_one_of_the_key(acme: Tenant, globex: Tenant) -> None:
    body = make_api(acme, Role.VIEWER).get("/api/v1/tenant/").json()

    assert body.pop("created_at")
    assert body == {
        "id": str(acme.id),
        "name": "Acme",
        "slug": "acme",
        "time_zone": "UTC",
        "allows_private_targets": True,
    }


def test_tenant_settings_change_one_at_a_time(acme: Tenant) -> None:
    answer = make_api(acme, Role.ADMIN).patch("/api/v1/tenant/", {"time_zone": "Europe/Berlin"})

    acme.refresh_from_db()
    assert (answer.status_code, acme.name, acme.time_zone) == (200, "Acme", "Europe/Berlin")


def test_tenant_settings_refuse_unknown_fields_types_and_zones(acme: Tenant) -> None:
    answer = make_api(acme).patch("/api/v1/tenant/", {"name": 5, "slug": "mine", "time_zone": "Mars/Olympus"})

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:obsera:problem:invalid",
        "title": "Invalid input.",
        "status": 400,
        "errors": {
            "name": ["Give a text in quotes."],
            "slug": ["There is no such field."],
            "time_zone": ["“Mars/Olympus” is not a time zone; write one such as Europe/Berlin."],
        },
    }


def test_members_lists_own_members_only(acme: Tenant, globex: Tenant) -> None:
    make_member(acme, "vera@acme.example", Role.VIEWER)

    body = make_api(acme, Role.VIEWER).get("/api/v1/members/").json()

    assert [(row["email"], row["role"]) for row in body["results"]] == [
        ("vera@acme.example", "viewer"),
        ("olga@acme.example", "owner"),
    ]


def test_admin_changes_a_role_but_neither_makes_nor_touches_owners(acme: Tenant) -> None:
    make_member(acme, "vera@acme.example", Role.VIEWER)
    vera, olga = membership_id(acme, "vera@acme.example"), membership_id(acme, "olga@acme.example")
    api = make_api(acme, Role.ADMIN)

    statuses = [
        api.patch(f"/api/v1/members/{vera}/", {"role": "editor"}).status_code,
        api.patch(f"/api/v1/members/{vera}/", {"role": "owner"}).status_code,
        api.patch(f"/api/v1/members/{olga}/", {"role": "viewer"}).status_code,
        api.delete(f"/api/v1/members/{olga}/").status_code,
    ]

    assert statuses == [200, 403, 403, 403]
    with tenant_scope(acme.id):
        assert {row.user.email: row.role for row in Membership.objects.select_related("user")} == {
            "vera@acme.example": "editor",
            "olga@acme.example": "owner",
        }


def test_last_owner_stays_with_409(acme: Tenant) -> None:
    answer = make_api(acme).delete(f"/api/v1/members/{membership_id(acme, 'olga@acme.example')}/")

    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "An organisation needs an owner: appoint another one first.",
    )


def test_strangers_member_is_404_for_every_method(acme: Tenant, globex: Tenant) -> None:
    path = f"/api/v1/members/{membership_id(globex, 'gustav@globex.example')}/"
    api = make_api(acme)

    answers = [api.get(path), api.patch(path, {"role": "viewer"}), api.delete(path)]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert membership_id(globex, "gustav@globex.example")


def test_invitation_is_made_replaced_and_withdrawn(acme: Tenant) -> None:
    api = make_api(acme, Role.ADMIN)

    first = api.post("/api/v1/invitations/", {"email": "new@acme.example", "role": "editor"})
    second = api.post("/api/v1/invitations/", {"email": "NEW@acme.example"})
    listed = api.get("/api/v1/invitations/").json()["results"]
    gone = api.delete(f"/api/v1/invitations/{second.json()['id']}/")

    assert (first.status_code, second.status_code, gone.status_code) == (201, 201, 204)
    assert [(row["id"], row["role"]) for row in listed] == [(second.json()["id"], "viewer")]
    with tenant_scope(acme.id):
        assert Invitation.objects.count() == 0


def test_invitation_of_a_member_is_409(acme: Tenant) -> None:
    answer = make_api(acme).post("/api/v1/invitations/", {"email": "Olga@acme.example"})

    assert (answer.status_code, answer.json()["detail"]) == (409, "This person is a member already.")
    assert answer.json()["errors"] == {"email": ["This person is a member already."]}


def test_address_longer_than_can_be_kept_is_refused(acme: Tenant, owner: User) -> None:
    address = f"{'x' * 249}@x.example"

    answer = make_api(acme).post("/api/v1/invitations/", {"email": address})
    page = client_of(owner).post("/t/acme/members/invite/", {"email": address, "role": "viewer"})

    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["email"])
    assert (page.status_code, list(page.context["form"].errors)) == (200, ["email"])


def test_admin_cannot_invite_an_owner(acme: Tenant) -> None:
    answer = make_api(acme, Role.ADMIN).post("/api/v1/invitations/", {"email": "x@acme.example", "role": "owner"})

    assert (answer.status_code, answer.json()["detail"]) == (403, "Your own role does not reach the role “Owner”.")


def test_made_key_works_is_listed_without_its_text_and_dies_when_revoked(acme: Tenant) -> None:
    api = make_api(acme, Role.ADMIN)

    made = api.post("/api/v1/api-keys/", {"name": "ci", "role": "viewer"}).json()
    works = Api(made["key"]).get("/api/v1/tenant/").status_code
    listed = api.get("/api/v1/api-keys/").json()["results"][0]
    revoked = api.delete(f"/api/v1/api-keys/{made['id']}/").status_code
    dead = Api(made["key"]).get("/api/v1/tenant/")

    assert (works, revoked, dead.status_code) == (200, 204, 401)
    assert (listed["name"], listed["last_four"], "key" in listed) == ("ci", made["key"][-4:], False)
    assert dead.json()["detail"] == "This API key is unknown, expired or revoked."
    assert dead.headers["WWW-Authenticate"] == 'Bearer realm="obsera"'


def test_admin_key_makes_no_owner_key(acme: Tenant) -> None:
    answer = make_api(acme, Role.ADMIN).post("/api/v1/api-keys/", {"name": "root", "role": "owner"})

    assert answer.status_code == 403
    with tenant_scope(acme.id):
        assert ApiKey.objects.filter(name="root").count() == 0


def test_key_with_a_past_end_is_refused_and_an_expired_one_opens_nothing(acme: Tenant) -> None:
    api = make_api(acme)
    soon = clock.now() + timedelta(hours=1)

    past = api.post("/api/v1/api-keys/", {"name": "x", "expires_at": (clock.now() - timedelta(days=1)).isoformat()})
    made = api.post("/api/v1/api-keys/", {"name": "x", "expires_at": soon.isoformat()}).json()
    with tenant_scope(acme.id):
        ApiKey.objects.filter(id=made["id"]).update(expires_at=clock.now() - timedelta(seconds=1))

    assert (past.status_code, past.json()["errors"]) == (400, {"expires_at": ["This moment has passed."]})
    assert find_api_key(made["key"]) is None


def test_session_needs_the_tenant_header_and_membership(acme: Tenant, globex: Tenant) -> None:
    client = Client()
    client.force_login(make_member(acme, "vera@acme.example", Role.VIEWER))

    statuses = [
        client.get("/api/v1/tenant/", headers=headers).status_code
        for headers in ({}, {"Obsera-Tenant": "acme"}, {"Obsera-Tenant": "globex"}, {"Obsera-Tenant": "nobody"})
    ]

    assert statuses == [404, 200, 404, 404]


def test_session_write_needs_the_csrf_token(acme: Tenant) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_member(acme, "adam@acme.example", Role.ADMIN))

    answer = client.patch(
        "/api/v1/tenant/", {"name": "x"}, content_type="application/json", headers={"Obsera-Tenant": "acme"}
    )

    assert (answer.status_code, answer.json()["detail"]) == (403, "CSRF Failed: CSRF cookie not set.")


def test_person_without_any_tenant_gets_404(acme: Tenant) -> None:
    client = Client()
    client.force_login(make_user("nobody@else.example"))

    assert client.get("/api/v1/members/", headers={"Obsera-Tenant": "acme"}).status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/members/", "/api/v1/invitations/", "/api/v1/api-keys/"])
def test_lists_ask_the_same_number_of_queries_for_one_and_three_rows(
    path: str, acme: Tenant, django_assert_num_queries: object
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    api = make_api(acme)
    api.post("/api/v1/invitations/", {"email": "a@acme.example"})
    api.get(path)  # notes the key's use
    counts = []
    for number in range(2):
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert api.get(path).status_code == 200
        counts.append(len(captured))
        for extra in "bc" if number == 0 else "":
            make_member(acme, f"{extra}@acme.example", Role.VIEWER)
            api.post("/api/v1/invitations/", {"email": f"{extra}2@acme.example"})
            api.post("/api/v1/api-keys/", {"name": extra})

    assert counts[0] == counts[1]


def test_key_ends_where_every_zone_has_a_calendar(acme: Tenant, owner: User) -> None:
    Tenant.objects.filter(id=acme.id).update(time_zone="Pacific/Kiritimati")
    api, new = make_api(acme), {"name": "ci", "role": "viewer"}

    refused = api.post("/api/v1/api-keys/", {**new, "expires_at": "9999-12-31T23:59:59Z"})
    taken = api.post("/api/v1/api-keys/", {**new, "expires_at": "2199-12-31T23:59:59Z"})

    said = {"expires_at": ["Choose a time between the years 1970 and 2200."]}
    assert (refused.status_code, refused.json()["errors"], taken.status_code) == (400, said, 201)
    assert client_of(owner).get("/t/acme/api-keys/").status_code == 200
