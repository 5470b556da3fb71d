"""Approving what was observed, from the first look to the next drift."""

import asyncio
import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain.baselines import (
    NothingObserved,
    ObservedAnew,
    approve_baseline,
    latest_observation,
    takes_baseline,
)
from apps.checks.domain.results import store_results
from apps.checks.domain.settings import config_of, keep_config
from apps.checks.enums import Verdict
from apps.checks.forms import CheckForm
from apps.checks.models import Check, Result, Turn
from apps.checks.types.base import Outcome
from apps.checks.types.drift import DriftCheck, DriftConfig
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.tenants.enums import Role
from apps.tenants.models import Tenant
from tests.checks.engine.probing import probe_all
from tests.factories import make_member
from tests.factories.api import make_api
from tests.factories.checks import drift_form, make_check, make_result
from tests.peers.web import answer, serving

pytestmark = pytest.mark.django_db
CONFIG = DriftConfig(url="https://example.com/", watched_headers=["Server"], headers={"X-Key": "a-secret-value"})


def make_drift(config: DriftConfig = CONFIG) -> Check:
    check = make_check(kind="drift", config={}, target="")
    keep_config(check, config)
    check.save()
    return check


def observe(check: Check, observed: dict[str, Any] | None, *changes: str, verdict: Verdict = Verdict.UNKNOWN) -> None:
    details = {"observed": observed, "changes": list(changes)} if observed else None
    code = {Verdict.UNKNOWN: "drift_no_baseline", Verdict.FAILURE: "drift"}.get(verdict, "")
    store_results([make_result(check, verdict, details=details, error_code=code)])


def test_approving_makes_what_was_observed_the_baseline(in_acme: Tenant) -> None:
    check = make_drift()
    observed = {"of": CONFIG.aspects, "headers": {"server": "nginx"}}
    observe(check, observed)

    approve_baseline(check)

    stored = Check.objects.get(id=check.id)
    config = config_of(stored)
    assert isinstance(config, DriftConfig)
    assert config.approved == observed
    assert config.headers == {"X-Key": "a-secret-value"}
    assert stored.version == check.version + 1
    assert Turn.objects.get(watched=check).due_at <= clock.now()


def test_nothing_to_approve(in_acme: Tenant) -> None:
    new, good, approved, other_kind = make_drift(), make_drift(), make_drift(), make_check()
    observe(good, None, verdict=Verdict.SUCCESS)
    observe(approved, {"of": CONFIG.aspects})
    approve_baseline(approved)
    store_results([make_result(other_kind, details={"observed": {"of": "x"}}, error_code="drift")])

    for check in (new, good, approved, other_kind):
        with pytest.raises(NothingObserved):
            approve_baseline(check)

    assert [takes_baseline(check) for check in (new, other_kind)] == [True, False]


def test_failure_between_two_looks_hides_nothing(in_acme: Tenant) -> None:
    check = make_drift()
    observe(check, {"of": CONFIG.aspects, "body": "7"}, "body: 6 → 7", verdict=Verdict.FAILURE)
    observe(check, None, verdict=Verdict.FAILURE)

    observation = latest_observation(check)

    assert observation is not None
    assert observation.changes == ["body: 6 → 7"]


def test_good_look_after_a_drift_leaves_nothing_to_approve(in_acme: Tenant) -> None:
    check = make_drift()
    observe(check, {"of": CONFIG.aspects}, "body: 6 → 7", verdict=Verdict.FAILURE)
    observe(check, None, verdict=Verdict.SUCCESS)

    assert latest_observation(check) is None


def test_what_changed_since_it_was_seen_is_not_approved(in_acme: Tenant) -> None:
    check = make_drift()
    observe(check, {"of": CONFIG.aspects, "body": "7"})
    seen = latest_observation(check)
    observe(check, {"of": CONFIG.aspects, "body": "8"})
    assert seen is not None

    with pytest.raises(ObservedAnew):
        approve_baseline(check, mark=seen.mark)

    assert config_of(Check.objects.get(id=check.id)) == CONFIG


