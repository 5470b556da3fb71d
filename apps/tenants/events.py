"""Events of this app."""

from dataclasses import dataclass
from uuid import UUID

from apps.events.base import Event


@dataclass(frozen=True, kw_only=True)
class TenantCreated(Event):
    """A tenant exists."""

    name = "tenants.created"


@dataclass(frozen=True, kw_only=True)
class MemberRemoved(Event):
    """A person no longer belongs to the tenant."""

    name = "tenants.member_removed"

    user_id: UUID


@dataclass(frozen=True, kw_only=True)
class MemberInvited(Event):
    """Someone was invited and awaits the letter."""

    name = "tenants.member_invited"

    invitation_id: UUID
