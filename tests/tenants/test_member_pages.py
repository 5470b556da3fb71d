"""Members on screen: who sees, who changes, and who stays out of reach."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.tenants.enums import Role
from apps.tenants.models import Invitation, Membership, Tenant
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def client_of(tenant: Tenant, role: Role) -> Client:
    client = Client()
    client.force_login(make_member(tenant, f"{role}-who-acts@acme.example", role))
    return client


def membership(tenant: Tenant, email: str) -> Membership:
    with tenant_scope(tenant.id):
        found: Membership = Membership.objects.get(user__email=email)
    return found


def messages_of(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def test_viewer_sees_members_without_any_control(acme: Tenant) -> None:
    page = client_of(acme, Role.VIEWER).get("/t/acme/members/").content.decode()

    assert "olga@acme.example" in page
    assert ("/members/invite/" in page, "/role/" in page, "/remove/" in page) == (False, False, False)


def test_admin_gets_controls_for_everyone_but_owners(acme: Tenant) -> None:
    make_member(acme, "vera@acme.example", Role.VIEWER)

    rows = client_of(acme, Role.ADMIN).get("/t/acme/members/").context["rows"]

    assert [(member.user.email, is_changeable) for member, is_changeable in rows] == [
        ("olga@acme.example", False),
        ("admin-who-acts@acme.example", True),
        ("vera@acme.example", True),
    ]


def test_changing_a_role_says_so(acme: Tenant) -> None:
    make_member(acme, "vera@acme.example", Role.VIEWER)
    target = membership(acme, "vera@acme.example")

    answer = client_of(acme, Role.ADMIN).post(f"/t/acme/members/{target.id}/role/", {"role": "editor"}, follow=True)

    assert messages_of(answer) == ["vera@acme.example is now: Editor."]
    assert membership(acme, "vera@acme.example").role == Role.EDITOR


@pytest.mark.parametrize(("email", "role"), [("vera@acme.example", "owner"), ("vera@acme.example", "king")])
def test_admin_cannot_give_what_is_not_theirs(acme: Tenant, email: str, role: str) -> None:
    make_member(acme, "vera@acme.example", Role.VIEWER)

    answer = client_of(acme, Role.ADMIN).post(
        f"/t/acme/members/{membership(acme, email).id}/role/", {"role": role}, follow=True
    )

    assert messages_of(answer) == ["You cannot give this role."]
    assert membership(acme, email).role == Role.VIEWER


def test_admin_cannot_touch_an_owner(acme: Tenant) -> None:
    client, owner = client_of(acme, Role.ADMIN), membership(acme, "olga@acme.example")

    statuses = [
        client.post(f"/t/acme/members/{owner.id}/role/", {"role": "viewer"}).status_code,
        client.post(f"/t/acme/members/{owner.id}/remove/").status_code,
    ]

    assert statuses == [403, 403]
    assert membership(acme, "olga@acme.example").role == Role.OWNER


def test_last_owner_cannot_step_down_or_leave_but_can_after_appointing_another(acme: Tenant) -> None:
    client = Client()
    client.force_login(membership(acme, "olga@acme.example").user)
    own = membership(acme, "olga@acme.example")
    refused = [
        messages_of(client.post(f"/t/acme/members/{own.id}/role/", {"role": "viewer"}, follow=True)),
        messages_of(client.post("/t/acme/members/leave/", follow=True)),
    ]

    make_member(acme, "otto@acme.example", Role.OWNER)
    left = client.post("/t/acme/members/leave/")

    assert refused == [["An organisation needs an owner: appoint another one first."]] * 2
    assert (left.status_code, client.get("/t/acme/members/").status_code) == (302, 404)


def test_removed_member_is_out_at_once(acme: Tenant) -> None:
    vera = make_member(acme, "vera@acme.example", Role.EDITOR)
    hers = Client()
    hers.force_login(vera)
    target = membership(acme, "vera@acme.example")

    client_of(acme, Role.ADMIN).post(f"/t/acme/members/{target.id}/remove/")

    assert hers.get("/t/acme/members/").status_code == 404


def test_strangers_membership_is_404(acme: Tenant, globex: Tenant) -> None:
    theirs = membership(globex, "gustav@globex.example")

    answer = client_of(acme, Role.OWNER).post(f"/t/acme/members/{theirs.id}/remove/")

    assert answer.status_code == 404
    assert membership(globex, "gustav@globex.example")


def test_inviting_shows_the_invitation_and_wrong_input_stays_on_the_page(acme: Tenant) -> None:
    client = client_of(acme, Role.ADMIN)

    wrong = client.post("/t/acme/members/invite/", {"email": "no address", "role": "owner"})
    right = client.post("/t/acme/members/invite/", {"email": "new@acme.example", "role": "editor"}, follow=True)

    assert wrong.context["form"].errors == {
        "email": ["Enter a valid email address."],
        "role": ["Select a valid choice. owner is not one of the available choices."],
    }
    assert messages_of(right) == ["The invitation to new@acme.example is on its way."]
    assert [row.email for row, _ in right.context["invitations"]] == ["new@acme.example"]


def test_withdrawing_and_sending_again(acme: Tenant) -> None:
    client = client_of(acme, Role.ADMIN)
    client.post("/t/acme/members/invite/", {"email": "new@acme.example", "role": "viewer"})
    with tenant_scope(acme.id):
        first = Invitation.objects.get()

    client.post(f"/t/acme/invitations/{first.id}/resend/")
    with tenant_scope(acme.id):
        second = Invitation.objects.get()
    answer = client.post(f"/t/acme/invitations/{second.id}/withdraw/", follow=True)

    assert first.id != second.id
    assert messages_of(answer)[-1] == "The invitation to new@acme.example no longer works."
    with tenant_scope(acme.id):
        assert Invitation.objects.count() == 0


def test_members_page_asks_the_same_number_of_queries_for_one_and_three_rows(acme: Tenant) -> None:
    client = client_of(acme, Role.ADMIN)
    client.post("/t/acme/members/invite/", {"email": "a@new.example", "role": "viewer"})
    deliver_pending()
    client.get("/t/acme/members/")
    counts = []
    for letters in ("", "bc"):
        for letter in letters:
            make_member(acme, f"{letter}@acme.example", Role.VIEWER)
            client.post("/t/acme/members/invite/", {"email": f"{letter}@new.example", "role": "viewer"})
        client.get("/t/acme/members/")  # shows the messages
        with CaptureQueriesContext(connection) as captured:
            client.get("/t/acme/members/")
        counts.append(len(captured))

    assert counts[0] == counts[1]


def test_members_come_in_pages_of_fifty(acme: Tenant) -> None:
    for number in range(50):
        make_member(acme, f"m{number:02}@acme.example", Role.VIEWER)
    client = client_of(acme, Role.ADMIN)

    sizes = [len(client.get(f"/t/acme/members/?page={page}").context["rows"]) for page in (1, 2)]

    assert sizes == [50, 2]


def test_sidebar_offers_keys_to_those_who_may_have_them(acme: Tenant) -> None:
    pages = {role: client_of(acme, role).get("/t/acme/members/").content.decode() for role in (Role.ADMIN, Role.VIEWER)}

    assert {role: '"/t/acme/api-keys/"' in page for role, page in pages.items()} == {
        Role.ADMIN: True,
        Role.VIEWER: False,
    }
