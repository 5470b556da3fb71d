"""Checks and results as JSON."""

from typing import Any

from rest_framework import serializers

from apps.checks.domain.settings import config_of
from apps.checks.forms import MAX_TAGS
from apps.checks.models import Check, Result
from apps.checks.types.registry import CHECK_TYPES
from apps.core.api.serializers import StrictModelSerializer
from apps.core.kinds import parse_config, public_config


class CheckSerializer(StrictModelSerializer):
    """A check. ``config`` holds the settings of its kind; secret ones come back masked."""

    kind = serializers.ChoiceField(choices=[(kind.kind, kind.label) for kind in CHECK_TYPES])
    config = serializers.DictField()
    tags = serializers.ListField(child=serializers.CharField(max_length=40), max_length=MAX_TAGS, required=False)
    state = serializers.CharField(source="checkstate.state", read_only=True)
    state_since_at = serializers.DateTimeField(source="checkstate.since_at", read_only=True)
    last_result_at = serializers.DateTimeField(source="checkstate.last_result_at", read_only=True, allow_null=True)
    last_ms = serializers.FloatField(source="checkstate.last_ms", read_only=True, allow_null=True)
    last_error = serializers.CharField(source="checkstate.last_error", read_only=True)

    class Meta:
        model = Check
        fields = (
            *("id", "name", "kind", "config", "target", "tags", "interval_seconds", "timeout_seconds", "retries"),
            *(
                "retry_interval_seconds",
                "degraded_ms",
                "state",
                "state_since_at",
                "last_result_at",
                "last_ms",
                "last_error",
            ),
            *("created_at", "updated_at"),
        )
        read_only_fields = ("target", "created_at", "updated_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Parse ``config`` by the kind, which cannot change once the check exists."""
        check: Check | None = self.instance
        kind = check.kind if check else attrs["kind"]
        if attrs.get("kind", kind) != kind:
            raise serializers.ValidationError({"kind": ["A check keeps its kind; create another one."]})
        stored = config_of(check) if check else None
        if "config" in attrs or stored is None:
            attrs["config"] = parse_config(CHECK_TYPES.get(kind).Config, attrs.get("config", {}), stored=stored)
        return attrs

    def to_representation(self, instance: Check) -> dict[str, Any]:
        return {**super().to_representation(instance), "config": public_config(config_of(instance))}


class ResultSerializer(StrictModelSerializer):
    """One result; times in milliseconds."""

    verdict = serializers.CharField(source="get_verdict_display", read_only=True)

    class Meta:
        model = Result
        fields = (
            *("due_at", "started_at", "verdict", "status_code", "dns_ms", "connect_ms", "tls_ms", "first_byte_ms"),
            *("transfer_ms", "total_ms", "body_bytes", "remote_ip", "error_code", "error_values"),
        )
        read_only_fields = fields
