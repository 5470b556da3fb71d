"""The command palette's lines."""

import pytest
from django.test import Client

from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db


def lines(client: Client, tenant: Tenant, text: str) -> dict[str, list[str]]:
    response = client.get(f"/t/{tenant.slug}/jump/", {"q": text})
    assert response.status_code == 200
    return {str(group.label): [jump.label for jump in group.jumps] for group in response.context["groups"]}


@pytest.fixture
def editor(client: Client, acme: Tenant) -> Client:
    client.force_login(make_member(acme, "eddie@acme.example", Role.EDITOR))
    return client


def test_everything_is_offered_while_nothing_is_typed(editor: Client, acme: Tenant) -> None:
    offered = lines(editor, acme, "")

    assert offered["Actions"][0] == "New check"
    assert offered["Pages"][:2] == ["Overview", "Checks"]
    assert "Found" not in offered


def test_checks_actions_and_pages_are_found_by_their_words(editor: Client, acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        make_check("Their checkout")
    with tenant_scope(acme.id):
        make_check("Checkout")

    assert lines(editor, acme, "check") == {"Found": ["Checkout"], "Actions": ["New check"], "Pages": ["Checks"]}
    assert lines(editor, acme, "CHECK new") == {"Actions": ["New check"]}
    assert lines(editor, acme, "no such thing") == {}


def test_viewer_is_offered_no_action_and_a_stranger_nothing(client: Client, acme: Tenant, globex: Tenant) -> None:
    client.force_login(make_member(acme, "vera@acme.example", Role.VIEWER))

    assert "Actions" not in lines(client, acme, "")
    assert "API keys" not in lines(client, acme, "")["Pages"]
    assert client.get(f"/t/{globex.slug}/jump/").status_code == 404
