"""Which plan a tenant has, what that allows, and changing it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.postgres.memory import forget, read_once
from apps.core.refusals import Refusal
from apps.core.tenancy import checked_tenant_id
from apps.plans.catalogue import PLANS, BadOverride, Entitlements, Plan, with_overrides
from apps.plans.domain.locks import lock_plan, plan_key
from apps.plans.models import PlanChange, TenantPlan

logger = logging.getLogger(__name__)


class UnknownPlan(Refusal):
    """No plan has that code."""

    message = _("There is no such plan.")


@dataclass(frozen=True, slots=True)
class Standing:
    """A tenant's plan with its own deal. ``since_at`` is None for the installation's default, which nobody chose."""

    plan: Plan
    overrides: Mapping[str, Any]
    entitlements: Entitlements
    since_at: datetime | None = None


def standing_of(tenant_id: UUID) -> Standing:
    """Return the plan of the open tenant: one query a transaction, however often it is asked."""
    row = _row(checked_tenant_id(tenant_id))
    return _read(row.plan, row.overrides, row.since_at) if row else _read(settings.DEFAULT_PLAN, {}, None)


def entitlements_of(tenant_id: UUID) -> Entitlements:
    """Return what the open tenant may have."""
    return standing_of(tenant_id).entitlements


def standing_of_row(row: TenantPlan | None) -> Standing:
    """Return what a row says, for who has read many at once; None stands for a tenant without one."""
    return _read(row.plan, row.overrides, row.since_at) if row else _read(settings.DEFAULT_PLAN, {}, None)


def _row(tenant_id: UUID) -> TenantPlan | None:
    return read_once(plan_key(tenant_id), lambda: TenantPlan.objects.filter(tenant_id=tenant_id).first())


def _read(code: str, overrides: Mapping[str, Any], since_at: datetime | None) -> Standing:
    plan = PLANS.get(code)
    if plan is None:  # written by a newer release, or taken out of the catalogue although somebody had it
        logger.error("there is no plan %r; its tenant has %r until then", code, settings.DEFAULT_PLAN)
        plan = PLANS[settings.DEFAULT_PLAN]
    try:
        entitlements = with_overrides(plan.entitlements, overrides)
    except BadOverride as error:
        logger.error("the override %r of a %r plan cannot be: %s", error.name, code, error)  # noqa: TRY400 - no fault to trace
        entitlements = plan.entitlements
    return Standing(plan, dict(overrides), entitlements, since_at)


@transaction.atomic
def set_plan(
    tenant_id: UUID, *, code: str, overrides: Mapping[str, Any] | None = None, changed_by: str, note: str = ""
) -> Standing:
    """Give the open tenant a plan, with its own deal laid over it, and keep who did so. An empty ``code`` takes it back to
    the installation's default. What the tenant has beyond the new plan stays as it is.

    Raises `UnknownPlan`, and `BadOverride` for a deal that cannot be.
    """
    given = dict(overrides or {})
    if code not in PLANS and code:
        raise UnknownPlan
    with_overrides(PLANS[code or settings.DEFAULT_PLAN].entitlements, given)
    lock_plan(tenant_id)  # rivals: somebody using up what is left, another operator
    before = TenantPlan.objects.filter(tenant_id=tenant_id).first()
    _keep(tenant_id, code, given, before)
    forget(plan_key(tenant_id))
    PlanChange.objects.create(
        tenant_id=tenant_id,
        changed_by=changed_by,
        note=note,
        plan_before=before.plan if before else "",
        overrides_before=before.overrides if before else {},
        plan_after=code,
        overrides_after=given if code else {},
    )
    return standing_of(tenant_id)


def _keep(tenant_id: UUID, code: str, overrides: Mapping[str, Any], before: TenantPlan | None) -> None:
    if not code:
        TenantPlan.objects.filter(tenant_id=tenant_id).delete()
        return
    since_at = before.since_at if before and before.plan == code else clock.now()
    TenantPlan.objects.update_or_create(
        tenant_id=tenant_id, defaults={"plan": code, "overrides": overrides, "since_at": since_at}
    )


def note_in_history(tenant_id: UUID, *, changed_by: str, note: str) -> None:
    """Keep for good that something was done to bring the open tenant within its plan, which itself stays."""
    row = _row(checked_tenant_id(tenant_id))
    code, overrides = (row.plan, row.overrides) if row else ("", {})
    PlanChange.objects.create(
        tenant_id=tenant_id,
        changed_by=changed_by,
        note=note,
        plan_before=code,
        overrides_before=overrides,
        plan_after=code,
        overrides_after=overrides,
    )


def plan_changes(limit: int = 20) -> list[PlanChange]:
    """Return the latest changes of the open tenant's plan, the newest first."""
    return list(PlanChange.objects.order_by("-at", "-id")[:limit])
