"""Rules, the alerts they make of outages, silences, and the trace of every decision."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from apps.alerting.enums import AlertState, Trigger, Verdict
from apps.checks.models import Check
from apps.core import clock
from apps.core.tenancy import TenantForeignKey
from apps.incidents.enums import Severity
from apps.incidents.models import Outage
from apps.notifications.models import Channel
from apps.tenants.models import TenantModel

DEFAULT_REPEAT_INTERVAL = timedelta(hours=4)
MIN_REPEAT_INTERVAL = timedelta(minutes=1)


def any_severity() -> list[str]:
    return list(Severity.values)


class AlertRule(TenantModel):
    """Which outages are worth a message, and to whom. Without channels of its own it writes to the default ones."""

    name = models.CharField(_("name"), max_length=100)
    is_enabled = models.BooleanField(_("switched on"), default=True)
    severities: ArrayField[Any, Any] = ArrayField(
        models.CharField(max_length=10, choices=Severity.choices), default=any_severity
    )
    tags: ArrayField[Any, Any] = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    channels = models.ManyToManyField(Channel, through="RuleChannel", related_name="+")
    notifies_on_resolve = models.BooleanField(_("say when it is over"), default=True)
    repeat_interval = models.DurationField(_("remind every"), null=True, blank=True, default=DEFAULT_REPEAT_INTERVAL)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("alert rule")
        verbose_name_plural = _("alert rules")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="alerting_rule_name_once"),
            models.CheckConstraint(condition=Q(severities__len__gt=0), name="alerting_rule_covers_something"),
            models.CheckConstraint(
                condition=Q(repeat_interval=None) | Q(repeat_interval__gte=MIN_REPEAT_INTERVAL),
                name="alerting_rule_is_patient",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RuleChannel(TenantModel):
    """A channel that a rule writes to."""

    rule = TenantForeignKey(AlertRule, on_delete=models.CASCADE, related_name="rule_channels", db_index=False)
    channel = TenantForeignKey(Channel, on_delete=models.CASCADE, related_name="+")

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["rule", "channel"], name="alerting_rule_channel_once")]

    def __str__(self) -> str:
        return f"{self.rule_id} → {self.channel_id}"


class Alert(TenantModel):
    """What a rule makes of an outage. It outlives rule, outage and check, so that whoever was told hears the end."""

    rule = TenantForeignKey(AlertRule, on_delete=models.SET_NULL, null=True, related_name="alerts")
    rule_name = models.CharField(max_length=100)
    outage = TenantForeignKey(Outage, on_delete=models.SET_NULL, null=True, related_name="alerts")
    watched = TenantForeignKey(Check, on_delete=models.SET_NULL, null=True, related_name="alerts", db_column="check_id")
    check_name = models.CharField(max_length=150)
    fingerprint = models.CharField(max_length=100)
    group_key = models.CharField(max_length=100, blank=True)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    state = models.CharField(max_length=12, choices=AlertState.choices, default=AlertState.FIRING)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    acknowledged_at = models.DateTimeField(null=True)
    last_notified_at = models.DateTimeField(null=True)
    last_notified_as: ArrayField[Any, Any] = ArrayField(
        models.CharField(max_length=10), default=list, help_text=_("What the last message called firing.")
    )
    told_flapping_at = models.DateTimeField(null=True, help_text=_("When a message said that the check flaps."))
    notice_count = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, help_text=_("When time alone may change what is to be told."))

    class Meta(TenantModel.Meta):
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        constraints = [
            # two handlers at once make one alert
            models.UniqueConstraint(fields=["tenant", "fingerprint"], name="alerting_alert_fingerprint_once"),
            models.CheckConstraint(
                condition=Q(state=AlertState.RESOLVED, ends_at__isnull=False)
                | ~Q(state=AlertState.RESOLVED) & Q(ends_at=None),
                name="alerting_alert_ends_when_resolved",
            ),
        ]
        indexes = [
            # the list, open first (DESC puts nulls first), and the count of firing ones
            models.Index(fields=["tenant", "-ends_at", "-starts_at"], name="alerting_alert_list"),
            # the sweep: what time alone may change, and what lost its outage
            models.Index(fields=["due_at"], name="alerting_alert_due", condition=~Q(state=AlertState.RESOLVED)),
        ]

    def __str__(self) -> str:
        return f"{self.check_name}: {self.severity}"

    @property
    def is_open(self) -> bool:
        return self.state != AlertState.RESOLVED


class AlertStep(TenantModel):
    """What one stage of the pipeline decided about an alert, and why: the answer to “why was I (not) told?”."""

    alert = TenantForeignKey(Alert, on_delete=models.CASCADE, related_name="steps", db_index=False)
    at = models.DateTimeField()
    trigger = models.CharField(max_length=12, choices=Trigger.choices)
    position = models.PositiveSmallIntegerField()
    stage = models.CharField(max_length=30)
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    reason = models.CharField(max_length=30)  # a `Reason`; no choices, or each better word would be a migration
    values = models.JSONField(default=dict)

    class Meta(TenantModel.Meta):
        indexes = [models.Index(fields=["alert", "at", "position"], name="alerting_step_of_alert")]

    def __str__(self) -> str:
        return f"{self.stage}: {self.reason}"


class Mismatch(TenantModel):
    """Why a rule made no alert of an outage: the trace where there is no alert to hang it on."""

    outage = TenantForeignKey(Outage, on_delete=models.CASCADE, related_name="+", db_index=False)
    rule = TenantForeignKey(AlertRule, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()
    reason = models.CharField(max_length=30)  # a `Reason`; no choices, or each better word would be a migration
    values = models.JSONField(default=dict)

    class Meta(TenantModel.Meta):
        constraints = [models.UniqueConstraint(fields=["outage", "rule"], name="alerting_mismatch_once")]

    def __str__(self) -> str:
        return self.reason


class Silence(TenantModel):
    """A time in which nobody wants to hear of a check, of tags, or (with neither) of anything."""

    watched = TenantForeignKey(
        Check, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_column="check_id"
    )
    tags: ArrayField[Any, Any] = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("silence")
        verbose_name_plural = _("silences")
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gte=models.F("starts_at")), name="alerting_silence_ends_later")
        ]
        indexes = [models.Index(fields=["tenant", "ends_at"], name="alerting_silence_active")]  # what is active now

    def __str__(self) -> str:
        return self.reason or f"until {self.ends_at}"
