"""Checks over the API."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

from apps.checks.api.serializers import CheckSerializer, ResultSerializer
from apps.checks.domain import checks
from apps.checks.domain.baselines import approve_baseline
from apps.checks.models import Check, Result
from apps.checks.permissions import EDIT_CHECKS, VIEW_CHECKS
from apps.tenants.api.base import TenantViewSet
from apps.tenants.permissions import Permission


class ResultPage(CursorPagination):
    """Newest turn first."""

    ordering = "-due_at"
    page_size_query_param = "limit"
    max_page_size = 1_000


class CheckViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Create, read, change, pause and delete checks."""

    serializer_class = CheckSerializer
    queryset = Check.objects.all()  # a lazy guard: bound to the caller's tenant where it runs
    permissions: ClassVar[dict[str, Permission]] = {
        **dict.fromkeys(("list", "retrieve", "results"), VIEW_CHECKS),
        **dict.fromkeys(("create", "update", "partial_update", "destroy", "pause", "resume", "run"), EDIT_CHECKS),
        "approve_baseline": EDIT_CHECKS,
    }

    def get_queryset(self) -> QuerySet[Check]:
        return Check.objects.select_related("checkstate").prefetch_related("turns")

    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        key = given.pop("key", "")
        names = {name: given.pop(name) for name in ("name", "kind", "config")}
        check = checks.create_check(**names, tags=given.pop("tags", []), timing=checks.usual_timing(**given), key=key)
        return Response(self.get_serializer(self.get_queryset().get(id=check.id)).data, status=status.HTTP_201_CREATED)

    def update(self, request: Request, pk: Any = None, *, partial: bool = False) -> Response:
        check = self.get_object()
        serializer = self.get_serializer(check, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        given.pop("kind", None)
        named = {name: given.pop(name, None) for name in ("name", "config", "tags", "key")}
        checks.change_check(check.id, timing=given, **named)
        return Response(self.get_serializer(self.get_object()).data)

    def partial_update(self, request: Request, pk: Any = None) -> Response:
        return self.update(request, pk, partial=True)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any = None) -> Response:
        checks.delete_check(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=CheckSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: Any = None) -> Response:
        checks.pause_check(self.get_object())
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses=CheckSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: Any = None) -> Response:
        checks.resume_check(self.get_object())
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses=CheckSerializer)
    @action(detail=True, methods=["post"])
    def run(self, request: Request, pk: Any = None) -> Response:
        """Bring the next turn forward to now; 429 where that was asked within the plan's shortest interval."""
        checks.check_by_hand(self.get_object())
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None, responses=CheckSerializer)
    @action(detail=True, methods=["post"], url_path="approve-baseline")
    def approve_baseline(self, request: Request, pk: Any = None) -> Response:
        """Make what the latest results observed the baseline (409 where there is nothing to approve)."""
        approve_baseline(self.get_object())
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(responses=ResultSerializer(many=True))
    @action(detail=True, methods=["get"], pagination_class=ResultPage)
    def results(self, request: Request, pk: Any = None) -> Response:
        """The check's results, newest first."""
        page = self.paginate_queryset(Result.objects.filter(check_id=self.get_object().id))
        return self.get_paginated_response(ResultSerializer(page, many=True).data)
