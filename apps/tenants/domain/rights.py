"""Who may do what: each role as a set of permission names, gathered from every app's ``permissions.py``."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps

from apps.tenants.enums import Role
from apps.tenants.permissions import Permission


@cache
def all_permissions() -> tuple[Permission, ...]:
    """Return every permission of the installed apps, in the apps' order."""
    found: list[Permission] = []
    for app in apps.get_app_configs():
        module = f"{app.name}.permissions"
        if app.name.startswith("apps.") and find_spec(module):
            found.extend(getattr(import_module(module), "PERMISSIONS", ()))
    return tuple(found)


@cache
def permissions_of(role: str) -> frozenset[str]:
    """Return the names of what the role may do."""
    return frozenset(permission.name for permission in all_permissions() if Role(role) in permission.roles)
