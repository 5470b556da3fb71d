"""Permissions of this app."""

from django.utils.translation import gettext_lazy as _

from apps.tenants.enums import EDITORS, EVERYONE
from apps.tenants.permissions import Permission

VIEW = Permission("notifications.view", _("See channels and deliveries"), EVERYONE)
MANAGE = Permission(
    "notifications.manage", _("Create, change, test and delete channels; send a delivery again"), EDITORS
)

PERMISSIONS = (VIEW, MANAGE)
