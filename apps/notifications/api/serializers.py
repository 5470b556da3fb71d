"""Channels and deliveries as JSON."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.core.api.serializers import StrictModelSerializer, StrictSerializer
from apps.core.kinds import MASK, is_secret_setting, parse_config, public_config
from apps.notifications.channels.registry import CHANNEL_TYPES
from apps.notifications.domain.channels import config_of, merged_tables
from apps.notifications.models import Channel, Delivery, DeliveryAttempt


class ChannelSerializer(StrictModelSerializer):
    """A channel. ``config`` holds the settings of its kind; secret ones come back masked.

    The answer to creating one has, in ``generated``, the secrets that Obsera made itself: they are never shown again.
    """

    kind = serializers.ChoiceField(choices=[(entry.kind, entry.label) for entry in CHANNEL_TYPES])
    config = serializers.DictField()
    generated = serializers.DictField(child=serializers.CharField(), read_only=True, required=False)

    class Meta:
        model = Channel
        fields = (
            *("id", "name", "kind", "config", "address", "is_default", "is_enabled", "disabled_reason"),
            *("last_ok_at", "last_error", "created_at", "generated"),
        )
        read_only_fields = ("address", "disabled_reason", "last_ok_at", "last_error", "created_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Parse ``config`` by the kind, which cannot change once the channel exists."""
        channel: Channel | None = self.instance
        kind = channel.kind if channel else attrs["kind"]
        if attrs.get("kind", kind) != kind:
            raise serializers.ValidationError({"kind": [_("A channel keeps its kind; create another one.")]})
        if channel is None:
            attrs["config"] = parse_config(CHANNEL_TYPES.get(kind).Config, attrs.get("config", {}))
        elif "config" in attrs:
            given, stored = merged_tables(attrs["config"], config_of(channel))
            attrs["config"] = parse_config(CHANNEL_TYPES.get(kind).Config, given, stored=stored)
        return attrs

    def to_representation(self, instance: Channel) -> dict[str, Any]:
        return {**super().to_representation(instance), "config": public_config(config_of(instance))}


def generated_secrets(channel: Channel, given: dict[str, Any]) -> dict[str, str]:
    """Return the secrets of a new channel that nobody gave, so that their one showing is the answer to creating it."""
    config = config_of(channel)
    made = (name for name in public_config(config) if is_secret_setting(type(config), name) and name not in given)
    return {
        name: value for name in made if isinstance(value := getattr(config, name), str) and value and MASK not in value
    }


class TestAnswerSerializer(StrictSerializer):
    """How a test went; ``detail`` says what the receiver answered, or what went wrong and how to mend it."""

    ok = serializers.BooleanField()
    code = serializers.CharField(allow_blank=True)
    status_code = serializers.IntegerField(allow_null=True)
    detail = serializers.CharField()


class AttemptSerializer(StrictModelSerializer):
    """One try."""

    class Meta:
        model = DeliveryAttempt
        fields = ("number", "at", "is_ok", "code", "status_code", "detail", "duration_ms")
        read_only_fields = fields


class DeliverySerializer(StrictModelSerializer):
    """One message on its way through one channel."""

    channel = serializers.UUIDField(source="channel_id", read_only=True, allow_null=True)
    title = serializers.CharField(read_only=True)
    next_try_at = serializers.SerializerMethodField()

    class Meta:
        model = Delivery
        fields = (
            *("id", "channel", "channel_name", "channel_kind", "key", "title", "subject_kind", "subject_id", "state"),
            *("attempts", "failures", "last_error", "created_at", "sent_at", "next_try_at"),
        )
        read_only_fields = fields

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_try_at(self, delivery: Delivery) -> str | None:
        return delivery.claimable_at.isoformat() if delivery.state == "pending" else None


class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery with its message and every try."""

    message = serializers.DictField(read_only=True)
    tries = AttemptSerializer(many=True, read_only=True)

    class Meta:
        model = Delivery
        fields = (*DeliverySerializer.Meta.fields, "message", "tries")
        read_only_fields = fields
