"""What results come to, by hour and by day: what charts and bars read, long after the results themselves are gone."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.checks.models.fields import RealField
from apps.core.tenancy import TenantIdField, TenantManager, UnscopedManager


class Rollup(models.Model):
    """The results of one check from one region in one stretch of time that begins at ``at``.

    The histogram counts results by their time: ``buckets`` are numbers of logarithmic buckets (see
    `apps.checks.domain.percentiles`), ``bucket_counts`` what fell into each; empty ones are left out. The five phases are
    those of `Result`, in their order; each has its sum and the number of results that reached it.
    """

    tenant_id = TenantIdField()
    check_id = models.UUIDField()
    region_id = models.SmallIntegerField()
    at = models.DateTimeField()
    failed = models.IntegerField()
    good = models.IntegerField(help_text=_("Neither failed nor slow."))
    slow = models.IntegerField()
    unmeasured = models.IntegerField()
    timed = models.IntegerField(help_text=_("Results with a time."))
    sum_ms = models.FloatField()
    min_ms = RealField(null=True)
    max_ms = RealField(null=True)
    phase_sums: ArrayField[Any, Any] = ArrayField(models.FloatField())
    phase_counts: ArrayField[Any, Any] = ArrayField(models.IntegerField())
    buckets: ArrayField[Any, Any] = ArrayField(models.SmallIntegerField())
    bucket_counts: ArrayField[Any, Any] = ArrayField(models.IntegerField())

    objects = TenantManager[Any]()
    unscoped = UnscopedManager[Any]()

    class Meta:
        abstract = True
        base_manager_name = "objects"

    def __str__(self) -> str:
        return f"{self.check_id} at {self.at}"


class HourRollup(Rollup):
    """A check's hour."""

    pk = models.CompositePrimaryKey("check_id", "at", "region_id")

    class Meta(Rollup.Meta):
        indexes = [BrinIndex(fields=["at"], name="checks_hourrollup_by_time")]  # forgetting old ones


class DayRollup(Rollup):
    """A check's day in UTC."""

    pk = models.CompositePrimaryKey("check_id", "at", "region_id")

    class Meta(Rollup.Meta):
        indexes = [BrinIndex(fields=["at"], name="checks_dayrollup_by_time")]  # forgetting old ones


class RolledHour(models.Model):
    """An hour whose results are rolled up, or must be anew since late ones came: then ``rolled_at`` is empty."""

    at = models.DateTimeField(primary_key=True)
    rolled_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["at"], name="checks_rolledhour_late", condition=models.Q(rolled_at=None))]

    def __str__(self) -> str:
        return str(self.at)
