"""A check, its turn, its state, its flips and its results.

What changes with every result stands in tables of its own: `Turn` (indexed by time) and `CheckState` (nothing volatile is
indexed, so PostgreSQL updates it in place), while `Check` holds what people edit.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import State, Verdict
from apps.core import clock
from apps.core.postgres.schema import PartitionKey
from apps.core.tenancy import (
    TenantForeignKey,
    TenantIdField,
    TenantKey,
    TenantManager,
    TenantOneToOneField,
    UnscopedManager,
)
from apps.tenants.models import TenantModel

MIN_INTERVAL_SECONDS = 10
MAX_INTERVAL_SECONDS = 86_400


class RealField(models.FloatField[Any, Any]):
    """Single precision: four bytes are plenty for milliseconds."""

    def db_type(self, connection: Any) -> str:
        return "real"


class Check(TenantModel):
    """Something that is watched."""

    name = models.CharField(_("name"), max_length=150)
    kind = models.CharField(_("kind"), max_length=40)
    config = models.JSONField(help_text=_("The kind's settings, without secrets."))
    secrets = models.TextField(blank=True, help_text=_("The kind's secret settings, sealed."))
    target = models.CharField(_("target"), max_length=2_000, help_text=_("What people see of the address."))
    version = models.PositiveIntegerField(
        default=1, help_text=_("Grows with every change; probers keep settings by it.")
    )
    interval_seconds = models.PositiveIntegerField(
        _("interval"),
        default=60,
        validators=[MinValueValidator(MIN_INTERVAL_SECONDS), MaxValueValidator(MAX_INTERVAL_SECONDS)],
    )
    timeout_seconds = models.PositiveIntegerField(
        _("timeout"), default=10, validators=[MinValueValidator(1), MaxValueValidator(60)]
    )
    retries = models.PositiveIntegerField(_("retries"), default=1, validators=[MaxValueValidator(10)])
    retry_interval_seconds = models.PositiveIntegerField(
        _("retry interval"), default=5, validators=[MinValueValidator(1), MaxValueValidator(3_600)]
    )
    degraded_ms = models.PositiveIntegerField(
        _("degraded above"), null=True, blank=True, validators=[MaxValueValidator(60_000)]
    )
    tags: ArrayField[Any, Any] = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    updated_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("check")
        verbose_name_plural = _("checks")
        indexes = [
            models.Index(fields=["tenant", "name"], name="checks_check_by_name"),  # the list, sorted
            GinIndex(fields=["tags"], name="checks_check_tags"),  # the list's tag filter
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def live_id(self) -> str:
        """What live updates call this check."""
        return f"check:{self.id}"


class PerCheck(models.Model):
    """A narrow row that lives beside its check, keyed by it."""

    watched = TenantOneToOneField(
        Check, on_delete=models.CASCADE, primary_key=True, db_column="check_id", related_name="%(class)s"
    )
    tenant = TenantKey("tenants.Tenant", on_delete=models.CASCADE, related_name="+", db_index=False)

    objects = TenantManager[Any]()
    unscoped = UnscopedManager[Any]()

    class Meta:
        abstract = True
        base_manager_name = "objects"


class Turn(PerCheck):
    """When the check is to be probed next. ``due_at`` names the turn; ``claimable_at`` is later than it while a prober
    holds the lease, and empty while the check is paused."""

    due_at = models.DateTimeField()
    claimable_at = models.DateTimeField(null=True)

    class Meta(PerCheck.Meta):
        indexes = [
            models.Index(fields=["claimable_at"], name="checks_turn_claimable", condition=Q(claimable_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.pk} at {self.due_at}"


class CheckState(PerCheck):
    """What the check is now, and since when."""

    state = models.CharField(max_length=10, choices=State.choices, default=State.UNKNOWN)
    since_at = models.DateTimeField(default=clock.now)
    failures = models.PositiveIntegerField(default=0, help_text=_("Failed results in a row."))
    failing_since_at = models.DateTimeField(null=True)
    last_result_at = models.DateTimeField(null=True)
    last_ms = RealField(null=True)
    last_error = models.CharField(max_length=40, blank=True)

    class Meta(PerCheck.Meta):
        pass

    def __str__(self) -> str:
        return self.state


class Flip(TenantModel):
    """A change of state: the fact that everything else reacts to."""

    watched = TenantForeignKey(
        Check, on_delete=models.CASCADE, db_column="check_id", related_name="flips", db_index=False
    )
    at = models.DateTimeField(help_text=_("When it became true: for an outage the first failed result."))
    before = models.CharField(max_length=10, choices=State.choices)
    after = models.CharField(max_length=10, choices=State.choices)
    error_code = models.CharField(max_length=40, blank=True)
    error_values = models.JSONField(default=dict)
    noticed_at = models.DateTimeField(default=clock.now)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["watched", "id"], name="checks_flip_of_check")]  # a check's history, in order

    def __str__(self) -> str:
        return f"{self.before} → {self.after}"


class Result(models.Model):
    """What one turn saw. Partitioned by day; no foreign key to the check, which would be asked once per result: a deleted
    check's results go with their partitions."""

    pk = models.CompositePrimaryKey("check_id", "due_at")
    tenant_id = TenantIdField()
    check_id = models.UUIDField()
    due_at = PartitionKey()
    started_at = models.DateTimeField()
    verdict = models.SmallIntegerField(choices=Verdict.choices)
    status_code = models.SmallIntegerField(null=True)
    dns_ms = RealField(null=True)
    connect_ms = RealField(null=True)
    tls_ms = RealField(null=True)
    first_byte_ms = RealField(null=True)
    transfer_ms = RealField(null=True)
    total_ms = RealField(null=True)
    body_bytes = models.IntegerField(null=True)
    remote_ip = models.GenericIPAddressField(null=True)
    error_code = models.CharField(max_length=40, blank=True)
    error_values = models.JSONField(null=True)

    objects = TenantManager["Result"]()
    unscoped = UnscopedManager["Result"]()

    class Meta:
        base_manager_name = "objects"

    def __str__(self) -> str:
        return f"{self.check_id} at {self.due_at}"
