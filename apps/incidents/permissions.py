"""Permissions of this app."""

from django.utils.translation import gettext_lazy as _

from apps.tenants.enums import EDITORS, EVERYONE
from apps.tenants.permissions import Permission

VIEW_OUTAGES = Permission("incidents.view", _("See outages"), EVERYONE)
NOTE_OUTAGES = Permission("incidents.note", _("Write notes on outages"), EDITORS)
PLAN_MAINTENANCE = Permission("incidents.plan_maintenance", _("Plan maintenance"), EDITORS)

PERMISSIONS = (VIEW_OUTAGES, NOTE_OUTAGES, PLAN_MAINTENANCE)