def test_edit_form_neither_shows_nor_loses_the_baseline(in_acme: Tenant) -> None:
    check = make_drift()
    observe(check, {"of": CONFIG.aspects})
    check = approve_baseline(check)
    sent = {**drift_form(CONFIG.url), "config-watched_headers": "Server", "config-verify_tls": "on"}

    form = CheckForm(sent, kind=DriftCheck(), stored=config_of(check), check=check)

    assert form.is_valid(), form.errors
    assert "config-baseline" not in form.fields
    assert form.parsed_config == config_of(check)


def test_page_shows_what_was_observed_and_approves_it(client: Client, owner: User, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_drift()
        observe(check, {"of": CONFIG.aspects, "headers": {"server": "<b>new</b>"}}, "server: old → <b>new</b>")
        mark = latest_observation(check).mark  # type: ignore[union-attr]
    client.force_login(owner)
    page = reverse("checks:detail", args=[acme.slug, check.id])

    before = client.get(page).content.decode()
    approved = client.post(reverse("checks:approve_baseline", args=[acme.slug, check.id]), {"mark": mark}, follow=True)

    assert "<li>server: old → &lt;b&gt;new&lt;/b&gt;</li>" in before
    assert f'value="{mark}"' in before
    assert [str(message) for message in approved.context["messages"]] == ["Approved. The next check compares with it."]
    with tenant_scope(acme.id):
        assert json.loads(config_of(Check.objects.get(id=check.id)).baseline)["headers"] == {  # type: ignore[attr-defined]
            "server": "<b>new</b>"
        }


def test_viewer_sees_but_does_not_approve(client: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_drift()
        observe(check, {"of": CONFIG.aspects})
    client.force_login(make_member(acme, "viewer@acme.example", Role.VIEWER))

    page = client.get(reverse("checks:detail", args=[acme.slug, check.id])).content.decode()
    refused = client.post(reverse("checks:approve_baseline", args=[acme.slug, check.id]))

    assert "Nothing has been approved yet" in page
    assert "Approve as baseline" not in page
    assert refused.status_code == 403


def test_stranger_approves_nothing(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_drift()
        observe(check, {"of": CONFIG.aspects})

    refused = make_api(globex, Role.OWNER).post(f"/api/v1/checks/{check.id}/approve-baseline/", {})

    assert refused.status_code == 404
    with tenant_scope(acme.id):
        assert Check.objects.get(id=check.id).version == 1


def test_approving_over_the_api(acme: Tenant) -> None:
    api = make_api(acme, Role.EDITOR)
    with tenant_scope(acme.id):
        check = make_drift()
        observe(check, {"of": CONFIG.aspects, "headers": {"server": "nginx"}})

    approved = api.post(f"/api/v1/checks/{check.id}/approve-baseline/", {})
    again = api.post(f"/api/v1/checks/{check.id}/approve-baseline/", {})

    assert approved.status_code == 200
    assert json.loads(approved.json()["config"]["baseline"])["headers"] == {"server": "nginx"}
    assert again.status_code == 409


def look(config: Any) -> Outcome:
    from apps.checks.engine.job import ProbeJob

    return asyncio.run(probe_all([ProbeJob("one", "drift", config, 5, True)]))["one"]


def test_whole_way_with_a_real_server(in_acme: Tenant) -> None:
    """First look, approval, all well, drift, approval, all well."""
    says = {"server": "nginx"}

    def handler(connection: Any, _request: bytes) -> None:
        connection.sendall(answer(200, b"", Server=says["server"]))

    def verdict_now(check: Check) -> tuple[Verdict, str]:
        outcome = look(config_of(Check.objects.get(id=check.id)))
        result = make_result(
            check, outcome.verdict, error_code=outcome.error_code, details=dict(outcome.details) or None
        )
        store_results([result])
        return outcome.verdict, outcome.error_code

    with serving(handler) as web:
        check = make_drift(DriftConfig(url=web.url(), watched_headers=["Server"]))
        seen = [verdict_now(check)]
        approve_baseline(check)
        seen.append(verdict_now(check))
        says["server"] = "apache"
        seen.append(verdict_now(check))
        approve_baseline(check)
        seen.append(verdict_now(check))

    assert seen == [
        (Verdict.UNKNOWN, "drift_no_baseline"),
        (Verdict.SUCCESS, ""),
        (Verdict.FAILURE, "drift"),
        (Verdict.SUCCESS, ""),
    ]
    assert Result.objects.filter(check_id=check.id).count() == 4
