"""Another product's maintenance in neutral words, and its way into entries of a configuration document."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from apps.core.kinds import Text

SECTION = "maintenance"  # of a document
MAX_WINDOWS = 200  # as many as a document holds
MAX_COVERED = 1_000  # as many checks as one of them may name
UNCOVERED = _("None of the checks that it covers comes over.")
UNREAD = _("it cannot be read")
SHORTEST = 60  # seconds

Schedule = Mapping[str, Any]


class Unsaid(ValueError):
    """No window here says the same; the text says why."""

    def __init__(self, reason: Text) -> None:
        super().__init__(reason)

    @property
    def reason(self) -> Text:
        text: Text = self.args[0]
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Maintenance of some checks, by their keys. ``schedule`` are a document's fields that say when it takes place.

    ``owner`` is what the report calls it. Without an id at its source a window goes by its schedule.
    """

    where: str
    owner: str
    name: str
    schedule: Schedule
    checks: Collection[str]
    source_id: str = ""
    description: str = ""


@dataclass(slots=True)
class _Planned:
    window: Window
    checks: dict[str, None] = field(default_factory=dict)


class Windows:
    """Collects maintenance. What takes place at the same times, and has no other id, is one window for all of its checks."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._planned: dict[str, _Planned] = {}

    def plan(self, window: Window) -> bool:
        """Have windows cover the checks, and return whether there was a place for all."""
        wanted = slugify(f"{self._prefix}-{SECTION}-{window.source_id or _digest(window.schedule)}")[:90]
        return all(self._cover(check, window, wanted) for check in window.checks)

    def entries(self) -> list[dict[str, Any]]:
        return [_entry(key, planned) for key, planned in self._planned.items()]

    def _cover(self, check: str, window: Window, wanted: str) -> bool:
        key, number = wanted, 1
        while (planned := self._planned.get(key)) and not _takes(planned, check, window):
            number += 1
            key = f"{wanted}-{number}"
        if planned is None:
            if len(self._planned) >= MAX_WINDOWS:
                return False
            planned = self._planned[key] = _Planned(window)
        planned.checks[check] = None
        return True


def _takes(planned: _Planned, check: str, window: Window) -> bool:
    is_room = check in planned.checks or len(planned.checks) < MAX_COVERED
    return is_room and planned.window.schedule == window.schedule


def _digest(schedule: Schedule) -> str:
    return sha256(json.dumps(schedule, sort_keys=True).encode()).hexdigest()[:12]


def _entry(key: str, planned: _Planned) -> dict[str, Any]:
    said = {"description": planned.window.description} if planned.window.description else {}
    return {
        "key": key,
        "name": planned.window.name,
        **said,
        **planned.window.schedule,
        "checks": list(planned.checks),
        "is_public": False,  # customers are told what somebody here wants to tell them
    }


def whole_minutes(seconds: float) -> int:
    """Return a duration in minutes; raise `Unsaid` for what is none of whole minutes."""
    if seconds < SHORTEST or seconds % SHORTEST:
        raise Unsaid(_("it does not last whole minutes"))
    return int(seconds // SHORTEST)


def weekly(*, weekdays: Iterable[int], time_of_day: str, minutes: int, time_zone: str) -> Schedule:
    """Return the schedule of a window that begins at a time on days of the week, of which Monday is 0."""
    return {
        "repeat": "weekly",
        "time_zone": time_zone,
        "weekdays": sorted(set(weekdays)),
        "time_of_day": time_of_day,
        "duration_minutes": minutes,
    }


def named_by_time(schedule: Schedule) -> str:
    """Return the name of a window that nobody named."""
    return str(_("Maintenance at %(time)s") % {"time": schedule["time_of_day"]})
