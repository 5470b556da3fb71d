"""Founding tenants."""

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.core.refusals import Refusal
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import emit
from apps.tenants.enums import Role
from apps.tenants.events import TenantCreated
from apps.tenants.models import Membership, Tenant


class SlugTaken(Refusal):
    """Another tenant has that address."""

    message = _("This address is taken; choose another.")


def free_slug(name: str) -> str:
    """Return an address made of the name that no tenant has yet."""
    stem = slugify(name)[:40].strip("-") or "tenant"
    taken = set(Tenant.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    return next(
        slug for slug in (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))) if slug not in taken
    )


def create_tenant(*, name: str, owner: User, slug: str = "", time_zone: str = "UTC") -> Tenant:
    """Found a tenant with its first owner; raise `SlugTaken` where the address belongs to another."""
    tenant = Tenant(name=name, slug=slug or free_slug(name), time_zone=time_zone)
    tenant.allows_private_targets = settings.ALLOW_PRIVATE_TARGETS
    with tenant_scope(tenant.id), transaction.atomic():
        try:
            with transaction.atomic():
                tenant.save(force_insert=True)
        except IntegrityError as error:  # rival: someone founding the same address right now
            raise SlugTaken from error
        Membership.objects.create(user=owner, role=Role.OWNER)
        emit(TenantCreated(tenant_id=tenant.id))
    return tenant


def change_settings(*, tenant: Tenant, name: str, time_zone: str) -> None:
    """Keep the tenant's name and time zone. Its address stays: links and bookmarks hold it."""
    tenant.name = name
    tenant.time_zone = time_zone
    tenant.save(update_fields=["name", "time_zone"])
