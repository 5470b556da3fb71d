"""From the letter to the membership."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from apps.accounts.models import User
from apps.core import clock
from apps.core.mail import MailError
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import Drained, deliver_pending
from apps.tenants.domain import invitations
from apps.tenants.domain.invitations import InvitationRefused
from apps.tenants.domain.rights import permissions_of
from apps.tenants.enums import Role
from apps.tenants.models import Invitation, Membership, Tenant
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
EVERYTHING = permissions_of(Role.OWNER)


def invite(tenant: Tenant, email: str = "nora@new.example", role: Role = Role.EDITOR) -> str:
    """Invite, deliver, and return the path in the letter."""
    with tenant_scope(tenant.id):
        invitations.invite(email=email, role=role, invited_by=None, can=EVERYTHING)
    deliver_pending()
    found = re.search(r"http://localhost:8000(/invitations/\S+)", mail.outbox[-1].body)
    assert found
    return found.group(1)


def role_of(tenant: Tenant, user: User) -> str | None:
    with tenant_scope(tenant.id):
        return Membership.objects.filter(user=user).values_list("role", flat=True).first()


def test_letter_names_who_invites_where_and_as_what(acme: Tenant, owner: User) -> None:
    owner.name = "Olga Owner"
    owner.save()
    with tenant_scope(acme.id):
        invitation = invitations.invite(email="nora@new.example", role=Role.EDITOR, invited_by=owner, can=EVERYTHING)
    deliver_pending()

    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == (["nora@new.example"], "Join Acme on Obsera")
    assert letter.body.startswith("Olga Owner invited you to work in Acme as: Editor.")
    assert invitations.accept_url(invitation) in letter.alternatives[0][0]


def test_letter_is_sent_once_however_often_the_event_is_delivered(acme: Tenant) -> None:
    invite(acme)
    with tenant_scope(acme.id):
        invitation = Invitation.objects.get()
        invitations.send_letter(invitation_id=invitation.id)

    assert len(mail.outbox) == 1
    assert invitation.letter_sent_at


def test_letter_is_tried_again_when_the_mail_server_is_away_and_given_up_when_it_refuses(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(is_permanent: bool) -> Any:
        def send(*args: Any, **kwargs: Any) -> None:
            raise MailError("550 no such mailbox", permanent=is_permanent)

        return send

    deliver_pending()  # what the tenant's beginning set off
    with tenant_scope(acme.id):
        invitations.invite(email="nora@new.example", role=Role.VIEWER, invited_by=None, can=EVERYTHING)
    monkeypatch.setattr(invitations, "send_template", fail(False))
    away = deliver_pending()
    with tenant_scope(acme.id):
        invitation = Invitation.objects.get()
        monkeypatch.setattr(invitations, "send_template", fail(True))
        invitations.send_letter(invitation_id=invitation.id)
        invitation.refresh_from_db()

    assert away == Drained(handled=0, failed=1)
    assert (invitation.letter_sent_at, invitation.letter_error) == (None, "550 no such mailbox")


def test_invited_person_signs_up_without_a_second_letter_and_joins(acme: Tenant) -> None:
    path, client = invite(acme), Client()

    page = client.get(path)
    form = client.get(page.context["sign_up_href"])
    client.post(
        "/account/signup/",
        {"name": "Nora", "email": "nora@new.example", "password1": PASSWORD, "next": path},
    )
    joined = client.post(path)

    person = User.objects.get(email="nora@new.example")
    assert form.context["form"].fields["email"].initial == "nora@new.example"
    assert len(mail.outbox) == 1
    assert (joined.status_code, joined.headers["Location"]) == (302, "/t/acme/members/")
    assert role_of(acme, person) == Role.EDITOR


def test_signing_up_with_another_address_needs_its_own_letter(acme: Tenant) -> None:
    path, client = invite(acme), Client()
    client.get(path)

    client.post("/account/signup/", {"name": "Eve", "email": "eve@evil.example", "password1": PASSWORD, "next": path})

    assert "_auth_user_id" not in client.session
    assert mail.outbox[-1].to == ["eve@evil.example"]


def test_letter_opens_nothing_for_another_person(acme: Tenant) -> None:
    path, eve, client = invite(acme), make_user("eve@evil.example"), Client()
    client.force_login(eve)

    page, answer = client.get(path), client.post(path)

    assert page.context["is_theirs"] is False
    assert (answer.status_code, role_of(acme, eve)) == (410, None)
    assert "This invitation was sent to another address." in answer.content.decode()


def test_unverified_address_is_not_theirs(acme: Tenant) -> None:
    path = invite(acme)
    eve = User.objects.create_user("nora@new.example", PASSWORD)
    client = Client()
    client.force_login(eve)

    client.post(path)

    assert role_of(acme, eve) is None


def test_stranger_who_posts_joins_nothing(acme: Tenant) -> None:
    answer = Client().post(invite(acme))

    assert answer.status_code == 200
    with tenant_scope(acme.id):
        assert Membership.objects.count() == 1


def test_used_withdrawn_expired_and_altered_links_say_why(acme: Tenant) -> None:
    nora = make_user("nora@new.example")
    used = invite(acme).split("/")[2]
    invitations.accept(token=used, user=nora)
    expired = invite(acme, "late@new.example").split("/")[2]
    with tenant_scope(acme.id):
        Invitation.objects.filter(email="late@new.example").update(expires_at=clock.now() - timedelta(seconds=1))

    pages = {
        name: Client().get(f"/invitations/{token}/")
        for name, token in {
            "used": used,
            "expired": expired,
            "altered": used[:-1] + "x",
            "garbage": "garbage",
        }.items()
    }

    gone = "This invitation was used or withdrawn. Ask for a new one."
    assert {page.status_code for page in pages.values()} == {410}
    assert {name: str(page.context["reason"]) for name, page in pages.items()} == {
        "used": gone,
        "expired": "This invitation has expired. Ask for a new one.",
        "altered": gone,
        "garbage": gone,
    }


def test_second_click_changes_nothing(acme: Tenant) -> None:
    nora, token = make_user("nora@new.example"), invite(acme).split("/")[2]
    invitations.accept(token=token, user=nora)

    with pytest.raises(InvitationRefused):
        invitations.accept(token=token, user=nora)

    assert role_of(acme, nora) == Role.EDITOR


def test_too_many_open_invitations_are_refused(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "MAX_OPEN", 1)
    invite(acme)

    with pytest.raises(InvitationRefused), tenant_scope(acme.id):
        invitations.invite(email="second@new.example", role=Role.VIEWER, invited_by=None, can=EVERYTHING)
