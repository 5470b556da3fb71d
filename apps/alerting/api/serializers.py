"""Alerts, rules and silences as JSON."""

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apps.alerting.domain.queries import AlertFilter
from apps.alerting.domain.rules import RuleSettings
from apps.alerting.domain.trace import STAGE_NAMES, sentence
from apps.alerting.enums import AlertState
from apps.alerting.models import MIN_REPEAT_INTERVAL, Alert, AlertRule, AlertStep, Silence, any_severity
from apps.checks.models import Check
from apps.core.api.serializers import BoundedList, InstantField, ScopedReference, StrictSerializer
from apps.incidents.enums import Severity
from apps.notifications.models import Channel

MAX_TAGS = 20


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """What a rule made of an outage. Ids are null once what they name was deleted."""

    rule_id = serializers.UUIDField(read_only=True, allow_null=True)
    outage_id = serializers.UUIDField(read_only=True, allow_null=True)
    check_id = serializers.UUIDField(source="watched_id", read_only=True, allow_null=True)
    acknowledged_by = serializers.SerializerMethodField()

    class Meta:
        model = Alert
        fields = (
            *(
                "id",
                "state",
                "severity",
                "check_id",
                "check_name",
                "rule_id",
                "rule_name",
                "outage_id",
                "starts_at",
                "ends_at",
            ),
            *("acknowledged_by", "acknowledged_at", "last_notified_at", "group_key", "fingerprint"),
        )
        read_only_fields = fields

    def get_acknowledged_by(self, alert: Alert) -> str | None:
        return str(alert.acknowledged_by) if alert.acknowledged_by else None


class StepSerializer(serializers.ModelSerializer[AlertStep]):
    """What one stage decided, and why, as code, values and a sentence."""

    stage = serializers.ChoiceField(choices=list(STAGE_NAMES), read_only=True)
    text = serializers.SerializerMethodField()

    class Meta:
        model = AlertStep
        fields = ("at", "trigger", "stage", "verdict", "reason", "values", "text")
        read_only_fields = fields

    def get_text(self, step: AlertStep) -> str:
        return sentence(step.reason, step.values)


class AlertFilterSerializer(serializers.Serializer[Any]):
    """The list's query parameters."""

    state = serializers.ChoiceField(
        choices=("open", *AlertState.values), required=False, help_text=_("“open”: not resolved.")
    )
    severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    check = serializers.UUIDField(required=False, help_text=_("The check's id."))
    rule = serializers.UUIDField(required=False, help_text=_("The rule's id."))

    def wanted(self) -> AlertFilter:
        """Return the valid filters."""
        given = self.validated_data
        return AlertFilter(
            state=given.get("state", ""),
            severity=given.get("severity", ""),
            check_id=given.get("check"),
            rule_id=given.get("rule"),
        )


def _tags() -> BoundedList:
    return BoundedList(child=serializers.CharField(max_length=40), max_length=MAX_TAGS, required=False, default=list)


class RuleSerializer(StrictSerializer):
    """A rule. Empty ``tags`` mean every check, empty ``channels`` the default ones, null ``repeat_seconds`` no reminders."""

    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField(max_length=100)
    is_enabled = serializers.BooleanField(default=True)
    severities = BoundedList(
        child=serializers.ChoiceField(choices=Severity.choices),
        min_length=1,
        max_length=len(Severity),
        default=any_severity,
    )
    tags = _tags()
    channels = BoundedList(child=ScopedReference(model=Channel), max_length=100, required=False, default=list)
    notifies_on_resolve = serializers.BooleanField(default=True)
    repeat_seconds = serializers.IntegerField(
        min_value=int(MIN_REPEAT_INTERVAL.total_seconds()), max_value=30 * 86_400, allow_null=True, default=4 * 3_600
    )
    created_at = serializers.DateTimeField(read_only=True)

    def to_representation(self, instance: AlertRule) -> dict[str, Any]:
        repeat = instance.repeat_interval
        return {
            "id": str(instance.id),
            "name": instance.name,
            "is_enabled": instance.is_enabled,
            "severities": instance.severities,
            "tags": instance.tags,
            "channels": [str(channel.id) for channel in instance.channels.all()],
            "notifies_on_resolve": instance.notifies_on_resolve,
            "repeat_seconds": int(repeat.total_seconds()) if repeat else None,
            "created_at": serializers.DateTimeField().to_representation(instance.created_at),
        }

    def changes(self) -> dict[str, Any]:
        """Return what was given, as the settings name it."""
        given = dict(self.validated_data)
        if "repeat_seconds" in given:
            seconds = given.pop("repeat_seconds")
            given["repeat_interval"] = None if seconds is None else timedelta(seconds=seconds)
        return given

    def settings(self) -> RuleSettings:
        """Return the settings of a new rule."""
        return RuleSettings(**self.changes())


class SilenceSerializer(StrictSerializer):
    """A silence. With neither ``check_id`` nor ``tags`` it covers everything; with both, both must fit."""

    id = serializers.UUIDField(read_only=True)
    check_id = ScopedReference(model=Check, required=False, allow_null=True, default=None)
    tags = _tags()
    starts_at = InstantField(required=False, help_text=_("Now, if left out."))
    ends_at = InstantField()
    reason = serializers.CharField(max_length=300, required=False, allow_blank=True, default="")
    created_by = serializers.CharField(read_only=True, allow_null=True)

    def to_representation(self, instance: Silence) -> dict[str, Any]:
        instant = serializers.DateTimeField().to_representation
        return {
            "id": str(instance.id),
            "check_id": str(instance.watched_id) if instance.watched_id else None,
            "tags": instance.tags,
            "starts_at": instant(instance.starts_at),
            "ends_at": instant(instance.ends_at),
            "reason": instance.reason,
            "created_by": str(instance.created_by) if instance.created_by else None,
        }
