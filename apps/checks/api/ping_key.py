"""The tenant's ping key over the API."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.checks.domain.heartbeats import ping_key
from apps.checks.domain.ping_keys import rotate_ping_key, set_ping_key
from apps.checks.permissions import EDIT_CHECKS, MANAGE_PING_KEY
from apps.checks.types.heartbeat import check_ping_key
from apps.core.api.serializers import StrictSerializer
from apps.tenants.api.base import TenantAPIView
from apps.tenants.permissions import Permission


class PingKeySerializer(StrictSerializer):
    """What stands before a heartbeat's name in the addresses of jobs that report by name."""

    key = serializers.CharField(
        min_length=22,
        max_length=22,
        validators=[check_ping_key],
        help_text="22 letters, digits, hyphens or underscores; 409 where it is in use already.",
    )


class PingKeyView(TenantAPIView):
    """The ping key."""

    serializer_class = PingKeySerializer
    permissions: ClassVar[dict[str, Permission]] = {"get": EDIT_CHECKS, "put": MANAGE_PING_KEY}

    @extend_schema(responses=PingKeySerializer)
    def get(self, request: Request) -> Response:
        """The key that jobs report with."""
        return Response(PingKeySerializer({"key": ping_key()}).data)

    @extend_schema(request=PingKeySerializer, responses=PingKeySerializer)
    def put(self, request: Request) -> Response:
        """Have jobs report with this key; the one before is refused from now on."""
        given = PingKeySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        set_ping_key(given.validated_data["key"])
        return Response(given.data)


class RotatePingKeyView(TenantAPIView):
    """A new ping key."""

    serializer_class = PingKeySerializer
    permissions: ClassVar[dict[str, Permission]] = {"post": MANAGE_PING_KEY}

    @extend_schema(request=None, responses=PingKeySerializer)
    def post(self, request: Request) -> Response:
        """Make a new key at random; the one before is refused from now on."""
        return Response(PingKeySerializer({"key": rotate_ping_key()}).data)
