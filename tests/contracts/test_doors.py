"""Every address has a door, and every door keeps out whom it should: strangers, viewers, the anonymous."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from apps.tenants.domain.rights import all_permissions, permissions_of
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member, make_user

DOORS = {"tenant", "public", "account", "staff", "key"}
THIRD_PARTY = {
    "allauth.": "signing in and one's own account; each view guards itself",
    "django.views.i18n": "the language switch",
}
# Sample values by the name of a converter; they name nothing that exists.
SAMPLES = {"uuid": UUID(int=7), "slug": "acme", "str": "x", "int": 7, "path": "x"}
# What a viewer may POST, for it concerns the viewer alone.
OWN_AFFAIRS = {"tenants:leave": "anyone may leave a tenant"}


class Address(NamedTuple):
    """One route of the product: its name, a path with sample values, its view."""

    name: str
    path: str
    view: Any

    @property
    def door(self) -> str | None:
        found: str | None = getattr(self.view, "door", getattr(getattr(self.view, "cls", None), "door", None))
        return found

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/")


def _walk(resolver: URLResolver, route: str, names: tuple[str, ...]) -> Iterator[Address]:
    for entry in resolver.url_patterns:
        here = route + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry, here, (*names, entry.namespace) if entry.namespace else names)
        elif isinstance(entry, URLPattern):
            path = "/" + re.sub(r"<(?:(\w+):)?\w+>", lambda match: str(SAMPLES[match.group(1) or "str"]), here)
            yield Address(":".join((*names, entry.name or "")), path, entry.callback)


def addresses(door: str | None = None) -> list[Address]:
    found = _walk(get_resolver(), "", ())
    return [address for address in found if door is None or (address.door == door and not address.is_api)]


def by_name(*doors: str) -> Any:
    chosen = [address for door in doors for address in addresses(door)]
    return pytest.mark.parametrize("address", chosen, ids=lambda address: address.name)


def client_of(user: Any) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def judged(client: Client, address: Address) -> set[int]:
    """Return the answers to GET and POST, without "405: not this method", which tells nobody anything."""
    statuses = {client.get(address.path).status_code, client.post(address.path).status_code}
    return statuses - {405}


def test_every_address_has_a_door_or_is_a_third_partys() -> None:
    doorless = [address for address in addresses() if address.door not in DOORS]

    assert [a.path for a in doorless if not a.view.__module__.startswith(tuple(THIRD_PARTY))] == []


def test_addresses_of_a_tenant_and_of_the_staff_say_so_in_their_path() -> None:
    assert [a.path for a in addresses("tenant") if not a.path.startswith("/t/acme/")] == []
    assert [a.path for a in addresses() if a.path.startswith("/t/") and a.door != "tenant"] == []
    assert [a.path for a in addresses("staff") if not a.path.startswith("/staff/")] == []


def test_every_permission_named_by_a_door_exists() -> None:
    named = {address.view.permission for address in addresses("tenant")}

    assert named <= set(all_permissions())


@pytest.mark.django_db
@by_name("tenant")
def test_strangers_tenant_does_not_exist(address: Address, acme: Tenant, globex: Tenant) -> None:
    stranger = client_of(make_member(globex, "stranger@globex.example", Role.OWNER))

    assert judged(stranger, address) == {404}


@pytest.mark.django_db
@by_name("tenant", "account", "staff")
def test_anonymous_is_asked_to_sign_in(address: Address, acme: Tenant) -> None:
    answers = [
        answer for answer in (Client().get(address.path), Client().post(address.path)) if answer.status_code != 405
    ]

    assert answers
    assert {answer.status_code for answer in answers} == {302}
    assert all(answer.headers["Location"].startswith("/account/login/?next=/") for answer in answers)


@pytest.mark.django_db
@by_name("tenant")
def test_viewer_without_the_right_is_refused(address: Address, acme: Tenant) -> None:
    viewer = client_of(make_member(acme, "viewer@acme.example", Role.VIEWER))

    if address.view.permission.name in permissions_of(Role.VIEWER):
        expected = {302} if address.name in OWN_AFFAIRS else {403, 404, 405}
        assert viewer.post(address.path).status_code in expected
    else:
        assert judged(viewer, address) == {403}


@pytest.mark.django_db
@by_name("tenant")
def test_owner_meets_no_fault_of_ours(address: Address, acme: Tenant) -> None:
    owner = client_of(make_member(acme, "second-owner@acme.example", Role.OWNER))

    assert [status for status in judged(owner, address) if status >= 500] == []


@pytest.mark.django_db
@by_name("staff")
def test_customers_do_not_see_the_staffs_pages(address: Address, owner: Any, acme: Tenant) -> None:
    assert client_of(owner).get(address.path).status_code == 404
    assert client_of(make_user("op@obsera.example", is_staff=True)).get(address.path).status_code < 400


@pytest.mark.django_db
@by_name("key")
def test_only_a_key_opens_the_doors_of_programs(address: Address, owner: Any) -> None:
    assert judged(Client(raise_request_exception=False), address) == {401}
    assert judged(client_of(owner), address) == {401}


@pytest.mark.django_db
@by_name("public", "account")
def test_page_without_a_tenant_meets_no_fault_of_ours(address: Address, owner: Any) -> None:
    visitors = [Client(raise_request_exception=False), client_of(owner)]

    statuses = [visitor.get(address.path).status_code for visitor in visitors]

    assert [status for status in statuses if status >= 500 and status != 503] == []
