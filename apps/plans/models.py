"""Which tenant has which plan, and who changed it. Keyed by the bare id: tenants stand on a floor above."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.ids import uuid7
from apps.core.tenancy import TenantIdField, TenantManager, UnscopedManager


class TenantPlan(models.Model):
    """A tenant's plan; a tenant without a row has the installation's `DEFAULT_PLAN`."""

    tenant_id = TenantIdField(primary_key=True)
    plan = models.CharField(_("plan"), max_length=40)
    since_at = models.DateTimeField(default=clock.now, help_text=_("When the tenant got this plan."))
    overrides = models.JSONField(default=dict, blank=True, help_text=_("One customer's deal: limits by name."))

    objects = TenantManager["TenantPlan"]()
    unscoped = UnscopedManager["TenantPlan"]()

    class Meta:
        base_manager_name = "objects"

    def __str__(self) -> str:
        return self.plan


class PlanChange(models.Model):
    """One change of a tenant's plan, kept for good: who, when, from what to what."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_id = TenantIdField()
    at = models.DateTimeField(default=clock.now)
    changed_by = models.CharField(max_length=254, help_text=_("An address, for it outlives the person's account."))
    plan_before = models.CharField(max_length=40, blank=True, help_text=_("Empty: the installation's default."))
    overrides_before = models.JSONField(default=dict)
    plan_after = models.CharField(max_length=40, blank=True, help_text=_("Empty: the installation's default."))
    overrides_after = models.JSONField(default=dict)
    note = models.CharField(max_length=300, blank=True)

    objects = TenantManager["PlanChange"]()
    unscoped = UnscopedManager["PlanChange"]()

    class Meta:
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["tenant_id", "-at"], name="plans_change_newest"),  # a tenant's history, newest first
        ]

    def __str__(self) -> str:
        return f"{self.plan_before or '–'} → {self.plan_after or '–'}"

    @property
    def is_of_plan(self) -> bool:
        """Tell a change of the plan from a note."""
        before = (self.plan_before, self.overrides_before)
        return before != (self.plan_after, self.overrides_after)

    @property
    def words(self) -> str:
        """Return the deal as it is now, and the note."""
        deal = ", ".join(f"{name} = {'*' if value is None else value}" for name, value in self.overrides_after.items())
        return " · ".join(part for part in (deal, self.note) if part)
