"""Permissions of this app."""

from django.utils.translation import gettext_lazy as _

from apps.tenants.enums import EDITORS, EVERYONE
from apps.tenants.permissions import Permission

VIEW_PAGES = Permission("statuspages.view", _("See status pages before they are published"), EVERYONE)
EDIT_PAGES = Permission("statuspages.edit", _("Create, change and delete status pages"), EDITORS)

PERMISSIONS = (VIEW_PAGES, EDIT_PAGES)
