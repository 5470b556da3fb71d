"""When a check is probed from a region, and what was seen from there. Changes with every result."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import Verdict
from apps.checks.models.check import Check
from apps.checks.models.fields import RealField
from apps.checks.models.region import Region
from apps.core.tenancy import TenantForeignKey, TenantKey, TenantManager, UnscopedManager


class Turn(models.Model):
    """When the check is to be probed next from a region, and how it stands there.

    ``due_at`` names the turn; ``claimable_at`` is later than it while a prober holds the lease, and empty while the check
    is paused. The standing lies here since every result writes this row anyway.
    """

    pk = models.CompositePrimaryKey("watched_id", "region_id")
    watched = TenantForeignKey(
        Check, on_delete=models.CASCADE, db_column="check_id", related_name="turns", db_index=False
    )
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="+", db_index=False)
    tenant = TenantKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)
    due_at = models.DateTimeField()
    claimable_at = models.DateTimeField(null=True)
    opinion = models.SmallIntegerField(
        choices=Verdict.choices, null=True, help_text=_("What this region says after retries; empty: nothing.")
    )
    failures = models.PositiveIntegerField(default=0, help_text=_("Failed results in a row."))
    successes = models.PositiveIntegerField(default=0, help_text=_("Results in a row that were not failures."))
    last_verdict = models.SmallIntegerField(choices=Verdict.choices, null=True)
    run_since_at = models.DateTimeField(null=True, help_text=_("Since when results have been like the last one."))
    last_result_at = models.DateTimeField(null=True)
    last_ms = RealField(null=True)
    last_error = models.CharField(max_length=40, blank=True)
    last_error_values = models.JSONField(null=True)
    # For learning how often results fail by chance: results while it was well, and the failures among them.
    measured = models.PositiveIntegerField(default=0)
    forgiven = models.PositiveIntegerField(default=0)
    # And what came of its runs of failures (`apps.checks.domain.patience.History`); empty until the first one is over.
    runs: ArrayField[Any, Any] = ArrayField(models.IntegerField(), null=True)

    objects = TenantManager["Turn"]()
    unscoped = UnscopedManager["Turn"]()

    class Meta:
        base_manager_name = "objects"
        indexes = [
            # claiming: what is due in a region, the most overdue first
            models.Index(
                fields=["region", "claimable_at"], name="checks_turn_due", condition=Q(claimable_at__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return f"{self.watched_id} from {self.region_id} at {self.due_at}"
