"""Plain functions that make rows the way the product makes them."""

from allauth.account.models import EmailAddress

from apps.accounts.models import User
from apps.core.tenancy import tenant_scope
from apps.tenants.domain.tenants import create_tenant
from apps.tenants.enums import Role
from apps.tenants.models import Membership, Tenant

PASSWORD = "correct horse battery"


def make_user(email: str, *, name: str = "", is_staff: bool = False) -> User:
    """A person with a verified address and `PASSWORD`."""
    user = User.objects.create_user(email, PASSWORD, name=name, is_staff=is_staff)
    EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    return user


def make_tenant(name: str, owner: User) -> Tenant:
    return create_tenant(name=name, owner=owner)


def make_member(tenant: Tenant, email: str, role: Role) -> User:
    """A person who belongs to the tenant in that role."""
    user = make_user(email)
    with tenant_scope(tenant.id):
        Membership.objects.create(user=user, role=role)
    return user
