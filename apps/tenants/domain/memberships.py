"""Joining, leaving, changing roles."""

from collections.abc import Sequence
from typing import cast

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.core.refusals import Refusal
from apps.core.tenancy import current_tenant_id, system_scope
from apps.events.domain.outbox import emit
from apps.tenants.domain.rights import refuse_beyond
from apps.tenants.enums import Role
from apps.tenants.events import MemberRemoved
from apps.tenants.models import Membership, Tenant


class LastOwner(Refusal):
    """A tenant keeps at least one owner."""

    message = _("An organisation needs an owner: appoint another one first.")


def tenants_of(user: User) -> list[Tenant]:
    """Return the tenants a person belongs to, by name: the one question that crosses tenants for a signed-in person."""
    with system_scope("a person asks for their own memberships"):
        found = Membership.unscoped.filter(user=user).select_related("tenant").order_by("tenant__name", "tenant__slug")
        return [membership.tenant for membership in found]


def tenant_to_enter(tenants: Sequence[Tenant], last_slug: str | None) -> Tenant | None:
    """Return where a signed-in person goes: where they were last, or the only tenant; None means they choose."""
    last = next((tenant for tenant in tenants if tenant.slug == last_slug), None)
    return last or (tenants[0] if len(tenants) == 1 else None)


def membership_of(user: User, tenant: Tenant) -> Membership | None:
    """Return the person's membership in that tenant, read under the open scope."""
    return cast("Membership | None", Membership.objects.filter(user=user, tenant=tenant).first())


def _refuse_last_owner(membership: Membership) -> None:
    """Rival: another admin removing the other owner at the same moment; both lock the owners' rows first."""
    owners = Membership.objects.select_for_update().filter(role=Role.OWNER).order_by("id")
    if [owner.id for owner in owners] == [membership.id]:
        raise LastOwner


@transaction.atomic
def change_role(*, membership: Membership, role: Role, can: frozenset[str]) -> Membership:
    """Give a member another role. ``can`` are the rights of who asks: neither the old nor the new role may exceed them.

    Raises `PermissionDenied`, or `LastOwner` rather than leave the tenant without one.
    """
    refuse_beyond(can, membership.role, role)
    if role != Role.OWNER:
        _refuse_last_owner(membership)
    membership.role = role
    membership.save(update_fields=["role"])
    return membership


def remove_member(*, membership: Membership, can: frozenset[str]) -> None:
    """End someone's membership; raise `PermissionDenied` where their role exceeds the asker's rights, or `LastOwner`."""
    refuse_beyond(can, membership.role)
    leave(membership=membership)


@transaction.atomic
def leave(*, membership: Membership) -> None:
    """End one's own membership; raise `LastOwner` rather than leave the tenant without one."""
    _refuse_last_owner(membership)
    user_id = membership.user_id
    membership.delete()
    emit(MemberRemoved(tenant_id=current_tenant_id(), user_id=user_id))
