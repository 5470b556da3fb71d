"""Named reads about who belongs to a tenant."""

from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.db.models.functions import Lower

from apps.tenants.enums import Role
from apps.tenants.models import ApiKey, Invitation, Membership

_STRENGTH = Case(
    *(When(role=role, then=Value(place)) for place, role in enumerate(Role)),
    output_field=IntegerField(),
    default=Value(9),
)


def members() -> QuerySet[Membership]:
    """Return the open tenant's members, the strongest roles first, then by name."""
    found: QuerySet[Membership] = Membership.objects.select_related("user")
    return found.order_by(_STRENGTH, Lower("user__name"), "user__email")


def open_invitations() -> QuerySet[Invitation]:
    """Return the open tenant's invitations that nobody accepted yet, newest first."""
    found: QuerySet[Invitation] = Invitation.objects.filter(accepted_at=None)
    return found.select_related("invited_by").order_by("-created_at")


def unrevoked_keys() -> QuerySet[ApiKey]:
    """Return the open tenant's keys that were not revoked; expired ones too, so that people see why a program stopped."""
    found: QuerySet[ApiKey] = ApiKey.objects.filter(revoked_at=None)
    return found.select_related("created_by").order_by("-created_at")
