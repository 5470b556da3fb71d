"""The door for programs: every API view of a tenant stands on these."""

from contextlib import ExitStack
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions, viewsets
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.models import User
from apps.core import rate
from apps.core.tenancy import tenant_scope
from apps.tenants.domain.api_keys import find_api_key
from apps.tenants.domain.memberships import membership_of
from apps.tenants.domain.rights import permissions_of
from apps.tenants.models import ApiKey, Tenant
from apps.tenants.permissions import Permission

TENANT_HEADER = "Obsera-Tenant"


class KeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer obs_live_…``."""

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        scheme, _space, text = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        key = find_api_key(text.decode("latin-1").strip())
        if key is None:
            raise exceptions.AuthenticationFailed(_("This API key is unknown, expired or revoked."))
        return None, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="obsera"'


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = KeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "obs_live_…"}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = SessionAuthentication
    name = "session"
    priority = 1

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        cookie = settings.SESSION_COOKIE_NAME
        return {"type": "apiKey", "in": "cookie", "name": cookie, "description": f"With the header {TENANT_HEADER}."}


class TenantAPIView(APIView):
    """Finds the tenant (by key, or by session and header), the caller's rights, and opens the scope around the handler.

    ``permissions`` maps each action (a ViewSet's) or method (lower case) to the right it needs; what is missing is refused.
    In handlers: ``self.tenant``, ``self.can`` (names of the caller's rights), ``self.actor`` (a person, or None for a key).
    """

    authentication_classes = (KeyAuthentication, SessionAuthentication)
    permission_classes = ()
    http_method_names = (
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "head",
        "options",
    )  # TRACE would find an action `trace`
    permissions: ClassVar[dict[str, Permission]] = {}
    door = "tenant"
    tenant: Tenant
    can: frozenset[str]
    _verdict: rate.Verdict | None = None

    @property
    def actor(self) -> User | None:
        return self.request.user if isinstance(self.request.user, User) else None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self._scope: ExitStack
        with transaction.atomic(), ExitStack() as self._scope:
            return super().dispatch(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        transaction.set_rollback(True)  # an answered error must not keep half of what it began
        return super().handle_exception(exc)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        # The address is counted before the key is looked at: guessing keys must not be free.
        self._spend(f"address:{request.META.get('REMOTE_ADDR', '')}", settings.API_RATE_PER_ADDRESS)
        super().initial(request, *args, **kwargs)
        self.tenant, role = self._caller(request)
        self._scope.enter_context(tenant_scope(self.tenant.id))
        self.can = permissions_of(role or self._member_role())
        needed = self._needed_permission(request)
        if needed is None:
            raise exceptions.MethodNotAllowed(str(request.method))
        if needed.name not in self.can:
            raise exceptions.PermissionDenied(_("This needs the right “%(right)s”.") % {"right": needed.name})

    def _needed_permission(self, request: Request) -> Permission | None:
        if isinstance(self, viewsets.ViewSetMixin):
            return self.permissions.get(self.action or "")
        return self.permissions.get({"HEAD": "get"}.get(str(request.method), str(request.method).lower()))

    def _spend(self, key: str, per_minute: int) -> None:
        self._verdict = rate.spend(f"api:{key}", rate.Limit(per_minute=per_minute, burst=max(per_minute // 2, 1)))
        if not self._verdict.is_allowed:
            raise exceptions.Throttled(wait=self._verdict.retry_after_seconds)

    def _caller(self, request: Request) -> tuple[Tenant, str]:
        """Return the tenant and the key's role; a session's role is empty and read under the scope."""
        if isinstance(request.auth, ApiKey):
            self._spend(f"key:{request.auth.id}", settings.API_RATE_PER_KEY)
            return request.auth.tenant, request.auth.role
        if not isinstance(request.user, User):
            raise exceptions.NotAuthenticated
        self._spend(f"person:{request.user.id}", settings.API_RATE_PER_KEY)
        tenant = Tenant.objects.filter(slug=request.headers.get(TENANT_HEADER, "")).first()
        if tenant is None:
            raise exceptions.NotFound(_("Name your tenant's address in the header Obsera-Tenant."))
        return tenant, ""

    def _member_role(self) -> str:
        membership = membership_of(self.actor, self.tenant) if self.actor else None
        if membership is None:
            raise exceptions.NotFound(_("Name your tenant's address in the header Obsera-Tenant."))
        return membership.role

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        super().finalize_response(request, response, *args, **kwargs)
        for name, value in self._verdict.headers().items() if self._verdict else ():
            response[name] = value
        response.render()  # serialisation may still read rows: inside the scope
        return response


class TenantViewSet(TenantAPIView, viewsets.GenericViewSet[Any]):
    """`TenantAPIView` for a resource with actions. Ids in addresses are UUIDs; anything else is 404."""

    lookup_value_regex = "[0-9a-fA-F-]{36}"
