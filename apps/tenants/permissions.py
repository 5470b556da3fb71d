"""Permissions of this app, and what a permission is."""

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from apps.tenants.enums import ADMINS, EVERYONE, OWNERS, Role


class Permission(NamedTuple):
    """A right by name, and the roles that have it."""

    name: str
    label: str | Promise
    roles: frozenset[Role]


VIEW_TENANT = Permission("tenants.view", _("See members and settings"), EVERYONE)
MANAGE_MEMBERS = Permission("tenants.manage_members", _("Invite, change and remove members"), ADMINS)
MANAGE_SETTINGS = Permission("tenants.manage_settings", _("Change the organisation's settings"), ADMINS)
MANAGE_API_KEYS = Permission("tenants.manage_api_keys", _("Create and revoke API keys"), ADMINS)
MANAGE_OWNERS = Permission("tenants.manage_owners", _("Appoint and remove owners"), OWNERS)

PERMISSIONS = (VIEW_TENANT, MANAGE_MEMBERS, MANAGE_SETTINGS, MANAGE_API_KEYS, MANAGE_OWNERS)
