"""Gatus' maintenance: of a whole file, and of an endpoint. How it is read was read in its config/maintenance/maintenance.go."""

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.windows import UNREAD, Schedule, Unsaid, weekly, whole_minutes
from apps.checks.importers.wish import seconds

START = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ALERTS_ALONE = _("In Gatus its maintenance holds back alerts alone; here what is measured meanwhile judges nothing.")


def is_in_force(given: Any) -> bool:
    """Tell whether there is maintenance, and nobody switched it off."""
    return bool(given) and not (isinstance(given, Mapping) and given.get("enabled") is False)


def schedule_of(given: Any) -> Schedule:
    """Return when maintenance takes place; raise `Unsaid`."""
    if not isinstance(given, Mapping):
        raise Unsaid(UNREAD)
    start, days = str(given.get("start")), given.get("every") or list(DAYS)
    if not START.fullmatch(start) or not isinstance(days, list) or not {str(day).lower() for day in days} <= set(DAYS):
        raise Unsaid(UNREAD)
    return weekly(
        weekdays=[DAYS.index(str(day).lower()) for day in days],
        time_of_day=start,
        minutes=whole_minutes(_lasting(given.get("duration"))),
        time_zone=str(given.get("timezone") or "UTC"),
    )


def _lasting(duration: Any) -> float:
    """Return a duration in seconds; a number without a unit Gatus takes for nanoseconds."""
    found = seconds(duration) if isinstance(duration, str) and not duration.strip().isdigit() else None
    if found is None:
        raise Unsaid(UNREAD)
    return found
