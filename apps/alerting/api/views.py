"""Alerts, rules and silences for programs."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.alerting.api.serializers import (
    AlertFilterSerializer,
    AlertSerializer,
    RuleSerializer,
    SilenceSerializer,
    StepSerializer,
)
from apps.alerting.domain import alerts, queries, rules, silences
from apps.alerting.models import Alert, AlertRule, AlertStep, Silence
from apps.alerting.permissions import MANAGE_RULES, RESPOND, VIEW_ALERTS
from apps.tenants.api.base import TenantViewSet
from apps.tenants.permissions import Permission

MAX_STEPS = 700


class AlertViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Alerts follow from outages and rules, so they are not made or changed here, only acknowledged."""

    serializer_class = AlertSerializer
    queryset = Alert.objects.select_related("acknowledged_by")
    permissions: ClassVar[dict[str, Permission]] = {
        **dict.fromkeys(("list", "retrieve", "trace"), VIEW_ALERTS),
        "acknowledge": RESPOND,
    }

    def get_queryset(self) -> QuerySet[Alert]:
        if self.action != "list":
            return super().get_queryset()
        asked = AlertFilterSerializer(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        return queries.find_alerts(asked.wanted())

    @extend_schema(parameters=[AlertFilterSerializer])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Alerts, newest first."""
        return super().list(request, *args, **kwargs)

    @extend_schema(responses=StepSerializer(many=True))
    @action(detail=True, pagination_class=None)
    def trace(self, request: Request, pk: Any = None) -> Response:
        """Why someone was notified, or not: each stage's decision, the latest look first."""
        steps = AlertStep.objects.filter(alert=self.get_object()).order_by("-at", "position")[:MAX_STEPS]
        return Response(StepSerializer(steps, many=True).data)

    @extend_schema(request=None, responses=AlertSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: Any = None) -> Response:
        """Take the alert on: reminders stop."""
        alerts.acknowledge(alert_id=self.get_object().id, actor=self.actor)
        return Response(self.get_serializer(self.get_object()).data)


class RuleViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Rules: which outages are worth a message, and to whom."""

    serializer_class = RuleSerializer
    queryset = AlertRule.objects.prefetch_related("channels")
    permissions: ClassVar[dict[str, Permission]] = {
        **dict.fromkeys(("list", "retrieve"), VIEW_ALERTS),
        **dict.fromkeys(("create", "update", "partial_update", "destroy"), MANAGE_RULES),
    }

    def create(self, request: Request) -> Response:
        serializer = RuleSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        rule = rules.create_rule(serializer.settings())
        return Response(RuleSerializer(rule).data, status=status.HTTP_201_CREATED)

    def update(self, request: Request, pk: Any = None, *, partial: bool = False) -> Response:
        rule = self.get_object()
        serializer = RuleSerializer(rule, data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        rules.keep_rule(rule, rules.settings_of(rule, **serializer.changes()))
        return Response(RuleSerializer(self.get_object()).data)

    def partial_update(self, request: Request, pk: Any = None) -> Response:
        return self.update(request, pk, partial=True)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any = None) -> Response:
        """Delete a rule. Who was told that something began still hears when it is over."""
        rules.delete_rule(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)


class SilenceViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Silences, past ones too."""

    serializer_class = SilenceSerializer
    queryset = Silence.objects.select_related("created_by")
    permissions: ClassVar[dict[str, Permission]] = {
        **dict.fromkeys(("list", "retrieve"), VIEW_ALERTS),
        **dict.fromkeys(("create", "end"), RESPOND),
    }

    def create(self, request: Request) -> Response:
        serializer = SilenceSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        given = dict(serializer.validated_data)
        silence = silences.create_silence(check=given.pop("check_id"), actor=self.actor, **given)
        return Response(SilenceSerializer(silence).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=SilenceSerializer)
    @action(detail=True, methods=["post"])
    def end(self, request: Request, pk: Any = None) -> Response:
        """End the silence now; what it held back is told if it still holds."""
        silences.end_silence(silence_id=self.get_object().id)
        return Response(SilenceSerializer(self.get_object()).data)
