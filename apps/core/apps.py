"""Core: the tenancy gate and the doors to the outside world. No concrete models."""

from importlib import import_module

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "apps.core"
    verbose_name = "Core"

    def ready(self) -> None:
        import_module("apps.core.checks")  # registers the system checks
        import_module(
            "apps.core.postgres.arrays"
        )  # how to bind a column: Django's first connection copies what is known
