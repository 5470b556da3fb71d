"""Channels and deliveries over the API."""

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.pagination import CursorPage
from apps.notifications.api.serializers import (
    ChannelSerializer,
    DeliveryDetailSerializer,
    DeliverySerializer,
    TestAnswerSerializer,
    generated_secrets,
)
from apps.notifications.channels.base import DeliveryError
from apps.notifications.domain import channels, planning, queries, rehearsal
from apps.notifications.domain.channels import Draft, config_of
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Channel, Delivery, DeliveryAttempt
from apps.notifications.permissions import MANAGE, VIEW
from apps.tenants.api.base import TenantViewSet
from apps.tenants.permissions import Permission


class ChannelViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Create, read, change, test and delete channels."""

    serializer_class = ChannelSerializer
    queryset = Channel.objects.all()  # a lazy guard: bound to the caller's tenant where it runs
    permissions: ClassVar[dict[str, Permission]] = {
        **dict.fromkeys(("list", "retrieve"), VIEW),
        **dict.fromkeys(("create", "update", "partial_update", "destroy", "test"), MANAGE),
    }

    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        channel = channels.create_channel(kind=given.pop("kind"), draft=Draft(**given))
        answer = {
            **self.get_serializer(channel).data,
            "generated": generated_secrets(channel, serializer.initial_data["config"]),
        }
        return Response(answer, status=status.HTTP_201_CREATED)

    def update(self, request: Request, pk: Any = None, *, partial: bool = False) -> Response:
        channel = self.get_object()
        serializer = self.get_serializer(channel, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        given.pop("kind", None)
        kept = {name: getattr(channel, name) for name in ("name", "is_default", "is_enabled")}
        draft = Draft(**{"config": config_of(channel), **kept, **given})
        return Response(self.get_serializer(channels.update_channel(channel=channel, draft=draft)).data)

    def partial_update(self, request: Request, pk: Any = None) -> Response:
        return self.update(request, pk, partial=True)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any = None) -> Response:
        channels.delete_channel(channel=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=TestAnswerSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: Any = None) -> Response:
        """Send a test now and answer how it went."""
        try:
            receipt = rehearsal.send_test(channel=self.get_object())
        except DeliveryError as error:
            answer = {"ok": False, "code": error.code, "status_code": error.status_code, "detail": error.message}
        else:
            answer = {"ok": True, "code": "", "status_code": receipt.status_code, "detail": receipt.detail}
        return Response(answer)


class DeliveryFilter(serializers.Serializer[Any]):
    """The filters of the list."""

    state = serializers.ChoiceField(choices=DeliveryState.choices, required=False)
    channel = serializers.UUIDField(required=False)


class DeliveryViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Read the delivery log; send again what failed."""

    queryset = Delivery.objects.all()
    pagination_class = CursorPage
    permissions: ClassVar[dict[str, Permission]] = {
        **dict.fromkeys(("list", "retrieve"), VIEW),
        "resend": MANAGE,
    }

    def get_serializer_class(self) -> type[DeliverySerializer]:
        return DeliverySerializer if self.action == "list" else DeliveryDetailSerializer

    def get_queryset(self) -> QuerySet[Delivery]:
        if self.action == "list":
            return queries.delivery_log(**self._filters())
        tries = Prefetch("tries", DeliveryAttempt.objects.order_by("id"))
        return Delivery.objects.select_related("channel").prefetch_related(tries)

    def _filters(self) -> dict[str, Any]:
        given = DeliveryFilter(data=self.request.query_params.dict())
        given.is_valid(raise_exception=True)
        channel_id: UUID | None = given.validated_data.get("channel")
        return {"state": given.validated_data.get("state", ""), "channel_id": channel_id}

    @extend_schema(parameters=[DeliveryFilter, OpenApiParameter("limit", int)])
    def list(self, request: Request) -> Response:
        """The log, newest first."""
        return super().list(request)

    @extend_schema(request=None, responses=DeliveryDetailSerializer)
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: Any = None) -> Response:
        """Give a failed or cancelled delivery a fresh row of tries, with the same key."""
        planning.resend(delivery=self.get_object())
        return Response(self.get_serializer(self.get_object()).data)
