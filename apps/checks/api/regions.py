"""The regions that checks can be probed from, for programs."""

from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.checks.domain.regions import selectable_regions
from apps.checks.permissions import VIEW_CHECKS
from apps.core.api.serializers import StrictSerializer
from apps.tenants.api.base import TenantAPIView
from apps.tenants.permissions import Permission


class RegionSerializer(StrictSerializer):
    """A region. Its code is what checks and documents call it."""

    code = serializers.CharField(read_only=True)
    name = serializers.CharField(read_only=True)


class RegionsView(TenantAPIView):
    """Where checks can be probed from now: the shared regions whose prober lives, and the caller's own agents."""

    serializer_class = RegionSerializer
    permissions: ClassVar[dict[str, Permission]] = {"get": VIEW_CHECKS}

    @extend_schema(responses=RegionSerializer(many=True), operation_id="regions_list")
    def get(self, request: Request) -> Response:
        """The regions that a check's `regions` may name."""
        return Response(RegionSerializer(selectable_regions(), many=True).data)
