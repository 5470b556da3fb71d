"""Tenants, members, invitations and keys for programs."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from apps.plans.domain.usage import uses_of
from apps.tenants.api import serializers
from apps.tenants.api.base import TenantAPIView, TenantViewSet
from apps.tenants.domain import api_keys, invitations, memberships, tenants
from apps.tenants.enums import Role
from apps.tenants.models import ApiKey, Invitation, Membership
from apps.tenants.permissions import MANAGE_API_KEYS, MANAGE_MEMBERS, MANAGE_SETTINGS, VIEW_TENANT


class TenantView(TenantAPIView):
    """The tenant itself."""

    permissions = {"get": VIEW_TENANT, "patch": MANAGE_SETTINGS}

    @extend_schema(responses=serializers.TenantSerializer)
    def get(self, request: Request) -> Response:
        """Read the tenant that the key or the header names."""
        return Response(serializers.TenantSerializer(self.tenant).data)

    @extend_schema(request=serializers.TenantSettingsSerializer, responses=serializers.TenantSerializer)
    def patch(self, request: Request) -> Response:
        """Change the tenant's name or time zone."""
        given = serializers.TenantSettingsSerializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        settings = {"name": self.tenant.name, "time_zone": self.tenant.time_zone, **given.validated_data}
        tenants.change_settings(tenant=self.tenant, **settings)
        return Response(serializers.TenantSerializer(self.tenant).data)


class PlanView(TenantAPIView):
    """The tenant's plan."""

    permissions = {"get": VIEW_TENANT}

    @extend_schema(responses=serializers.TenantPlanSerializer)
    def get(self, request: Request) -> Response:
        """Read what the plan allows and how much of it is used."""
        standing, uses = uses_of(self.tenant.id)
        return Response(serializers.TenantPlanSerializer({"standing": standing, "uses": uses}).data)


class MemberViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """Who belongs to the tenant."""

    permissions = {
        "list": VIEW_TENANT,
        "retrieve": VIEW_TENANT,
        "partial_update": MANAGE_MEMBERS,
        "destroy": MANAGE_MEMBERS,
    }
    queryset = Membership.objects.select_related("user")
    serializer_class = serializers.MemberSerializer

    @extend_schema(request=serializers.RoleSerializer, responses=serializers.MemberSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Give a member another role, neither from nor to one above your own rights."""
        member = self.get_object()
        given = serializers.RoleSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        memberships.change_role(membership=member, role=Role(given.validated_data["role"]), can=self.can)
        return Response(self.get_serializer(member).data)

    def destroy(self, request: Request, pk: str) -> Response:
        """Remove a member. The last owner stays (409)."""
        memberships.remove_member(membership=self.get_object(), can=self.can)
        return Response(status=status.HTTP_204_NO_CONTENT)


class InvitationViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """Invitations that were not accepted yet."""

    permissions = {
        "list": VIEW_TENANT,
        "retrieve": VIEW_TENANT,
        "create": MANAGE_MEMBERS,
        "destroy": MANAGE_MEMBERS,
    }
    queryset = Invitation.objects.filter(accepted_at=None)
    serializer_class = serializers.InvitationSerializer

    @extend_schema(
        request=serializers.NewInvitationSerializer,
        responses={status.HTTP_201_CREATED: serializers.InvitationSerializer},
    )
    def create(self, request: Request) -> Response:
        """Invite a person by e-mail; an open invitation of the same address is replaced by a fresh one."""
        given = serializers.NewInvitationSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        email, role = given.validated_data["email"], Role(given.validated_data["role"])
        invitation = invitations.invite(email=email, role=role, invited_by=self.actor, can=self.can)
        return Response(self.get_serializer(invitation).data, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: str) -> Response:
        """Withdraw an invitation: the letter's link dies."""
        invitations.withdraw(invitation=self.get_object(), can=self.can)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ApiKeyViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """Keys for programs."""

    permissions = dict.fromkeys(("list", "retrieve", "create", "destroy"), MANAGE_API_KEYS)
    queryset = ApiKey.objects.all()
    serializer_class = serializers.ApiKeySerializer

    @extend_schema(
        request=serializers.NewApiKeySerializer, responses={status.HTTP_201_CREATED: serializers.MadeApiKeySerializer}
    )
    def create(self, request: Request) -> Response:
        """Make a key, with no more rights than your own. Its text (`key`) is shown this one time."""
        given = serializers.NewApiKeySerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted: dict[str, Any] = {**given.validated_data, "role": Role(given.validated_data["role"])}
        made = api_keys.create_api_key(**wanted, created_by=self.actor, can=self.can)
        return Response(serializers.MadeApiKeySerializer(made).data, status=status.HTTP_201_CREATED)

    def destroy(self, request: Request, pk: str) -> Response:
        """Revoke a key; it stays in the list with the moment of its end."""
        api_keys.revoke_api_key(key=self.get_object(), can=self.can)
        return Response(status=status.HTTP_204_NO_CONTENT)
