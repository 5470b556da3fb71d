"""Who changes one thing of a check leaves alone what somebody else changes of it at the same moment: two real transactions."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain.applying import apply_document, export_checks
from apps.checks.domain.baselines import approve_baseline
from apps.checks.domain.checks import change_check, create_check, delete_check, rename_check
from apps.checks.domain.document_keys import KeyTaken
from apps.checks.domain.document_steps import Action
from apps.checks.domain.pacing import hold_turns
from apps.checks.domain.results import store_results
from apps.checks.domain.settings import config_of, keep_config
from apps.checks.enums import Verdict
from apps.checks.models import MAIN_REGION, Check, Region
from apps.checks.types.drift import DriftConfig
from apps.checks.types.group import GroupConfig
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.api import make_api
from tests.factories.checks import drift_form, make_check, make_result
from tests.rivals import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_baseline_approved_while_a_document_is_applied_stays(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check, observed = unapproved_drift()
        document = export_checks()
    entry = document["checks"][0]
    entry["tags"] = ["shop"]

    with meanwhile(tenant_scope(acme.id), lambda: approve_baseline(check)), tenant_scope(acme.id):
        apply_document(document)

    with tenant_scope(acme.id):
        stored = Check.objects.get()
        assert json.loads(config_of(stored).baseline) == observed  # type: ignore[attr-defined]
        assert stored.tags == ["shop"]


def test_what_becomes_different_while_a_document_waits_is_left_for_its_next_run(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        mine, other = make_check("Mine"), make_check("Other")
        document = export_checks()
    document["checks"][0]["tags"] = ["shop"]

    def edit_the_other() -> None:
        hold_turns([mine.id])
        change_check(other.id, tags=["theirs"])

    with meanwhile(tenant_scope(acme.id), edit_the_other), tenant_scope(acme.id):
        plan = apply_document(document)

    with tenant_scope(acme.id):
        again = apply_document(document)
    assert [step.action for step in plan.checks] == [Action.UPDATE, Action.UNCHANGED]
    assert [step.action for step in again.checks] == [Action.UNCHANGED, Action.UPDATE]


def test_a_key_that_another_check_is_given_while_a_document_waits_is_taken(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        make_check("Mine")
        other = make_check("Other")
        document = export_checks()
    document["checks"] = document["checks"][:1]  # as it is, but for its key

    rival = meanwhile(tenant_scope(acme.id), lambda: change_check(other.id, key="mine"))
    with rival, tenant_scope(acme.id), pytest.raises(KeyTaken):
        apply_document(document)

    with tenant_scope(acme.id):
        assert dict(Check.objects.values_list("name", "key")) == {"Mine": "", "Other": "mine"}


def patched_meanwhile(tenant: Tenant, check: Check, rival: Callable[[], object], sent: dict[str, Any]) -> Any:
    """Return the answer to a PATCH that comes while the rival has written and is not done."""
    api = make_api(tenant)
    with meanwhile(tenant_scope(tenant.id), rival):
        return api.patch(f"/api/v1/checks/{check.id}/", sent)


def unapproved_drift() -> tuple[Check, dict[str, Any]]:
    """Return a check that has observed something, and what; call it inside a scope."""
    check = make_check(kind="drift", config={}, target="")
    keep_config(check, DriftConfig(url="https://shop.example/", watched_headers=["Server"]))
    check.save()
    observed = {"of": "what was watched", "headers": {"server": "nginx"}}
    store_results([make_result(check, Verdict.UNKNOWN, details={"observed": observed})])
    return check, observed


@pytest.mark.parametrize("sent", [{"tags": ["shop"]}, {"config": {"watched_headers": ["Server", "Via"]}}])
def test_a_baseline_approved_meanwhile_stays(acme: Tenant, sent: dict[str, Any]) -> None:
    with tenant_scope(acme.id):
        check, observed = unapproved_drift()

    answer = patched_meanwhile(acme, check, lambda: approve_baseline(check), sent)

    assert answer.status_code == 200, answer.json()
    with tenant_scope(acme.id):
        stored = Check.objects.get()
        assert json.loads(config_of(stored).baseline) == observed  # type: ignore[attr-defined]
        assert stored.version == 3


def test_the_form_changes_what_it_shows_alone(client: Client, owner: User, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check, observed = unapproved_drift()
    client.force_login(owner)
    sent = {
        **drift_form("https://shop.example/"),
        "config-watched_headers": "Server\nVia",
        "config-headers": "",
    }

    def approve_and_give_a_secret() -> None:
        approve_baseline(check)
        change_check(check.id, config={"headers": {"X-Key": "a-secret-value"}})

    with meanwhile(tenant_scope(acme.id), approve_and_give_a_secret):
        answer = client.post(reverse("checks:edit", args=[acme.slug, check.id]), sent)

    assert answer.status_code == 302
    with tenant_scope(acme.id):
        config: Any = config_of(Check.objects.get())
        assert config.watched_headers == ["Server", "Via"]
        assert (json.loads(config.baseline), config.headers) == (observed, {"X-Key": "a-secret-value"})


def test_a_name_given_meanwhile_stays_in_the_groups_that_have_it(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check("one")
        create_check(name="Both", kind="group", config=GroupConfig(members=["one"]))

    answer = patched_meanwhile(acme, check, lambda: rename_check(check, name="first"), {"tags": ["shop"]})

    assert (answer.status_code, answer.json()["name"], answer.json()["tags"]) == (200, "first", ["shop"])
    with tenant_scope(acme.id):
        assert config_of(Check.objects.get(kind="group")).members == ["first"]  # type: ignore[attr-defined]


def test_what_comes_of_both_is_judged_as_a_whole(acme: Tenant) -> None:
    Region.objects.filter(code="eu").update(seen_at=clock.now())
    with tenant_scope(acme.id):
        check = make_check("Shop", regions=[MAIN_REGION, Region.objects.get(code="eu").id])

    def leave_a_region() -> None:
        change_check(check.id, timing={"regions": (MAIN_REGION,)})

    answer = patched_meanwhile(acme, check, leave_a_region, {"confirmations": 2})

    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        {"confirmations": ["There are fewer regions than that."]},
    )
    with tenant_scope(acme.id):
        assert Check.objects.get().regions == [MAIN_REGION]


def test_a_check_deleted_meanwhile_is_not_there(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check("Shop")

    answer = patched_meanwhile(acme, check, lambda: delete_check(check), {"tags": ["shop"]})

    assert answer.status_code == 404
    with tenant_scope(acme.id):
        assert not Check.objects.exists()
