"""Outages with their timelines, and maintenance windows."""

from apps.incidents.models.outage import MAX_NOTE_LENGTH, Outage, OutageEntry
from apps.incidents.models.window import MAX_DURATION, MIN_DURATION, MaintenanceWindow, WindowCheck

__all__ = [
    "MAX_DURATION",
    "MAX_NOTE_LENGTH",
    "MIN_DURATION",
    "MaintenanceWindow",
    "Outage",
    "OutageEntry",
    "WindowCheck",
]
