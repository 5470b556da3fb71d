"""Results: what each turn saw."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.checks.enums import Verdict
from apps.checks.models.fields import RealField
from apps.checks.models.region import MAIN_REGION
from apps.core.postgres.schema import PartitionKey
from apps.core.tenancy import TenantIdField, TenantManager, UnscopedManager


class Result(models.Model):
    """What one turn saw. Partitioned by day; no foreign key to the check, which would be asked once per result: a deleted
    check's results go with their partitions."""

    pk = models.CompositePrimaryKey("check_id", "due_at", "region_id")
    tenant_id = TenantIdField()
    check_id = models.UUIDField()
    due_at = PartitionKey()
    region_id = models.SmallIntegerField(default=MAIN_REGION, db_default=MAIN_REGION)
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
    details = models.JSONField(null=True, help_text=_("What the kind saw besides; see the kind's facts."))

    objects = TenantManager["Result"]()
    unscoped = UnscopedManager["Result"]()

    class Meta:
        base_manager_name = "objects"

    def __str__(self) -> str:
        return f"{self.check_id} at {self.due_at}"
