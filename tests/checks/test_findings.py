"""What a result saw, on the check's page."""

from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.checks.domain.findings import findings_of
from apps.checks.domain.results import store_results
from apps.checks.enums import State, Verdict
from apps.checks.models import Region
from apps.checks.types.base import Fact
from apps.checks.types.http import HttpCheck
from apps.core.tenancy import tenant_scope
from apps.tenants.models import Tenant
from tests.factories.checks import make_check, make_result

pytestmark = pytest.mark.django_db


class Knowing(HttpCheck):
    facts = {
        "days": Fact("Days left", "days"),
        "until": Fact("Valid until"),
        "names": Fact("Names"),
        "is_secure": Fact("Secure"),
        "banner": Fact("Greeting"),
        "steps": Fact("Steps"),
    }


def test_facts_come_in_the_kinds_order_with_their_units() -> None:
    details = {"is_secure": True, "names": ["a.example", "b.example"], "until": "2026-12-01T00:00:00+00:00", "days": 9}

    found = findings_of(Knowing(), {**details, "banner": "", "unlisted": "x"})

    assert [(fact.label, list(fact.values), fact.unit, fact.at) for fact in found.facts] == [
        ("Days left", ["9"], "days", None),
        ("Valid until", [], "", datetime(2026, 12, 1, tzinfo=UTC)),
        ("Names", ["a.example", "b.example"], "", None),
        ("Secure", ["Yes"], "", None),
    ]


@pytest.mark.parametrize("details", [None, {}, {"steps": "none"}, {"conditions": [1]}])
def test_nothing_seen_is_nothing_shown(details: dict[str, object] | None) -> None:
    assert not findings_of(Knowing(), details)


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


def test_page_marks_conditions_and_lists_steps(signed_in: Client, acme: Tenant) -> None:
    seen = {
        "conditions": [{"text": "[STATUS] == 200", "ok": True}, {"text": "[BODY].a (1) > <2>", "ok": False}],
        "steps": [{"name": "sign in", "ok": True, "ms": 12.3, "status": 200}, {"name": "buy", "ok": False}],
    }
    with tenant_scope(acme.id):
        check = make_check(state=State.UP)
        result = make_result(check, Verdict.FAILURE, details=seen)
    store_results([result])

    html = signed_in.get(reverse("checks:detail", args=[acme.slug, check.id])).content.decode()

    panel = html.partition('id="check-findings"')[2].partition("</section>")[0]
    marks = panel.count('aria-label="Holds"'), panel.count('aria-label="Does not hold"')
    assert (marks, "[BODY].a (1) &gt; &lt;2&gt;" in panel, "12 ms" in panel) == ((1, 1), True, True)


def test_several_regions_have_a_table_and_a_line_each(signed_in: Client, acme: Tenant) -> None:
    far = Region.objects.create(code="far-away", name="Far away")
    with tenant_scope(acme.id):
        check = make_check(state=State.UP, regions=[1, far.id])
        results = [make_result(check, region_id=1, total_ms=10.0), make_result(check, region_id=far.id, total_ms=90.0)]
    for result in results:
        store_results([result])

    html = signed_in.get(reverse("checks:detail", args=[acme.slug, check.id])).content.decode()
    drawn = signed_in.get(reverse("checks:chart", args=[acme.slug, check.id])).json()

    panel = html.partition('id="check-regions"')[2].partition("</section>")[0]
    assert ("Far away" in panel, "90 ms" in panel, "10 ms" in panel) == (True, True, True)
    measured = {line["name"]: [value for value in line["values"] if value is not None] for line in drawn["series"]}
    assert (drawn["kind"], drawn["stacked"]) == ("line", False)
    assert sorted(measured.values()) == [[10.0], [90.0]]
    assert measured["Far away"] == [90.0]
