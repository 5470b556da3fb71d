"""What templates know of the tenant."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.accounts.models import User
from apps.tenants.domain.memberships import tenants_of


def tenant(request: HttpRequest) -> dict[str, Any]:
    """Return the open tenant, the member's rights (``can``) and, lazily, all tenants of the person."""
    if not hasattr(request, "tenant"):
        return {"tenant": None, "can": frozenset()}
    user = request.user
    return {
        "tenant": request.tenant,
        "membership": request.membership,  # type: ignore[attr-defined]
        "can": request.can,  # type: ignore[attr-defined]
        "switchable_tenants": SimpleLazyObject(lambda: tenants_of(user) if isinstance(user, User) else []),
    }
