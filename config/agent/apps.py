"""The app that only looks different where there is no broker to send hints to."""

from django.apps import AppConfig


class EventsWithoutTasks(AppConfig):
    """The events app, whose models others refer to; an agent has no Celery application to make current."""

    name = "apps.events"
    verbose_name = "Events"
