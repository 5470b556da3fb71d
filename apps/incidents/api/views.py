"""Outages for programs."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.incidents.api.serializers import (
    EntrySerializer,
    NoteSerializer,
    OutageFilterSerializer,
    OutageSerializer,
    WindowSerializer,
)
from apps.incidents.domain import maintenance, queries, timeline
from apps.incidents.models import MaintenanceWindow, Outage
from apps.incidents.permissions import NOTE_OUTAGES, PLAN_MAINTENANCE, VIEW_OUTAGES
from apps.tenants.api.base import TenantViewSet
from apps.tenants.permissions import Permission


class OutageViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Outages and their timelines. Outages follow from checks, so they cannot be made or changed here."""

    serializer_class = OutageSerializer
    queryset = Outage.objects.select_related("watched")
    permissions: ClassVar[dict[str, Permission]] = {
        "list": VIEW_OUTAGES,
        "retrieve": VIEW_OUTAGES,
        "timeline": VIEW_OUTAGES,
        "notes": NOTE_OUTAGES,
    }

    def get_queryset(self) -> QuerySet[Outage]:
        if self.action != "list":
            return super().get_queryset()
        asked = OutageFilterSerializer(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        return queries.find_outages(asked.wanted())

    @extend_schema(parameters=[OutageFilterSerializer])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Outages, newest first."""
        return super().list(request, *args, **kwargs)

    @extend_schema(responses=EntrySerializer(many=True))
    @action(detail=True, pagination_class=None)
    def timeline(self, request: Request, pk: Any = None) -> Response:
        """What happened, newest first."""
        return Response(EntrySerializer(queries.timeline_of(self.get_object()), many=True).data)

    @extend_schema(request=NoteSerializer, responses={201: EntrySerializer})
    @action(detail=True, methods=["post"])
    def notes(self, request: Request, pk: Any = None) -> Response:
        """Write a note on the timeline."""
        outage = self.get_object()
        given = NoteSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        entry = timeline.write_note(outage=outage, text=given.validated_data["text"], author=self.actor)
        return Response(EntrySerializer(entry).data, status=status.HTTP_201_CREATED)


class WindowViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Maintenance windows: planned work, during which results are kept and judge nothing."""

    serializer_class = WindowSerializer
    queryset = MaintenanceWindow.objects.prefetch_related("checks")
    permissions: ClassVar[dict[str, Permission]] = {
        **dict.fromkeys(("list", "retrieve"), VIEW_OUTAGES),
        **dict.fromkeys(("create", "update", "destroy", "end"), PLAN_MAINTENANCE),
    }

    def create(self, request: Request) -> Response:
        """Plan maintenance; what begins now begins at once."""
        return self._keep(None, request, status.HTTP_201_CREATED)

    def update(self, request: Request, pk: Any = None) -> Response:
        """Plan it otherwise: every setting is given anew."""
        return self._keep(self.get_object(), request, status.HTTP_200_OK)

    def _keep(self, window: MaintenanceWindow | None, request: Request, code: int) -> Response:
        serializer = WindowSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        try:
            kept = maintenance.keep_window(window, serializer.settings(), actor=self.actor)
        except maintenance.BadWindow as refusal:
            name = {"duration": "duration_minutes", "checks": "check_ids"}.get(refusal.field, refusal.field)
            raise exceptions.ValidationError({name: [str(refusal)]}) from refusal
        return Response(WindowSerializer(self.get_queryset().get(id=kept.id)).data, status=code)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any = None) -> Response:
        """Plan it no longer; what it covers is judged again at once."""
        maintenance.delete_window(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=WindowSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: Any = None) -> Response:
        """End what runs now; later occurrences take place."""
        maintenance.end_now(window_id=self.get_object().id)
        return Response(WindowSerializer(self.get_object()).data)
