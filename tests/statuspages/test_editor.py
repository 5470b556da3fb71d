"""Making and changing pages on screen."""

from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.accounts.models import User
from apps.core.tenancy import tenant_scope
from apps.statuspages.domain.components import add_component
from apps.statuspages.domain.pages import create_page
from apps.statuspages.models import Component, StatusPage
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.factories import make_member
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db
SETTINGS = {"title": "Acme Cloud", "slug": "acme-cloud", "description": "", "support_url": "", "theme": "dark"}


@pytest.fixture
def here(acme: Tenant) -> StatusPage:
    """A page with three components: A, B, C."""
    with tenant_scope(acme.id):
        page = create_page(title="Acme", slug="acme")
        for name in "ABC":
            add_component(page, make_check(name))
    return page


@pytest.fixture
def editor(client: Client, acme: Tenant) -> Client:
    client.force_login(make_member(acme, "ed@acme.example", Role.EDITOR))
    return client


def address(name: str, *args: object, slug: str = "acme") -> str:
    return reverse(f"statuspages:{name}", args=[slug, *args])


def names(page: StatusPage) -> list[tuple[int, str]]:
    with tenant_scope(page.tenant_id):
        return list(Component.objects.filter(page=page).order_by("position").values_list("position", "name"))


def component(page: StatusPage, name: str) -> Component:
    with tenant_scope(page.tenant_id):
        found: Component = Component.objects.get(page=page, name=name)
        return found


def test_create_a_page(editor: Client, acme: Tenant) -> None:
    response = editor.post(address("create"), SETTINGS | {"is_published": "on"})

    with tenant_scope(acme.id):
        page = StatusPage.objects.get(slug="acme-cloud")
    assert response.url == address("edit", page.id)
    assert (page.title, page.theme, page.is_published, page.shows_uptime) == ("Acme Cloud", "dark", True, False)


def test_new_page_proposes_a_free_address(editor: Client, here: StatusPage) -> None:
    assert 'value="acme-2"' in editor.get(address("create")).content.decode()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("slug", "Not Good", "Use lower-case letters"),
        ("slug", "", "This field is required."),
        ("slug", "theirs", "This address is taken; choose another."),
        ("title", "x" * 101, "at most 100 characters"),
        ("support_url", "javascript:alert(1)", "Enter a valid URL."),
        ("support_url", "ftp://acme.example", "Enter a valid URL."),
        ("theme", "pink", "Select a valid choice."),
        ("title", "a\x00b", "Null characters are not allowed."),
    ],
)
def test_bad_settings_are_named(
    editor: Client, globex: Tenant, here: StatusPage, field: str, value: str, message: str
) -> None:
    with tenant_scope(globex.id):
        create_page(title="Theirs", slug="theirs")

    created = editor.post(address("create"), SETTINGS | {field: value})
    changed = editor.post(address("edit", here.id), SETTINGS | {field: value})

    assert (created.status_code, changed.status_code) == (422, 422)
    assert message in created.content.decode()
    assert message in changed.content.decode()
    with tenant_scope(here.tenant_id):
        assert list(StatusPage.objects.values_list("title", "slug")) == [("Acme", "acme")]


def test_change_a_page(editor: Client, here: StatusPage) -> None:
    editor.post(address("edit", here.id), SETTINGS | {"support_url": "acme.example/help", "shows_uptime": "on"})

    with tenant_scope(here.tenant_id):
        page = StatusPage.objects.get(id=here.id)
    assert (page.title, page.slug, page.support_url) == ("Acme Cloud", "acme-cloud", "https://acme.example/help")
    assert (page.is_published, page.shows_uptime, page.version) == (False, True, here.version + 4)


def test_delete_a_page(editor: Client, here: StatusPage) -> None:
    response = editor.post(address("delete", here.id))

    assert response.url == address("list")
    assert names(here) == []
    assert editor.get(reverse("statuspages:public", args=["acme"])).status_code == 404


def test_add_a_component_under_its_own_name(editor: Client, here: StatusPage) -> None:
    with tenant_scope(here.tenant_id):
        check = make_check("internal-api-7")

    response = editor.post(address("component_add", here.id), {"check": check.id, "name": "Public API"})

    assert response.url == address("edit", here.id)
    assert names(here) == [(0, "A"), (1, "B"), (2, "C"), (3, "Public API")]


