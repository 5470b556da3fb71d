"""What checks depend on, for programs."""

from typing import Any, ClassVar
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.checks.domain.dependencies import MAX_PARENTS, depends_on, needed_by, set_parents
from apps.checks.models import Check
from apps.checks.permissions import EDIT_CHECKS, VIEW_CHECKS
from apps.core.api.serializers import BoundedList, ScopedReference, StrictSerializer
from apps.tenants.api.base import TenantAPIView
from apps.tenants.permissions import Permission


class DependenciesSerializer(StrictSerializer):
    """What a check depends on directly, and what depends on it."""

    depends_on = BoundedList(child=ScopedReference(model=Check), max_length=MAX_PARENTS)
    needed_by = serializers.ListField(child=serializers.UUIDField(), read_only=True)


class DependenciesView(TenantAPIView):
    """While a check that another depends on is down, nobody is paged for that other; it is still checked."""

    queryset = Check.objects.all()  # whose ids the address takes
    serializer_class = DependenciesSerializer
    permissions: ClassVar[dict[str, Permission]] = {"get": VIEW_CHECKS, "put": EDIT_CHECKS}

    @extend_schema(responses=DependenciesSerializer)
    def get(self, request: Request, check_id: UUID) -> Response:
        """What the check depends on."""
        return Response(_shown(get_object_or_404(Check, id=check_id)))

    @extend_schema(request=DependenciesSerializer, responses=DependenciesSerializer)
    def put(self, request: Request, check_id: UUID) -> Response:
        """Make the check depend on exactly these; 409 where that would go round in a circle."""
        check = get_object_or_404(Check, id=check_id)
        given = DependenciesSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        set_parents(check, given.validated_data["depends_on"])
        return Response(_shown(check))


def _shown(check: Check) -> dict[str, Any]:
    return {
        "depends_on": [str(parent.id) for parent in depends_on(check)],
        "needed_by": [str(child.id) for child in needed_by(check)],
    }
