"""Permissions of this app."""

from django.utils.translation import gettext_lazy as _

from apps.tenants.enums import EDITORS, EVERYONE
from apps.tenants.permissions import Permission

VIEW_ALERTS = Permission("alerting.view", _("See alerts, rules and silences"), EVERYONE)
RESPOND = Permission("alerting.respond", _("Acknowledge and silence alerts"), EDITORS)
MANAGE_RULES = Permission("alerting.manage", _("Create, change and delete alert rules"), EDITORS)

PERMISSIONS = (VIEW_ALERTS, RESPOND, MANAGE_RULES)
