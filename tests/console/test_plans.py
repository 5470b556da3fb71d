"""The operator's pages about organisations and their plans."""

import pytest
from django.test import Client

from apps.checks.enums import State
from apps.checks.models import Check, Region
from apps.core.tenancy import tenant_scope
from apps.plans.catalogue import PLANS
from apps.plans.domain.plans import plan_changes, standing_of
from apps.tenants.models import Tenant
from tests.factories import make_tenant, make_user
from tests.factories.checks import make_check
from tests.factories.plans import give_plan
from tests.queries import queries_of

pytestmark = pytest.mark.django_db
EMPTY = {f"limit-{name}": "" for name in ("checks", "agents", "min_interval_seconds", "regions_per_check")}


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user("op@obsera.example", is_staff=True))
    return client


def standing(tenant: Tenant) -> tuple[str, dict[str, object]]:
    with tenant_scope(tenant.id):
        found = standing_of(tenant.id)
        return found.plan.code, dict(found.overrides)


def test_operator_sees_every_organisation_with_its_plan_and_use(operator: Client, acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(acme.id):
        make_check("one"), make_check("two"), make_check("both", kind="group")
    give_plan(acme, "free", checks=1)

    page = operator.get("/staff/tenants/")

    assert [
        (one.tenant.slug, one.standing.plan.code, one.checks, one.agents, one.is_over)
        for one in page.context["customers"]
    ] == [("acme", "free", 2, 0, True), ("globex", "unlimited", 0, 0, False)]


def test_organisations_are_found_by_name_or_address(operator: Client, acme: Tenant, globex: Tenant) -> None:
    def found(text: str) -> list[str]:
        return [one.tenant.slug for one in operator.get("/staff/tenants/", {"q": text}).context["customers"]]

    assert (found("ACM"), found("globex"), found("nobody")) == (["acme"], ["globex"], [])


def test_list_takes_the_same_queries_however_many_organisations_there_are(operator: Client, acme: Tenant) -> None:
    few = queries_of(lambda: operator.get("/staff/tenants/"))
    for number in range(3):
        make_tenant(f"Tenant {number}", make_user(f"owner{number}@x.example"))

    assert queries_of(lambda: operator.get("/staff/tenants/")) == few


def test_operator_gives_a_plan_with_a_deal_and_it_is_kept_who_did(operator: Client, acme: Tenant) -> None:
    answer = operator.post(
        "/staff/tenants/acme/",
        {
            **EMPTY,
            "plan": "team",
            "limit-checks": "250",
            "limit-agents": "*",
            "limit-has_browser_checks": "no",
            "note": "Offer 17",
        },
    )

    assert (answer.status_code, answer.headers["Location"]) == (302, "/staff/tenants/acme/")
    assert standing(acme) == ("team", {"checks": 250, "agents": None, "has_browser_checks": False})
    with tenant_scope(acme.id):
        (kept,) = plan_changes()
    assert (kept.changed_by, kept.note, kept.plan_before, kept.plan_after) == (
        "op@obsera.example",
        "Offer 17",
        "",
        "team",
    )


def test_form_shows_the_deal_as_it_is_and_keeps_it(operator: Client, acme: Tenant) -> None:
    give_plan(acme, "team", checks=250, agents=None, has_browser_checks=False)

    form = operator.get("/staff/tenants/acme/").context["form"]
    again = {name: form[name].value() or "" for name in form.fields}
    operator.post("/staff/tenants/acme/", again)

    assert again == {
        **EMPTY,
        "plan": "team",
        "limit-checks": 250,
        "limit-agents": "*",
        "limit-has_browser_checks": "no",
        "note": "",
    }
    assert standing(acme) == ("team", {"checks": 250, "agents": None, "has_browser_checks": False})


def test_empty_choice_takes_a_tenant_back_to_the_default(operator: Client, acme: Tenant, settings) -> None:
    settings.DEFAULT_PLAN = "free"
    give_plan(acme, "team", checks=250)

    operator.post("/staff/tenants/acme/", {**EMPTY, "plan": ""})

    assert standing(acme) == ("free", {})


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"plan": "gold"}, "plan"),
        ({"plan": "", "limit-checks": "5"}, "plan"),
        ({"plan": "team", "limit-checks": "many"}, "limit-checks"),
        ({"plan": "team", "limit-checks": "-1"}, "limit-checks"),
        ({"plan": "team", "limit-min_interval_seconds": "5"}, "limit-min_interval_seconds"),
        ({"plan": "team", "limit-min_interval_seconds": "*"}, "limit-min_interval_seconds"),
        ({"plan": "team", "limit-regions_per_check": "21"}, "limit-regions_per_check"),
        ({"plan": "team", "limit-has_browser_checks": "perhaps"}, "limit-has_browser_checks"),
    ],
)
def test_what_cannot_be_is_named_and_changes_nothing(
    given: dict[str, str], field: str, operator: Client, acme: Tenant
) -> None:
    answer = operator.post("/staff/tenants/acme/", {**EMPTY, **given})

    assert (answer.status_code, list(answer.context["form"].errors)) == (422, [field])
    assert standing(acme) == ("unlimited", {})
    with tenant_scope(acme.id):
        assert plan_changes() == []


