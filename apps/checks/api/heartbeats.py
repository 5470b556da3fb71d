"""Heartbeats and their pings as JSON."""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.pagination import CursorPagination
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.checks.domain.heartbeat_addresses import addresses_of
from apps.checks.domain.heartbeats import find_ping, heartbeat_facts
from apps.checks.models import Check, Heartbeat, Ping
from apps.checks.permissions import EDIT_CHECKS, VIEW_CHECKS
from apps.checks.types.heartbeat import HeartbeatCheck
from apps.core.api.serializers import StrictModelSerializer, StrictSerializer
from apps.tenants.api.base import TenantAPIView
from apps.tenants.permissions import Permission

MAX_DIGITS = 19  # what the column holds


class HeartbeatSerializer(StrictSerializer):
    """What is known of a heartbeat. The addresses are empty for callers who may not edit checks: whoever knows one can
    report for the job."""

    phase = serializers.CharField(help_text="new, up, started, grace, down, paused, unknown or maintenance")
    ping_url = serializers.CharField()
    slug_url = serializers.CharField()
    push_url = serializers.CharField()
    mail_address = serializers.CharField(help_text="Empty, too, where this installation takes no pings by e-mail.")
    pings = serializers.IntegerField()
    last_ping_at = serializers.DateTimeField(allow_null=True)
    last_start_at = serializers.DateTimeField(allow_null=True)
    last_duration_seconds = serializers.FloatField(allow_null=True)
    expected_at = serializers.DateTimeField(allow_null=True)
    deadline_at = serializers.DateTimeField(allow_null=True)
    upcoming = serializers.ListField(child=serializers.DateTimeField())


class PingSerializer(StrictModelSerializer):
    """One ping. One by e-mail has the method EMAIL, and its sender and subject as agent."""

    duration_seconds = serializers.SerializerMethodField()

    class Meta:
        model = Ping
        fields = (
            *("number", "at", "signal", "exit_status", "run_id", "duration_seconds", "method", "source_ip", "agent"),
            "body_bytes",
        )
        read_only_fields = fields

    def get_duration_seconds(self, ping: Ping) -> float | None:
        return ping.duration.total_seconds() if ping.duration is not None else None


class PingPage(CursorPagination):
    """Newest first."""

    ordering = "-number"
    page_size_query_param = "limit"
    max_page_size = 1_000


def _heartbeat_or_404(check_id: UUID) -> Check:
    checks = Check.objects.select_related("checkstate")
    found: Check = get_object_or_404(checks, id=check_id, kind=HeartbeatCheck.kind)
    return found


class HeartbeatView(TenantAPIView):
    """A check's heartbeat."""

    queryset = Check.objects.all()  # whose ids the address takes
    serializer_class = HeartbeatSerializer
    permissions: ClassVar[dict[str, Permission]] = {"get": VIEW_CHECKS}

    @extend_schema(responses=HeartbeatSerializer)
    def get(self, request: Request, check_id: UUID) -> Response:
        """Where the job reports, and when it is expected to."""
        facts = heartbeat_facts(_heartbeat_or_404(check_id))
        beat: Heartbeat = facts.heartbeat
        addresses = addresses_of(beat) if EDIT_CHECKS.name in self.can else None
        shown = {
            "phase": facts.phase,
            "ping_url": addresses.ping if addresses else "",
            "slug_url": addresses.by_slug if addresses else "",
            "push_url": addresses.push if addresses else "",
            "mail_address": addresses.mail if addresses else "",
            "pings": beat.pings,
            "last_ping_at": beat.last_ping_at,
            "last_start_at": beat.last_start_at,
            "last_duration_seconds": beat.last_duration.total_seconds() if beat.last_duration is not None else None,
            "expected_at": facts.expected_at,
            "deadline_at": beat.deadline_at,
            "upcoming": facts.upcoming,
        }
        return Response(HeartbeatSerializer(shown).data)


class PingsView(TenantAPIView, generics.GenericAPIView[Any]):
    """A heartbeat's pings."""

    queryset = Check.objects.all()  # whose ids the address takes
    serializer_class = PingSerializer
    pagination_class = PingPage
    permissions: ClassVar[dict[str, Permission]] = {"get": VIEW_CHECKS}

    @extend_schema(responses=PingSerializer(many=True))
    def get(self, request: Request, check_id: UUID) -> Response:
        """The pings that are kept, newest first."""
        pings = Ping.objects.filter(watched=_heartbeat_or_404(check_id)).defer("body")
        page = self.paginate_queryset(pings)
        return self.get_paginated_response(PingSerializer(page, many=True).data)


class TextRenderer(BaseRenderer):
    """Bytes as they came; problem documents stay JSON."""

    media_type = "text/plain"
    format = "txt"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if renderer_context and renderer_context["response"].exception:
            return JSONRenderer().render(data)
        return bytes(data)


class PingBodyView(TenantAPIView):
    """A ping's text."""

    renderer_classes = (TextRenderer,)

    queryset = Check.objects.all()  # whose ids the address takes
    permissions: ClassVar[dict[str, Permission]] = {"get": VIEW_CHECKS}

    @extend_schema(responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request, check_id: UUID, number: str) -> Response:
        """What came with the ping, as it came; 404 when it is no longer kept."""
        check = _heartbeat_or_404(check_id)
        is_number = number.isascii() and number.isdigit() and len(number) < MAX_DIGITS
        ping = find_ping(check, int(number)) if is_number else None
        if ping is None or ping.body is None:
            raise Http404
        return Response(bytes(ping.body))
