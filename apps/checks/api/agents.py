"""Agents over the API."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.checks.domain import agents
from apps.checks.domain.agents import Introduction
from apps.checks.enums import AgentState
from apps.checks.models import Agent
from apps.checks.permissions import MANAGE_AGENTS, VIEW_CHECKS
from apps.core.api.serializers import StrictModelSerializer, StrictSerializer
from apps.tenants.api.base import TenantViewSet
from apps.tenants.permissions import Permission


class AgentSerializer(StrictModelSerializer):
    """An agent, without its token. Checks name it among their ``regions`` by its ``code``."""

    state = serializers.SerializerMethodField()
    checks = serializers.IntegerField(read_only=True, help_text=_("How many checks are probed from it."))
    last_seen_at = serializers.DateTimeField(source="region.seen_at", read_only=True, allow_null=True)
    heartbeat = serializers.UUIDField(source="heartbeat_id", read_only=True, allow_null=True)

    class Meta:
        model = Agent
        fields = (
            *("id", "name", "code", "state", "checks", "version", "buffered", "dropped", "last_seen_at"),
            *("kinds", "is_limited", "allow_list", "lost", "lost_at", "late_ms"),
            *("heartbeat", "created_at", "revoked_at", "previous_ends_at"),
        )
        read_only_fields = tuple(name for name in fields if name != "name")

    @extend_schema_field(serializers.ChoiceField(choices=AgentState.choices))
    def get_state(self, agent: Agent) -> str:
        return agents.state_of(agent).value


class TokenSerializer(StrictSerializer):
    """A token and the command that starts an agent with it, shown this one time."""

    token = serializers.CharField(read_only=True)
    command = serializers.CharField(read_only=True)

    @classmethod
    def of(cls, agent: Agent, token: object) -> dict[str, str]:
        introduction = Introduction(agent, str(token))
        return {"token": introduction.token, "command": introduction.start_command}


class MadeAgentSerializer(AgentSerializer):
    """An agent with its token, shown this one time."""

    token = serializers.CharField(read_only=True)
    command = serializers.CharField(read_only=True)

    class Meta(AgentSerializer.Meta):
        fields = (*AgentSerializer.Meta.fields, "token", "command")  # type: ignore[assignment]  # a longer tuple


class RotationSerializer(StrictSerializer):
    """Whether the old token is cut off at once; otherwise it opens for another 24 hours."""

    at_once = serializers.BooleanField(default=False)


class AgentViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """A tenant's own probers."""

    serializer_class = AgentSerializer
    queryset = Agent.objects.all()  # a lazy guard: bound to the caller's tenant where it runs
    permissions: ClassVar[dict[str, Permission]] = {
        **dict.fromkeys(("list", "retrieve"), VIEW_CHECKS),
        **dict.fromkeys(("create", "partial_update", "destroy", "rotate", "revoke", "reinstate"), MANAGE_AGENTS),
    }

    def get_queryset(self) -> QuerySet[Agent]:
        return agents.find_agents()

    @extend_schema(request=AgentSerializer, responses={status.HTTP_201_CREATED: MadeAgentSerializer})
    def create(self, request: Request) -> Response:
        """Add an agent. Its token is shown this one time."""
        given = AgentSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        agent, token = agents.create_agent(name=given.validated_data["name"])
        shown = {**self._shown(agent), **TokenSerializer.of(agent, token)}
        return Response(shown, status=status.HTTP_201_CREATED)

    @extend_schema(request=AgentSerializer, responses=AgentSerializer)
    def partial_update(self, request: Request, pk: Any = None) -> Response:
        """Rename an agent; its code stays."""
        agent = self.get_object()
        given = AgentSerializer(agent, data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        if "name" in given.validated_data:
            agents.rename_agent(agent, name=given.validated_data["name"])
        return Response(self._shown(agent))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any = None) -> Response:
        """Delete an agent with the check of its silence; 409 while checks have no other region."""
        agents.delete_agent(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=RotationSerializer, responses=TokenSerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Request, pk: Any = None) -> Response:
        """Make a new token, shown this one time."""
        agent = self.get_object()
        given = RotationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(TokenSerializer.of(agent, agents.rotate_token(agent, **given.validated_data)))

    @extend_schema(request=None, responses=AgentSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, pk: Any = None) -> Response:
        """Let the agent in no more; the check of its silence is paused."""
        agent = self.get_object()
        agents.revoke_agent(agent)
        return Response(self._shown(agent))

    @extend_schema(request=None, responses=TokenSerializer)
    @action(detail=True, methods=["post"])
    def reinstate(self, request: Request, pk: Any = None) -> Response:
        """Let a revoked agent in again, with a new token, shown this one time."""
        agent = self.get_object()
        return Response(TokenSerializer.of(agent, agents.reinstate_agent(agent)))

    def _shown(self, agent: Agent) -> dict[str, Any]:
        return dict(self.get_serializer(self.get_queryset().get(id=agent.id)).data)
