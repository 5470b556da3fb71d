"""Permissions of this app."""

from django.utils.translation import gettext_lazy as _

from apps.tenants.enums import ADMINS, EDITORS, EVERYONE
from apps.tenants.permissions import Permission

VIEW_CHECKS = Permission("checks.view", _("See checks and their results"), EVERYONE)
EDIT_CHECKS = Permission("checks.edit", _("Create, change, pause and delete checks"), EDITORS)
# Whoever holds an agent's token is told the secrets of the checks it probes.
MANAGE_AGENTS = Permission("checks.manage_agents", _("Add, rename, revoke and delete agents"), ADMINS)
# Who replaces it silences every job that reports by its check's name.
MANAGE_PING_KEY = Permission("checks.manage_ping_key", _("Replace the ping key that jobs report with"), ADMINS)

PERMISSIONS = (VIEW_CHECKS, EDIT_CHECKS, MANAGE_AGENTS, MANAGE_PING_KEY)
