"""Events: the outbox that carries facts between apps, and the table of what recurs."""

from django.apps import AppConfig
from django.conf import settings
from django.utils.module_loading import import_string


class EventsConfig(AppConfig):
    name = "apps.events"
    verbose_name = "Events"

    def ready(self) -> None:
        """Make the product's Celery application the current one in every process, so that hints reach its broker."""
        import_string(settings.TASK_APPLICATION)
