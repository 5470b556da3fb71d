"""The doors for pages: each opens the scope it needs, and marks its view for the contract test."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone

from apps.accounts.models import User
from apps.core.tenancy import tenant_scope
from apps.tenants.domain.memberships import membership_of
from apps.tenants.domain.rights import permissions_of
from apps.tenants.models import Membership, Tenant
from apps.tenants.permissions import Permission

View = Callable[..., HttpResponse]


class TenantRequest(HttpRequest):
    """A request that came in through a tenant door."""

    user: User
    tenant: Tenant
    membership: Membership
    can: frozenset[str]


def _marked(view: View, door: str, permission: Permission | None = None) -> View:
    view.door = door  # type: ignore[attr-defined]
    view.permission = permission  # type: ignore[attr-defined]
    return view


def tenant_view(permission: Permission) -> Callable[[Callable[..., HttpResponse]], View]:
    """Open ``/t/<tenant_slug>/…`` for members with the permission: strangers get 404, members without the right 403.

    The view runs in one transaction under the tenant's scope, and gets the request without the slug.
    """

    def decorate(view: Callable[..., HttpResponse]) -> View:
        @login_required
        @wraps(view)
        def guarded(request: HttpRequest, tenant_slug: str, *args: Any, **kwargs: Any) -> HttpResponse:
            tenant = Tenant.objects.filter(slug=tenant_slug).first()
            if tenant is None:
                raise Http404
            with tenant_scope(tenant.id), transaction.atomic():
                _admit(cast("TenantRequest", request), tenant, permission)
                with timezone.override(tenant.time_zone):
                    return view(request, *args, **kwargs)

        return _marked(guarded, "tenant", permission)

    return decorate


def _admit(request: TenantRequest, tenant: Tenant, permission: Permission) -> None:
    membership = membership_of(request.user, tenant)
    if membership is None:
        raise Http404
    request.tenant, request.membership, request.can = tenant, membership, permissions_of(membership.role)
    if permission.name not in request.can:
        raise PermissionDenied


def account_view(view: View) -> View:
    """Open a page for anyone signed in, without a tenant."""
    return _marked(wraps(view)(login_required(view)), "account")


def public_view(view: View) -> View:
    """Mark a page that anyone may see."""

    @wraps(view)
    def opened(*args: Any, **kwargs: Any) -> HttpResponse:
        return view(*args, **kwargs)

    return _marked(opened, "public")


def staff_view(view: View) -> View:
    """Open a page for the operator only; to others it does not exist."""

    @login_required
    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not cast("User", request.user).is_staff:
            raise Http404
        return view(request, *args, **kwargs)

    return _marked(guarded, "staff")