@pytest.fixture
def shrunk(acme: Tenant) -> Tenant:
    """Four running checks, oldest first: too fast, from two regions, a journey, and the newest; and one that rests. The plan
    allows two, every five minutes, from one region."""
    eu = Region.objects.get(code="eu").id
    with tenant_scope(acme.id):
        make_check("fast", interval_seconds=10)
        make_check("wide", interval_seconds=600, regions=[1, eu], confirmations=2)
        make_check("journey", kind="browser", interval_seconds=600, config={"steps": ["goto https://shop.example/"]})
        make_check("newest", interval_seconds=10)
        make_check("rests", interval_seconds=10, state=State.PAUSED)
        make_check("all", kind="group", config={"tag": "shop"}, interval_seconds=60)
    give_plan(acme, "free", checks=2)
    return acme


def as_they_stand(tenant: Tenant) -> dict[str, tuple[bool, int, int, int]]:
    with tenant_scope(tenant.id):
        return {
            check.name: (
                check.checkstate.state == State.PAUSED,
                check.interval_seconds,
                len(check.regions),
                check.confirmations,
            )
            for check in Check.objects.select_related("checkstate")
        }


def test_operator_sees_what_runs_beyond_the_plan_before_anything_changes(operator: Client, shrunk: Tenant) -> None:
    before = as_they_stand(shrunk)

    beyond = operator.get("/staff/tenants/acme/").context["beyond"]

    assert [check.name for check in beyond.slowed] == ["wide", "fast"]
    assert [check.name for check in beyond.paused] == ["journey", "newest"]
    assert as_they_stand(shrunk) == before


def test_operator_brings_checks_within_the_plan_once_and_it_is_kept(operator: Client, shrunk: Tenant) -> None:
    for _time in range(2):
        operator.post("/staff/tenants/acme/", {"fit": "1"})

    assert as_they_stand(shrunk) == {
        "fast": (False, 300, 1, 1),
        "wide": (False, 600, 1, 1),
        "journey": (True, 600, 1, 1),
        "newest": (True, 10, 1, 1),
        "rests": (True, 10, 1, 1),
        "all": (False, 60, 1, 1),
    }
    page = operator.get("/staff/tenants/acme/")
    assert not page.context["beyond"]
    assert "Running beyond the plan" not in page.content.decode()
    assert [(one.note, one.changed_by, one.plan_after) for one in page.context["changes"]][:-1] == [
        ("Brought within the plan: 2 slowed down, 2 paused.", "op@obsera.example", "free")
    ]


def test_checks_within_the_plan_leave_nothing_to_do(operator: Client, acme: Tenant) -> None:
    with tenant_scope(acme.id):
        make_check("fine", interval_seconds=10)

    operator.post("/staff/tenants/acme/", {"fit": "1"})

    assert as_they_stand(acme) == {"fine": (False, 10, 1, 1)}
    with tenant_scope(acme.id):
        assert plan_changes() == []


def test_owner_of_a_tenant_cannot_give_it_a_plan(client: Client, acme: Tenant, owner) -> None:
    client.force_login(owner)

    answers = [client.get("/staff/tenants/"), client.post("/staff/tenants/acme/", {**EMPTY, "plan": "business"})]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert standing(acme) == ("unlimited", {})


def test_organisation_that_does_not_exist_is_not_found(operator: Client) -> None:
    assert operator.get("/staff/tenants/nobody/").status_code == 404


def test_every_plan_can_be_chosen(operator: Client, acme: Tenant) -> None:
    choices = operator.get("/staff/tenants/acme/").context["form"].fields["plan"].choices

    assert [code for code, _label in choices] == ["", *PLANS]
    assert str(choices[0][1]) == "The installation's default (Unlimited)"
