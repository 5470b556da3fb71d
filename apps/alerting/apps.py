"""Alerting: opinions about facts. Which outage is worth a message, to whom, when, and why not."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AlertingConfig(AppConfig):
    name = "apps.alerting"
    verbose_name = _("Alerting")
