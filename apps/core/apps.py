"""Core: the tenancy gate and the doors to the outside world. No concrete models."""

from importlib import import_module

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "apps.core"
    verbose_name = "Core"

    def ready(self) -> None:
        import_module("apps.core.checks")  # registers the system checks
