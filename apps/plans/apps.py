"""Plans: what a tenant may have, and whether one more still fits. Money is not known here."""

from django.apps import AppConfig


class PlansConfig(AppConfig):
    name = "apps.plans"
    verbose_name = "Plans"
