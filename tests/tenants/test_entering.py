"""Where `/` leads, founding and switching."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.core.tenancy import tenant_scope
from apps.tenants.domain.memberships import tenant_to_enter, tenants_of
from apps.tenants.enums import Role
from apps.tenants.models import Membership, Tenant
from tests.factories import make_tenant, make_user

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_stranger_is_asked_to_sign_in() -> None:
    answer = Client().get("/")

    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/login/?next=/")


def test_person_without_tenant_founds_one() -> None:
    assert signed_in(make_user("new@acme.example")).get("/").headers["Location"] == "/tenants/new/"


def test_only_tenant_is_entered_at_once(acme: Tenant, owner: User) -> None:
    assert signed_in(owner).get("/").headers["Location"].startswith("/t/acme/")


def test_of_several_the_last_visited_is_entered_else_the_person_chooses(acme: Tenant, owner: User) -> None:
    make_tenant("Beta", owner)
    client = signed_in(owner)

    first = client.get("/").headers["Location"]
    choices = [tenant.slug for tenant, _href in client.get("/tenants/").context["choices"]]
    client.get("/t/beta/members/")
    second = client.get("/").headers["Location"]

    assert (first, choices) == ("/tenants/", ["acme", "beta"])
    assert second.startswith("/t/beta/")


def test_tenant_to_enter_forgets_one_the_person_left(acme: Tenant, globex: Tenant) -> None:
    assert tenant_to_enter([acme], "globex") == acme
    assert tenant_to_enter([acme, globex], "nowhere") is None
    assert tenant_to_enter([], None) is None


def test_founding_makes_an_owner_and_a_free_address(acme: Tenant) -> None:
    founder = make_user("fay@second.example")

    answer = signed_in(founder).post("/tenants/new/", {"name": "Acme"})

    (tenant,) = tenants_of(founder)
    with tenant_scope(tenant.id):
        roles = list(Membership.objects.values_list("role", flat=True))
    assert answer.status_code == 302
    assert (tenant.name, tenant.slug, roles) == ("Acme", "acme-2", [Role.OWNER])


@pytest.mark.parametrize("name", ["", "x" * 101])
def test_founding_refuses_a_wrong_name(name: str) -> None:
    founder = make_user("fay@second.example")

    answer = signed_in(founder).post("/tenants/new/", {"name": name})

    assert list(answer.context["form"].errors) == ["name"]
    assert tenants_of(founder) == []


def test_name_without_letters_gets_an_address_too() -> None:
    founder = make_user("fay@second.example")

    signed_in(founder).post("/tenants/new/", {"name": "株式会社"})

    assert [tenant.slug for tenant in tenants_of(founder)] == ["tenant"]


def test_switcher_offers_own_tenants_only(acme: Tenant, globex: Tenant, owner: User) -> None:
    page = signed_in(owner).get("/t/acme/members/")

    assert [tenant.slug for tenant in page.context["switchable_tenants"]] == ["acme"]


@pytest.mark.parametrize("slug", ["globex", "nowhere", "ACME"])
def test_strangers_tenant_does_not_exist(acme: Tenant, globex: Tenant, owner: User, slug: str) -> None:
    assert signed_in(owner).get(f"/t/{slug}/members/").status_code == 404


def test_private_targets_follow_the_installation(settings: Any) -> None:
    settings.ALLOW_PRIVATE_TARGETS = False

    assert make_tenant("Cloudy", make_user("c@cloudy.example")).allows_private_targets is False
