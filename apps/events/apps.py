"""Events: the outbox that carries facts between apps, and the table of what recurs."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    name = "apps.events"
    verbose_name = "Events"
