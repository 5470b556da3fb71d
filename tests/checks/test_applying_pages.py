"""Documents and imports through the pages: shown before they happen, done once they are confirmed."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.core.documents import read_document
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_applying import YAML, Program, names
from tests.checks.test_importing import KUMA
from tests.factories.checks import make_check
from tests.factories.plans import give_plan

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def test_page_shows_the_import_before_it_happens(signed_in: Client, acme: Tenant) -> None:
    address = reverse("checks:import", args=[acme.slug, "uptime_kuma"])
    backup = SimpleUploadedFile("backup.json", json.dumps(KUMA).encode())

    shown = signed_in.post(address, {"upload": backup})
    before = names(acme)
    preview = shown.context["preview"]
    done = signed_in.post(address, {"sealed": preview.sealed})

    assert (shown.status_code, before) == (200, [])
    assert "Nothing here is like its type “steam”." in shown.content.decode()
    assert "https://shop.example/" in shown.content.decode()
    assert [(step.action.value, step.key) for step in preview.plan.steps] == [("create", "kuma-1")]
    assert done.headers["Location"] == reverse("checks:list", args=[acme.slug])
    assert names(acme) == ["Shop"]


def test_page_says_what_comes_paused(signed_in: Client, acme: Tenant) -> None:
    monitors = [{**KUMA["monitorList"][0], "id": 1, "active": 1}, {**KUMA["monitorList"][0], "id": 2, "active": 0}]
    backup = SimpleUploadedFile("backup.json", json.dumps({**KUMA, "monitorList": monitors}).encode())

    shown = signed_in.post(reverse("checks:import", args=[acme.slug, "uptime_kuma"]), {"upload": backup})

    assert [step.comes_paused for step in shown.context["preview"].plan.steps] == [False, True]
    assert shown.content.decode().count("Created, paused") == 1


def test_page_reads_several_files_of_an_export_together(signed_in: Client, acme: Tenant) -> None:
    checks = [
        {"id": number, "name": name, "hostname": "a.example", "type": "http"} for number, name in ((1, "A"), (2, "B"))
    ]
    files = [SimpleUploadedFile("check.json", json.dumps({"check": check}).encode()) for check in checks]

    shown = signed_in.post(reverse("checks:import", args=[acme.slug, "pingdom"]), {"upload": files})

    assert [step.name for step in shown.context["preview"].plan.steps] == ["A", "B"]


def test_page_asks_for_several_files_only_where_they_are_read(signed_in: Client, acme: Tenant) -> None:
    addresses = [reverse("checks:import", args=[acme.slug, "gatus"]), reverse("checks:configuration", args=[acme.slug])]

    inputs = [signed_in.get(address).context["form"]["upload"].as_widget() for address in addresses]

    assert ["multiple" in text for text in inputs] == [True, False]


def test_page_applies_a_pasted_document(signed_in: Client, acme: Tenant) -> None:
    address = reverse("checks:configuration", args=[acme.slug])

    shown = signed_in.post(address, {"text": YAML.decode()})
    signed_in.post(address, {"sealed": shown.context["preview"].sealed})

    assert "topsecret" not in shown.content.decode().replace(YAML.decode(), "")
    assert names(acme) == ["Database", "Shop"]


def test_sealed_preview_opens_in_its_own_tenant_only(signed_in: Client, acme: Tenant, globex: Tenant) -> None:
    address = reverse("checks:configuration", args=[acme.slug])
    sealed = signed_in.post(address, {"text": YAML.decode()}).context["preview"].sealed
    with tenant_scope(globex.id):
        gustav = User.objects.get(email="gustav@globex.example")

    signed_in.force_login(gustav)
    answer = signed_in.post(reverse("checks:configuration", args=[globex.slug]), {"sealed": sealed})

    assert answer.headers["Location"] == reverse("checks:configuration", args=[globex.slug])
    assert names(globex) == []


def test_page_says_what_a_rule_forbids(signed_in: Client, acme: Tenant) -> None:
    address = reverse("checks:configuration", args=[acme.slug])
    groups = "".join(
        f"  - {{key: {one}, name: {one}, kind: group, config: {{members: [{other}]}}}}\n" for one, other in ("ab", "ba")
    )
    shown = signed_in.post(address, {"text": f"apiVersion: obsera/v1\nchecks:\n{groups}"})

    done = signed_in.post(address, {"sealed": shown.context["preview"].sealed}, follow=True)

    assert [str(message.level_tag) for message in done.context["messages"]] == ["error"]
    assert names(acme) == []


@pytest.mark.parametrize("source", ["uptime_kuma", "configuration"])
def test_page_names_the_limit_that_was_reached_since_the_preview(signed_in: Client, acme: Tenant, source: str) -> None:
    give_plan(acme, "business", checks=2)
    if source == "configuration":
        address = reverse("checks:configuration", args=[acme.slug])
        given: dict[str, Any] = {"text": YAML.decode()}
    else:
        address = reverse("checks:import", args=[acme.slug, source])
        given = {"upload": SimpleUploadedFile("backup.json", json.dumps(KUMA).encode())}
    preview = signed_in.post(address, {**given, "prune": ""}).context["preview"]
    with tenant_scope(acme.id):
        for name in ("one", "two"):
            make_check(name)

    done = signed_in.post(address, {"sealed": preview.sealed}, follow=True)

    more = preview.changes
    over = "this is one too many" if more == 1 else f"this is {more} too many"
    assert [str(message) for message in done.context["messages"]] == [
        "Nothing was done, for something changed since the preview. Checks: the plan “Business” allows 2 and 2 are in use; "
        f"{over}. Remove what you no longer need, or see “Plan and usage” in the settings for a larger plan. "
        "Give it again to see what is possible now."
    ]
    assert done.redirect_chain[-1][0] == address
    assert names(acme) == ["one", "two"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "Choose a file"),
        ({"text": "a: ["}, "not valid YAML"),
        ({"text": "apiVersion: obsera/v1\nchecks: [{name: x, kind: y}]"}, "checks[0].kind"),
        ({"text": YAML.decode(), "prune": "other"}, "managedBy"),
    ],
)
def test_page_says_what_is_wrong(signed_in: Client, acme: Tenant, given: dict[str, str], words: str) -> None:
    shown = signed_in.post(reverse("checks:configuration", args=[acme.slug]), given)

    assert shown.status_code == 422
    assert words in str(shown.context["form"].errors)
    assert names(acme) == []


def test_export_is_a_file(signed_in: Client, acme: Tenant) -> None:
    Program(acme).post("apply", YAML)

    answer = signed_in.get(reverse("checks:export", args=[acme.slug]))

    assert answer.headers["Content-Disposition"] == f'attachment; filename="{acme.slug}-checks.yaml"'
    assert [check["key"] for check in read_document(answer.content)["checks"]] == ["shop", "database"]


def test_every_source_has_its_page(signed_in: Client, acme: Tenant) -> None:
    shown = signed_in.get(reverse("checks:import_sources", args=[acme.slug]))

    for source in shown.context["sources"]:
        address = reverse("checks:import", args=[acme.slug, source.kind])
        assert address in shown.content.decode()
        assert signed_in.get(address).status_code == 200
