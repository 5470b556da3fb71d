"""Which plan a tenant has: the installation's default until the operator gives one; each change is kept for good."""

from datetime import timedelta

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.core.tenancy import CrossTenantWrite, NoTenantScope, tenant_scope
from apps.plans.catalogue import PLANS, BadOverride
from apps.plans.domain.limits import room
from apps.plans.domain.plans import UnknownPlan, entitlements_of, plan_changes, set_plan, standing_of
from apps.plans.models import PlanChange, TenantPlan
from apps.tenants.models import Tenant
from tests.factories.plans import give_plan

pytestmark = pytest.mark.django_db


def test_tenant_without_a_plan_has_the_installations_default(in_acme: Tenant, settings) -> None:
    before = entitlements_of(in_acme.id)

    settings.DEFAULT_PLAN = "free"

    assert before == PLANS["unlimited"].entitlements
    assert entitlements_of(in_acme.id) == PLANS["free"].entitlements
    assert standing_of(in_acme.id).since_at is None


def test_plan_with_a_deal_is_that_tenants_alone(acme: Tenant, globex: Tenant) -> None:
    give_plan(acme, "team", checks=250)

    with tenant_scope(acme.id):
        ours = standing_of(acme.id)
    with tenant_scope(globex.id):
        theirs = standing_of(globex.id)
    assert (ours.plan.code, ours.entitlements.checks, ours.entitlements.min_interval_seconds) == ("team", 250, 30)
    assert (theirs.plan.code, theirs.entitlements.checks) == ("unlimited", None)


def test_strangers_plan_can_be_neither_read_nor_set(acme: Tenant, globex: Tenant) -> None:
    give_plan(globex, "team")

    with tenant_scope(acme.id):
        with pytest.raises(CrossTenantWrite):
            standing_of(globex.id)
        with pytest.raises(CrossTenantWrite), transaction.atomic():
            set_plan(globex.id, code="free", changed_by="someone")
        assert TenantPlan.objects.count() == 0
    with pytest.raises(NoTenantScope):
        standing_of(globex.id)
    with tenant_scope(globex.id):
        assert standing_of(globex.id).plan.code == "team"


@pytest.mark.django_db(transaction=True)
def test_plan_is_read_once_a_transaction(in_acme: Tenant) -> None:
    give_plan(in_acme, "team")

    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        found = [entitlements_of(in_acme.id).checks for _ in range(3)]

    assert found == [100, 100, 100]
    assert sum("plans_tenantplan" in query["sql"] for query in captured) == 1


def test_plan_that_was_rolled_back_is_not_remembered(in_acme: Tenant) -> None:
    give_plan(in_acme, "team")
    with transaction.atomic():
        give_plan(in_acme, "free")
        meanwhile = entitlements_of(in_acme.id).checks
        transaction.set_rollback(True)

    assert (meanwhile, entitlements_of(in_acme.id).checks) == (20, 100)


def test_since_is_when_the_plan_began_not_when_its_deal_changed(in_acme: Tenant, monkeypatch) -> None:
    began = give_plan(in_acme, "team").since_at
    monkeypatch.setattr(clock, "now", lambda: began + timedelta(days=30))  # type: ignore[operator]

    dealt = give_plan(in_acme, "team", checks=101)
    moved = give_plan(in_acme, "business")

    assert dealt.since_at == began
    assert moved.since_at == began + timedelta(days=30)  # type: ignore[operator]


def test_every_change_is_kept_with_who_made_it(in_acme: Tenant) -> None:
    set_plan(in_acme.id, code="free", changed_by="op@obsera.example", note="Trial ended")
    set_plan(in_acme.id, code="team", overrides={"checks": 7}, changed_by="op2@obsera.example")
    set_plan(in_acme.id, code="", changed_by="op@obsera.example")

    kept = [
        (one.changed_by, one.plan_before, one.overrides_before, one.plan_after, one.overrides_after, one.note)
        for one in plan_changes()
    ]
    assert kept == [
        ("op@obsera.example", "team", {"checks": 7}, "", {}, ""),
        ("op2@obsera.example", "free", {}, "team", {"checks": 7}, ""),
        ("op@obsera.example", "", {}, "free", {}, "Trial ended"),
    ]
    assert (standing_of(in_acme.id).plan.code, TenantPlan.objects.count()) == ("unlimited", 0)


@pytest.mark.parametrize("statement", ["UPDATE plans_planchange SET note = 'x'", "DELETE FROM plans_planchange"])
def test_history_can_be_neither_changed_nor_deleted(statement: str, in_acme: Tenant) -> None:
    give_plan(in_acme, "free")

    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert PlanChange.objects.count() == 1


def test_plan_that_does_not_exist_and_deal_that_cannot_be_change_nothing(in_acme: Tenant) -> None:
    with pytest.raises(UnknownPlan):
        set_plan(in_acme.id, code="gold", changed_by="op@obsera.example")
    with pytest.raises(BadOverride):
        set_plan(in_acme.id, code="team", overrides={"checks": -1}, changed_by="op@obsera.example")

    assert (TenantPlan.objects.count(), PlanChange.objects.count()) == (0, 0)


def test_row_that_nobody_can_read_falls_back_and_is_told(in_acme: Tenant, settings, caplog) -> None:
    settings.DEFAULT_PLAN = "free"
    TenantPlan.objects.create(tenant_id=in_acme.id, plan="retired", overrides={"checks": "many"})

    found = standing_of(in_acme.id)

    assert (found.plan.code, found.entitlements) == ("free", PLANS["free"].entitlements)
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]


def test_room_is_what_is_left_and_none_without_a_limit(in_acme: Tenant) -> None:
    unlimited = room("checks")
    give_plan(in_acme, "free", checks=3)

    assert (unlimited, room("checks")) == (None, 3)
