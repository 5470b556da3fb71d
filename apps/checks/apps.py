"""Checks: what is watched, how, and what was seen."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChecksConfig(AppConfig):
    name = "apps.checks"
    verbose_name = _("Checks")
