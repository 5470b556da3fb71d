"""Reading the wiring: which handlers an event has, which event a name stands for."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from apps.events.base import Event

EventTable = Mapping[type[Event], tuple[str, ...]]


@cache
def event_table() -> EventTable:
    """Return `config.event_table`, loaded late: it names handlers of every floor."""
    table: EventTable = import_string(settings.EVENT_TABLE)
    return table


@cache
def event_classes() -> dict[str, type[Event]]:
    return {event.name: event for event in event_table()}


@cache
def handler_function(path: str) -> Callable[[Any], None]:
    function: Callable[[Any], None] = import_string(path)
    return function
