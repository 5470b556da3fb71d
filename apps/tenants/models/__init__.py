"""Tenants, who belongs to them, and their keys."""

from apps.tenants.models.base import TenantModel
from apps.tenants.models.keys import ApiKey
from apps.tenants.models.people import Invitation, Membership
from apps.tenants.models.tenant import Tenant

__all__ = ["ApiKey", "Invitation", "Membership", "Tenant", "TenantModel"]
