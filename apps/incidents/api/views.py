"""Outages for programs."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.incidents.api.serializers import EntrySerializer, NoteSerializer, OutageFilterSerializer, OutageSerializer
from apps.incidents.domain import queries, timeline
from apps.incidents.models import Outage
from apps.incidents.permissions import NOTE_OUTAGES, VIEW_OUTAGES
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
