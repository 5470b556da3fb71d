"""Core: the tenancy gate and the doors to the outside world. No concrete models."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "apps.core"
    verbose_name = "Core"
