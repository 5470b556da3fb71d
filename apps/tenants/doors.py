"""The doors for pages: each opens the scope it needs, and marks its view for the contract test."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.core.doors import View, account_view, marked, public_view, staff_view
from apps.core.tenancy import tenant_scope
from apps.tenants.domain.memberships import membership_of
from apps.tenants.domain.rights import permissions_of
from apps.tenants.models import Membership, Tenant
from apps.tenants.permissions import Permission

__all__ = ["TenantRequest", "account_view", "public_view", "require", "staff_view", "tenant_view"]
LAST_TENANT = "tenant"  # in the session: where `/` leads next time


class TenantRequest(HttpRequest):
    """A request that came in through a tenant door."""

    user: User
    tenant: Tenant
    membership: Membership
    can: frozenset[str]


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
            with tenant_scope(tenant.id), transaction.atomic(), _forgetting_on_refusal(request):
                _admit(cast("TenantRequest", request), tenant, permission)
                with timezone.override(tenant.time_zone):
                    return view(request, *args, **kwargs)

        return marked(guarded, "tenant", permission)

    return decorate


@contextmanager
def _forgetting_on_refusal(request: HttpRequest) -> Iterator[None]:
    """The 403 and 404 pages are made after the scope has closed: they must not find a tenant to ask about."""
    try:
        yield
    except (Http404, PermissionDenied):
        for name in ("tenant", "membership", "can"):
            request.__dict__.pop(name, None)
        raise


def _admit(request: TenantRequest, tenant: Tenant, permission: Permission) -> None:
    membership = membership_of(request.user, tenant)
    if membership is None:
        raise Http404
    request.tenant, request.membership, request.can = tenant, membership, permissions_of(membership.role)
    require(request, permission)
    if request.session.get(LAST_TENANT) != tenant.slug:
        request.session[LAST_TENANT] = tenant.slug


def require(request: TenantRequest, permission: Permission) -> None:
    """Refuse (403) who lacks a right that only a part of the page needs, such as its POST."""
    if permission.name not in request.can:
        raise PermissionDenied(_("This needs the right “%(right)s”.") % {"right": permission.label})
