"""Outages and what happened during them."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.checks.models import Check, Flip
from apps.core import clock
from apps.core.tenancy import TenantForeignKey, TenantOneToOneField
from apps.incidents.enums import EntryKind, Severity
from apps.tenants.models import TenantModel

MAX_NOTE_LENGTH = 5_000


class Outage(TenantModel):
    """A time in which a check was not well. Opened by one flip, ended by a later one that says it is well again, or that
    nobody watches any more. Losing sight of it, or maintenance, ends nothing: it may go on behind the curtain."""

    watched = TenantForeignKey(
        Check, on_delete=models.CASCADE, db_column="check_id", related_name="outages", db_index=False
    )
    severity = models.CharField(max_length=10, choices=Severity.choices, help_text=_("The worst it has been."))
    latest_severity = models.CharField(
        max_length=10, choices=Severity.choices, help_text=_("What it was when it was last seen.")
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    opened_by = TenantOneToOneField(Flip, on_delete=models.CASCADE, related_name="opened_outage")
    last_flip = TenantForeignKey(
        Flip, on_delete=models.CASCADE, related_name="+", help_text=_("The last flip accounted for.")
    )
    error_code = models.CharField(max_length=40, blank=True)
    error_values = models.JSONField(default=dict)

    class Meta(TenantModel.Meta):
        verbose_name = _("outage")
        verbose_name_plural = _("outages")
        indexes = [
            models.Index(fields=["watched", "-started_at"], name="incidents_outage_of_check"),  # a check's outages
            # the list, open first (DESC puts nulls first), and the count of open ones
            models.Index(fields=["tenant", "-ended_at", "-started_at"], name="incidents_outage_list"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["watched"], condition=Q(ended_at=None), name="incidents_outage_one_open"),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=models.F("started_at")), name="incidents_outage_ends_later"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.severity} since {self.started_at}"

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    @property
    def state(self) -> str:
        return "open" if self.is_open else "resolved"

    @property
    def lasted_seconds(self) -> int | None:
        return int((self.ended_at - self.started_at).total_seconds()) if self.ended_at else None

    @property
    def severity_now(self) -> Severity | None:
        """What it is at the moment, or was when it was last seen: an outage that was down may be degraded by now."""
        return Severity(self.latest_severity) if self.is_open else None


class OutageEntry(TenantModel):
    """A line of an outage's timeline. Higher apps add what they did about it, in words that stand here."""

    outage = TenantForeignKey(Outage, on_delete=models.CASCADE, related_name="entries", db_index=False)
    at = models.DateTimeField(default=clock.now)
    kind = models.CharField(max_length=20, choices=EntryKind.choices)
    text = models.TextField(blank=True, max_length=MAX_NOTE_LENGTH)
    values = models.JSONField(default=dict, help_text=_("What the line's sentence names: a rule, channels."))
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["outage", "at"], name="incidents_entry_of_outage")]

    def __str__(self) -> str:
        return self.kind
