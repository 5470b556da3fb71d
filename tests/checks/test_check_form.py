"""The form that makes and changes a check: the choice of a kind, what it asks for, refuses and never shows again."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.checks.domain.settings import config_of
from apps.checks.enums import State
from apps.checks.forms import CheckForm
from apps.checks.models import Check, CheckState, Turn
from apps.checks.types.http import HttpCheck
from apps.checks.types.registry import CHECK_TYPES
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_views import page, signed_in
from tests.factories.checks import make_check

pytestmark = pytest.mark.django_db
__all__ = ["signed_in"]
FORM = {
    "name": "Shop",
    "interval_seconds": "30",
    "timeout_seconds": "5",
    "retries": "2",
    "retry_interval_seconds": "3",
    "degraded_ms": "",
    "tags": "web, EU, web",
    "config-url": "https://shop.example/health",
    "config-method": "GET",
    "config-headers": "Authorization: Bearer s3cret-token-of-shop",
    "config-expected_status": "200-299",
    "config-verify_tls": "on",
    "config-follow_redirects": "on",
    "config-http_version": "auto",
}


def new_http_check(tenant: Tenant) -> str:
    return reverse("checks:create", args=[tenant.slug]) + "?kind=http"


@pytest.mark.parametrize("query", ["", "?kind=", "?kind=telepathy"])
def test_new_check_begins_with_the_choice_of_a_kind(signed_in: Client, acme: Tenant, query: str) -> None:
    response = signed_in.get(reverse("checks:create", args=[acme.slug]) + query)

    offered = [kind.kind for entry in response.context["groups"] for kind in entry.kinds]
    assert sorted(offered) == sorted(CHECK_TYPES.kinds())
    assert all(f'href="?kind={kind}"' in response.content.decode() for kind in offered)


def test_unprobed_kind_is_asked_for_no_interval_and_keeps_what_it_has(acme: Tenant) -> None:
    class Unprobed(HttpCheck):
        is_probed = False

    with tenant_scope(acme.id):
        check = make_check(retries=3)
        sent = {"name": "Backup", "tags": "", "config-url": "https://shop.example/", "config-http_version": "auto"}
        form = CheckForm({**FORM, **sent}, kind=Unprobed(), check=check, stored=config_of(check))

        assert form.is_valid(), form.errors
        assert [str(group.title) for group in form.groups] == [
            "What to watch",
            "Request",
            "Sign-in and cookies",
            "What the answer must be",
            "Redirects and connection",
        ]
        assert form.timing() == {}


def test_created_check_is_due_at_once_and_keeps_its_secret_sealed(signed_in: Client, acme: Tenant) -> None:
    response = signed_in.post(new_http_check(acme), FORM)

    with tenant_scope(acme.id):
        check = Check.objects.get()
        assert response.headers["Location"] == reverse("checks:detail", args=[acme.slug, check.id])
        assert (check.interval_seconds, check.retries, check.tags, check.degraded_ms) == (30, 2, ["web", "eu"], None)
        assert config_of(check).headers == {"Authorization": "Bearer s3cret-token-of-shop"}
        assert "s3cret" not in f"{check.config}{check.secrets}{check.target}"
        assert Turn.objects.get().claimable_at <= Turn.objects.get().due_at
        assert CheckState.objects.get().state == State.NEW


def test_secret_is_never_shown_again_and_stays_when_left_empty(signed_in: Client, acme: Tenant) -> None:
    signed_in.post(new_http_check(acme), FORM)
    with tenant_scope(acme.id):
        check = Check.objects.get()

    shown = page(signed_in, acme, "edit", check.id)
    response = signed_in.post(
        reverse("checks:edit", args=[acme.slug, check.id]), {**FORM, "name": "Shop EU", "config-headers": ""}
    )

    assert "s3cret" not in shown
    assert response.status_code == 302
    with tenant_scope(acme.id):
        check = Check.objects.get()
        assert (check.name, check.version) == ("Shop EU", 2)
        assert config_of(check).headers == {"Authorization": "Bearer s3cret-token-of-shop"}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("config-url", "not a url", "config-url"),
        ("config-url", "ftp://shop.example/", "config-url"),
        ("config-expected_status", "2oo", "config-expected_status"),
        ("config-headers", "no colon here", "config-headers"),
        ("interval_seconds", "9", "interval_seconds"),
        ("timeout_seconds", "61", "timeout_seconds"),
        ("retries", "-1", "retries"),
        ("name", "", "name"),
        ("tags", ",".join(f"t{n}" for n in range(21)), "tags"),
    ],
)
def test_wrong_field_is_named_and_nothing_is_made(
    signed_in: Client, acme: Tenant, field: str, value: str, message: str
) -> None:
    response = signed_in.post(new_http_check(acme), {**FORM, field: value})

    assert response.status_code == 422
    assert list(response.context["form"].errors) == [message]
    with tenant_scope(acme.id):
        assert Check.objects.count() == 0


def test_kind_that_is_not_run_here_says_so(signed_in: Client, acme: Tenant, settings: Any) -> None:
    address = reverse("checks:create", args=[acme.slug])
    words = "Not switched on in this installation"

    settings.BROWSER_CHECKS = False
    off = [
        signed_in.get(address + query).content.decode().count(words) for query in ("", "?kind=browser", "?kind=http")
    ]
    settings.BROWSER_CHECKS = True
    on = [signed_in.get(address + query).content.decode().count(words) for query in ("", "?kind=browser")]

    assert (off, on) == ([1, 1, 0], [0, 0])
