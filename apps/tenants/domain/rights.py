"""Who may do what: each role as a set of permission names, gathered from every app's ``permissions.py``."""

from functools import cache
from importlib import import_module
from importlib.util import find_spec

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _

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


def may_grant(can: frozenset[str], role: str) -> bool:
    """Tell whether someone with these rights may give, change or take that role: nobody reaches above their own rights."""
    return permissions_of(role) <= can


def grantable_roles(can: frozenset[str]) -> list[Role]:
    """Return the roles that someone with these rights may give, the strongest first."""
    return [role for role in Role if may_grant(can, role)]


def refuse_beyond(can: frozenset[str], *roles: str) -> None:
    """Raise `PermissionDenied` where one of the roles reaches above these rights."""
    for role in roles:
        if not may_grant(can, role):
            raise PermissionDenied(_("Your own role does not reach the role “%(role)s”.") % {"role": Role(role).label})
