"""Dependencies through pages and the API."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain.dependencies import set_parents
from apps.checks.enums import State
from apps.checks.models import Check, CheckState, Dependency
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.api import make_api
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def pair(acme: Tenant) -> tuple[Check, Check]:
    """A router that is down, and a server that is down too."""
    with tenant_scope(acme.id):
        return make_check("Router", state=State.DOWN), make_check("Server", state=State.DOWN)


def address(tenant: Tenant, name: str, *args: object) -> str:
    return reverse(f"checks:{name}", args=[tenant.slug, *args])


def links(tenant: Tenant) -> list[tuple[str, str]]:
    with tenant_scope(tenant.id):
        return list(Dependency.objects.values_list("child__name", "parent__name"))


def test_chosen_parents_are_kept_and_marked(signed_in: Client, acme: Tenant, pair: tuple[Check, Check]) -> None:
    router, server = pair

    answer = signed_in.post(address(acme, "dependencies", server.id), {"parents": [str(router.id)]})

    assert (answer.status_code, links(acme)) == (302, [("Server", "Router")])
    assert "because of Router" in signed_in.get(address(acme, "list")).content.decode()
    assert "Because of Router" in signed_in.get(address(acme, "detail", server.id)).content.decode()
    assert "Needed by" in signed_in.get(address(acme, "detail", router.id)).content.decode()


def test_circle_is_refused_beside_the_field(signed_in: Client, acme: Tenant, pair: tuple[Check, Check]) -> None:
    router, server = pair
    with tenant_scope(acme.id):
        set_parents(server, [router])

    answer = signed_in.post(address(acme, "dependencies", router.id), {"parents": [str(server.id)]})

    assert answer.status_code == 422
    assert answer.context["form"].errors["parents"] == ["This would go round in a circle: Router → Server → Router."]
    assert links(acme) == [("Server", "Router")]


def test_flapping_is_marked(signed_in: Client, acme: Tenant, pair: tuple[Check, Check]) -> None:
    with tenant_scope(acme.id):
        before = signed_in.get(address(acme, "list")).content.decode()
        CheckState.objects.filter(watched=pair[0]).update(is_flapping=True)

    assert "Flapping" not in before
    assert "Flapping" in signed_in.get(address(acme, "list")).content.decode()
    assert "Flapping" in signed_in.get(address(acme, "detail", pair[0].id)).content.decode()


def test_api_reads_and_replaces(acme: Tenant, pair: tuple[Check, Check]) -> None:
    router, server = pair
    api = make_api(acme)
    path = "/api/v1/checks/{}/dependencies/"

    kept = api.request("put", path.format(server.id), {"depends_on": [str(router.id)]})
    seen = api.get(path.format(router.id))
    circle = api.request("put", path.format(router.id), {"depends_on": [str(server.id)]})
    emptied = api.request("put", path.format(server.id), {"depends_on": []})

    assert (kept.status_code, kept.json()) == (200, {"depends_on": [str(router.id)], "needed_by": []})
    assert seen.json() == {"depends_on": [], "needed_by": [str(server.id)]}
    assert (circle.status_code, list(circle.json()["errors"]), emptied.json()["depends_on"]) == (
        409,
        ["depends_on"],
        [],
    )


def test_strangers_check_is_no_parent(acme: Tenant, globex: Tenant, pair: tuple[Check, Check]) -> None:
    with tenant_scope(globex.id):
        theirs = make_check("Theirs")

    answer = make_api(acme).request(
        "put", f"/api/v1/checks/{pair[0].id}/dependencies/", {"depends_on": [str(theirs.id)]}
    )

    assert (answer.status_code, links(acme)) == (400, [])
