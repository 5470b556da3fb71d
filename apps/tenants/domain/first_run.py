"""The first tenant of an installation, so that a new machine can be signed in to at once."""

import secrets
from dataclasses import dataclass

from django.db import connection, transaction

from apps.accounts.domain.people import create_person
from apps.core.tenancy import tenant_scope
from apps.tenants.domain.api_keys import create_api_key
from apps.tenants.domain.rights import permissions_of
from apps.tenants.domain.tenants import create_tenant
from apps.tenants.enums import Role
from apps.tenants.models import Tenant

SLUG = "main"
LOCK_NUMBER = 0x0B5E7A


@dataclass(frozen=True, slots=True)
class FirstTenant:
    """What the operator needs to begin; the password and the key are nowhere else."""

    email: str
    password: str
    api_key: str
    tenant: str


@transaction.atomic
def provision_first_tenant(*, email: str, tenant_name: str) -> FirstTenant | None:
    """Found the first tenant with its owner, who is also the operator; return None where any tenant exists."""
    with connection.cursor() as cursor:  # rival: a second start of the same installation
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_NUMBER])
    if Tenant.objects.exists():
        return None
    password = secrets.token_urlsafe(15)
    owner = create_person(email=email, password=password, name="Owner", is_operator=True)
    tenant = create_tenant(name=tenant_name, owner=owner, slug=SLUG)
    with tenant_scope(tenant.id):
        _key, text = create_api_key(name="First key", role=Role.OWNER, created_by=owner, can=permissions_of(Role.OWNER))
    return FirstTenant(email=owner.email, password=password, api_key=text, tenant=tenant.slug)
