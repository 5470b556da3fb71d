"""Permissions of this app."""

from django.utils.translation import gettext_lazy as _

from apps.tenants.enums import EDITORS, EVERYONE
from apps.tenants.permissions import Permission

VIEW_CHECKS = Permission("checks.view", _("See checks and their results"), EVERYONE)
EDIT_CHECKS = Permission("checks.edit", _("Create, change, pause and delete checks"), EDITORS)

PERMISSIONS = (VIEW_CHECKS, EDIT_CHECKS)
