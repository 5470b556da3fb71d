"""Rows that must be worked off: events on their way to handlers, and what recurs."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.core import clock
from apps.core.ids import uuid7
from apps.core.tenancy import TenantIdField, TenantManager, UnscopedManager


class OutboxRow(models.Model):
    """One event on its way to one handler: own retries, own error. Deleted once handled."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    tenant_id = TenantIdField()
    event = models.CharField(max_length=100)
    handler = models.CharField(max_length=200)
    payload = models.JSONField()
    created_at = models.DateTimeField(default=clock.now)
    claimable_at = models.DateTimeField(default=clock.now, help_text=_("Not before this; moved ahead while leased."))
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    is_parked = models.BooleanField(default=False, help_text=_("Failed too often; an operator must look."))

    objects = TenantManager["OutboxRow"]()
    unscoped = UnscopedManager["OutboxRow"]()

    class Meta:
        base_manager_name = "objects"
        indexes = [
            # serves the claim: who waits, and what of a tenant may be worked on now, oldest first
            models.Index(
                fields=["tenant_id", "claimable_at"], name="events_outbox_of_tenant", condition=Q(is_parked=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} → {self.handler}"


class ScheduledJob(models.Model):
    """When a recurring job is due next; `config.schedule_table` says what it does. Any number of schedulers may claim it."""

    name = models.CharField(primary_key=True, max_length=100)
    due_at = models.DateTimeField(default=clock.now)
    last_started_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
