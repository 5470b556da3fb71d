"""A program that talks to the API with a key."""

from typing import Any

from django.test import Client

from apps.core.tenancy import tenant_scope
from apps.tenants.domain.api_keys import create_api_key
from apps.tenants.domain.rights import permissions_of
from apps.tenants.enums import Role
from apps.tenants.models import Tenant


class Api:
    """Sends JSON with a key; answers are Django's test responses."""

    def __init__(self, key: str) -> None:
        self.key = key
        self._client = Client(raise_request_exception=False)

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        given = {"authorization": f"Bearer {self.key}", **headers}
        content = {"data": body, "content_type": "application/json"} if body is not None else {}
        return getattr(self._client, method)(path, headers=given, **content)

    def get(self, path: str, **headers: str) -> Any:
        return self.request("get", path, **headers)

    def post(self, path: str, body: Any, **headers: str) -> Any:
        return self.request("post", path, body, **headers)

    def patch(self, path: str, body: Any) -> Any:
        return self.request("patch", path, body)

    def delete(self, path: str) -> Any:
        return self.request("delete", path)


def make_api(tenant: Tenant, role: Role = Role.OWNER) -> Api:
    """Return a program of that tenant whose key has that role."""
    with tenant_scope(tenant.id):
        _key, text = create_api_key(name=f"test {role}", role=role, created_by=None, can=permissions_of(Role.OWNER))
    return Api(text)
