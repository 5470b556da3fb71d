"""The shapes of tenants, members, invitations and keys over the API."""

from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from apps.core import clock
from apps.core.api.serializers import InstantField, StrictModelSerializer, StrictSerializer
from apps.tenants.domain.invitations import EMAIL_LENGTH
from apps.tenants.enums import Role
from apps.tenants.models import ApiKey, Invitation, Membership, Tenant
from apps.tenants.models.tenant import known_time_zone


class TenantSerializer(StrictModelSerializer):
    """The tenant that the key or the header names."""

    class Meta:
        model = Tenant
        fields = ["id", "name", "slug", "time_zone", "allows_private_targets", "created_at"]
        read_only_fields = fields


class TenantSettingsSerializer(StrictSerializer):
    """What may be changed of a tenant."""

    name = serializers.CharField(max_length=100)
    time_zone = serializers.CharField(
        max_length=64, validators=[known_time_zone], help_text=_("Such as Europe/Berlin.")
    )


class MemberSerializer(StrictModelSerializer):
    """A person in the tenant."""

    name = serializers.CharField(source="user.name", read_only=True)
    email = serializers.EmailField(source="user.email", read_only=True)

    class Meta:
        model = Membership
        fields = ["id", "name", "email", "role", "created_at"]
        read_only_fields = fields


class RoleSerializer(StrictSerializer):
    """A new role."""

    role = serializers.ChoiceField(choices=Role.choices)


class InvitationSerializer(StrictModelSerializer):
    """An open invitation."""

    class Meta:
        model = Invitation
        fields = ["id", "email", "role", "created_at", "expires_at", "letter_sent_at", "letter_error"]
        read_only_fields = fields


class NewInvitationSerializer(StrictSerializer):
    """Who is invited, as what."""

    email = serializers.EmailField(max_length=EMAIL_LENGTH)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.VIEWER)


class ApiKeySerializer(StrictModelSerializer):
    """A key, without its text."""

    class Meta:
        model = ApiKey
        fields = ["id", "name", "role", "last_four", "created_at", "expires_at", "last_used_at", "revoked_at"]
        read_only_fields = fields


class NewApiKeySerializer(StrictSerializer):
    """What a new key may do, and until when."""

    name = serializers.CharField(max_length=100)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.EDITOR)
    expires_at = InstantField(default=None, allow_null=True, help_text=_("Empty: until revoked."))

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        if value and value <= clock.now():
            raise serializers.ValidationError(_("This moment has passed."))
        return value


class MadeApiKeySerializer(ApiKeySerializer):
    """A key with its text, shown this one time."""

    key = serializers.CharField(read_only=True)

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]
        read_only_fields = fields

    def to_representation(self, instance: Any) -> dict[str, Any]:
        key, text = instance
        return {**ApiKeySerializer(key).data, "key": text}


class UseSerializer(serializers.Serializer[Any]):
    """One limit: what is allowed (null: any number), and, where rows use it up, how many there are."""

    name = serializers.CharField(source="limit.name", read_only=True)
    title = serializers.CharField(source="limit.label", read_only=True)
    allowed = serializers.JSONField(read_only=True, help_text=_("A number, true, false, or null for any number."))
    used = serializers.IntegerField(read_only=True, allow_null=True)


class TenantPlanSerializer(serializers.Serializer[Any]):
    """The tenant's plan, its limits and what is used of them."""

    plan = serializers.CharField(source="standing.plan.code", read_only=True)
    title = serializers.CharField(source="standing.plan.label", read_only=True)
    since_at = serializers.DateTimeField(
        source="standing.since_at", read_only=True, allow_null=True, help_text=_("Null: the installation's default.")
    )
    limits = UseSerializer(source="uses", many=True, read_only=True)