def test_strangers_check_cannot_be_shown(editor: Client, here: StatusPage, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        check = make_check("theirs")
    with tenant_scope(here.tenant_id):
        make_check("still to choose")

    response = editor.post(address("component_add", here.id), {"check": check.id})

    assert response.status_code == 422
    assert "Select a valid choice." in response.content.decode()
    assert names(here) == [(0, "A"), (1, "B"), (2, "C")]


def test_check_is_offered_only_once(editor: Client, here: StatusPage) -> None:
    shown = component(here, "A").watched_id

    response = editor.post(address("component_add", here.id), {"check": shown})

    assert response.status_code == 422


def test_crowded_page_says_so(editor: Client, here: StatusPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.statuspages.domain.components.MAX_COMPONENTS", 3)
    with tenant_scope(here.tenant_id):
        check = make_check("one too many")

    response = editor.post(address("component_add", here.id), {"check": check.id})

    assert response.status_code == 422
    assert "A page shows at most 100 components." in response.content.decode()
    assert names(here) == [(0, "A"), (1, "B"), (2, "C")]


def test_nameless_component_is_refused(editor: Client, here: StatusPage) -> None:
    response = editor.post(address("component_edit", here.id, component(here, "A").id), {"name": ""})

    assert (response.status_code, names(here)[0]) == (422, (0, "A"))


@pytest.mark.parametrize(
    ("name", "steps", "order"),
    [
        ("A", "1", "BAC"),
        ("C", "-1", "ACB"),
        ("A", "-1", "ABC"),
        ("C", "1", "ABC"),
        ("A", "99", "BCA"),
        ("A", "x", "ABC"),
        ("A", "", "ABC"),
        ("A", "²", "ABC"),
    ],
)
def test_move_a_component(editor: Client, here: StatusPage, name: str, steps: str, order: str) -> None:
    editor.post(address("component_move", here.id, component(here, name).id), {"steps": steps})

    assert names(here) == list(enumerate(order))


def test_remove_a_component(editor: Client, here: StatusPage) -> None:
    editor.post(address("component_remove", here.id, component(here, "A").id))

    assert names(here) == [(0, "B"), (1, "C")]


def test_rename_a_component(editor: Client, here: StatusPage) -> None:
    changed = {"name": "Website", "description": "www", "group": "Core"}

    response = editor.post(address("component_edit", here.id, component(here, "A").id), changed)

    renamed = component(here, "Website")
    assert response.url == address("edit", here.id)
    assert (renamed.description, renamed.group, renamed.position) == ("www", "Core", 0)


def test_htmx_gets_the_list_back(editor: Client, here: StatusPage) -> None:
    where = address("component_move", here.id, component(here, "A").id)

    response = editor.post(where, {"steps": "1"}, headers={"hx-request": "true"})

    text = response.content.decode()
    assert response.status_code == 200
    assert text.index("Move B up") < text.index("Move A up") < text.index("Move C up")


def test_component_of_another_page_is_not_here(editor: Client, here: StatusPage) -> None:
    with tenant_scope(here.tenant_id):
        other = create_page(title="Other", slug="other")

    for name in ("component_move", "component_remove", "component_edit"):
        assert editor.post(address(name, other.id, component(here, "A").id), {"steps": "1"}).status_code == 404


READS = ("list",)
WRITES = ("create", "edit", "delete", "component_add", "component_edit", "component_move", "component_remove")


def arguments(page: StatusPage, name: str) -> tuple[object, ...]:
    if name in ("list", "create"):
        return ()
    return (page.id, component(page, "A").id) if name in WRITES[4:] else (page.id,)


@pytest.mark.parametrize("name", READS + WRITES)
def test_strangers_find_nothing(client: Client, here: StatusPage, globex: Tenant, name: str) -> None:
    client.force_login(User.objects.get(email="gustav@globex.example"))
    method = client.get if name in READS else client.post

    in_their_tenant = method(address(name, *arguments(here, name))).status_code
    in_own_tenant = method(address(name, *arguments(here, name), slug="globex"), {"title": ""}).status_code

    assert in_their_tenant == 404
    assert in_own_tenant == (404 if arguments(here, name) else 200 if name in READS else 422)
    assert names(here) == [(0, "A"), (1, "B"), (2, "C")]


@pytest.mark.parametrize("name", WRITES)
def test_viewers_change_nothing(client: Client, acme: Tenant, here: StatusPage, name: str) -> None:
    client.force_login(make_member(acme, "vera@acme.example", Role.VIEWER))

    assert client.post(address(name, *arguments(here, name))).status_code == 403


def test_viewers_see_the_list_without_ways_to_change_it(client: Client, acme: Tenant, here: StatusPage) -> None:
    client.force_login(make_member(acme, "vera@acme.example", Role.VIEWER))

    text = client.get(address("list")).content.decode()

    assert "/status/acme/" in text
    assert address("create") not in text
    assert address("edit", here.id) not in text


@pytest.mark.parametrize("name", ["edit", "component_edit"])
def test_unknown_ids_are_404(editor: Client, here: StatusPage, name: str) -> None:
    ids = (uuid4(),) if name == "edit" else (here.id, uuid4())

    assert editor.get(address(name, *ids)).status_code == 404


def test_list_and_editor_ask_the_same_for_one_and_three(editor: Client, acme: Tenant, here: StatusPage) -> None:
    with tenant_scope(acme.id):
        Component.objects.exclude(name="A").delete()
    editor.get(address("list"))
    counts = []
    for _round in range(2):
        with CaptureQueriesContext(connection) as listed:
            editor.get(address("list"))
        with CaptureQueriesContext(connection) as edited:
            editor.get(address("edit", here.id))
        counts.append((len(listed), len(edited)))
        if len(counts) == 1:
            with tenant_scope(acme.id):
                _add_two(here)

    assert counts[0] == counts[1]


def _add_two(page: StatusPage) -> None:
    for number in range(2):
        create_page(title=f"More {number}", slug=f"more-{number}")
        add_component(page, make_check(f"more {number}"))
