"""What the page of one check says first, and what its form opens."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from apps.accounts.models import User
from apps.checks.domain.dependencies import set_parents
from apps.checks.domain.findings import findings_of
from apps.checks.domain.results import store_results
from apps.checks.domain.settings import config_of, keep_config, type_of
from apps.checks.enums import State, Verdict
from apps.checks.forms import CheckForm
from apps.checks.models import Check
from apps.checks.types.drift import DriftCheck
from apps.checks.types.http import HttpConfig
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result

pytestmark = pytest.mark.django_db


def now_part(client: Client, owner: User, tenant: Tenant, check: Check) -> str:
    client.force_login(owner)
    html = client.get(reverse("checks:detail", args=[tenant.slug, check.id])).content.decode()
    return html.partition('id="check-now"')[2].partition("</section>")[0]


@pytest.mark.parametrize("state", [State.NEW, State.UNKNOWN])
def test_what_could_not_be_measured_says_why(client: Client, owner: User, acme: Tenant, state: State) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=state)
        result = make_result(check, Verdict.UNKNOWN, error_code="browser_off")
    store_results([result])

    shown = now_part(client, owner, acme, check)

    assert "callout state-warning" in shown
    assert "false alarm" not in shown


def test_new_drift_is_told_to_be_approved(client: Client, owner: User, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=State.NEW, kind="drift", config={"url": "https://shop.example/"})
        result = make_result(check, Verdict.UNKNOWN, error_code="drift_no_baseline")
    store_results([result])

    reason, _mend = DriftCheck.messages["drift_no_baseline"]
    assert str(escape(reason)) in now_part(client, owner, acme, check)


@pytest.mark.parametrize("state", [State.UP, State.PAUSED, State.MAINTENANCE])
def test_what_is_well_or_held_gives_no_reasons(client: Client, owner: User, acme: Tenant, state: State) -> None:
    with tenant_scope(acme.id):
        check = make_check(state=state, retries=5)
        result = make_result(check, Verdict.FAILURE)
    store_results([result])

    assert "callout" not in now_part(client, owner, acme, check)


def test_whose_fault_it_is_stands_beside_the_state(client: Client, owner: User, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        router, server = make_check("Router", state=State.DOWN), make_check("Server", state=State.DOWN)
        set_parents(server, [router])

    assert "because of Router" in now_part(client, owner, acme, server)
    assert "because of" not in now_part(client, owner, acme, router)


def test_observation_of_a_drift_is_left_to_its_own_part() -> None:
    found = findings_of(DriftCheck(), {"observed": {"of": "1f", "shape": {"a": "number"}}, "changes": ["a: gone"]})

    assert [(str(fact.label), list(fact.values)) for fact in found.facts] == [("Changes", ["a: gone"])]


def test_form_opens_what_the_check_says_something_in(acme: Tenant) -> None:
    with tenant_scope(acme.id):
        check = make_check(retries=3)
        keep_config(check, HttpConfig(url="https://shop.example/", json_rules=["$.status == UP"]))
        form = CheckForm(kind=type_of(check), check=check, stored=config_of(check))
        folded = {str(group.title): group.is_folded for group in form.groups}

    assert folded == {
        "What to watch": False,
        "Request": True,
        "Sign-in and cookies": True,
        "What the answer must be": False,
        "Redirects and connection": True,
        "Patience": False,
        "Regions": True,
    }
