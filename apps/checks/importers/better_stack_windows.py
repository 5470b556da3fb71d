"""Better Stack's maintenance: from and to a time of the day, on days of the week, in a zone by its name in Rails."""

import re
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django.utils.translation import gettext_lazy as _

from apps.checks.importers.hosted import told
from apps.checks.importers.tables import Row
from apps.checks.importers.windows import UNREAD, Schedule, Unsaid, weekly, whole_minutes

TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
AREAS = frozenset({"Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Pacific"})
# https://api.rubyonrails.org/classes/ActiveSupport/TimeZone.html; most are a zone's city, and Samoa is not Pacific/Samoa.
RAILS = {
    "Atlantic Time (Canada)": "America/Halifax",
    "Eastern Time (US & Canada)": "America/New_York",
    "Central Time (US & Canada)": "America/Chicago",
    "Mountain Time (US & Canada)": "America/Denver",
    "Pacific Time (US & Canada)": "America/Los_Angeles",
    "Samoa": "Pacific/Apia",
}


def is_maintained(row: Row) -> bool:
    return row.text("maintenancefrom") != row.text("maintenanceto")


def schedule_of(row: Row) -> Schedule:
    """Return when a row's maintenance takes place; raise `Unsaid`."""
    begin, end = (_seconds(row.text(name)) for name in ("maintenancefrom", "maintenanceto"))
    days = _days(row)
    if end < begin and len(days) < len(DAYS):
        raise Unsaid(_("it goes beyond midnight, on some days of the week alone"))
    if begin % 60:
        raise Unsaid(UNREAD)
    return weekly(
        weekdays=days,
        time_of_day=f"{begin // 3_600:02}:{begin // 60 % 60:02}",
        minutes=whole_minutes((end - begin) % 86_400),
        time_zone=_zone(row.text("maintenancetimezone") or "UTC"),
    )


def _seconds(text: str) -> int:
    found = TIME.fullmatch(text)
    if not found:
        raise Unsaid(UNREAD)
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3_600 + minutes * 60 + seconds


def _days(row: Row) -> set[int]:
    """Return the days of the week; exports from before there was a choice have none, and mean each."""
    if "maintenancedays" not in row.values:
        return set(range(7))
    given: Any = told(row.get("maintenancedays"))
    listed = re.split(r"[\s,;]+", given.strip()) if isinstance(given, str) else given
    if not isinstance(listed, list) or not listed or not {str(day) for day in listed} <= set(DAYS):
        raise Unsaid(UNREAD)
    return {DAYS.index(day) for day in listed}


def _zone(name: str) -> str:
    """Return a zone by its name in Rails; one that is not known is left to be refused by its name."""
    return RAILS.get(name) or _cities().get(name) or name


@cache
def _cities() -> dict[str, str]:
    parts = [(zone, *zone.split("/")) for zone in sorted(available_timezones()) if zone.count("/") == 1]
    return {city.replace("_", " "): zone for zone, area, city in parts if area in AREAS}
