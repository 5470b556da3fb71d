"""Another product's maintenance in neutral words, and its way into entries of a configuration document."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext_lazy as _

from apps.checks.importers.numbering import Numbering
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


@dataclass(slots=True)
class _Times:
    """What takes place at the same times: all of its checks, and the last of its windows, which alone may have room."""

    wanted: str
    checks: set[str] = field(default_factory=set)
    last: _Planned | None = None


class Windows:
    """Collects maintenance. What takes place at the same times, and has no other id, is one window for all of its checks."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._planned: dict[str, _Planned] = {}
        self._times: dict[tuple[str, str], _Times] = {}
        self._keys = Numbering()
        self._left = MAX_WINDOWS * MAX_COVERED

    @property
    def is_full(self) -> bool:
        """Whether as many checks were wanted as there may be places for: none has one after them."""
        return self._left == 0

    def plan(self, window: Window) -> bool:
        """Have windows cover the checks, and return whether there was a place for all."""
        digest = _digest(window.schedule)
        wanted = slugify(f"{self._prefix}-{SECTION}-{window.source_id or digest}")[:90]
        checks = list(window.checks)[: self._left]
        self._left -= len(checks)
        if len(self._planned) >= MAX_WINDOWS and (wanted, digest) not in self._times:
            return False
        times = self._times.setdefault((wanted, digest), _Times(wanted))
        return all(self._cover(check, window, times) for check in checks) and len(checks) == len(window.checks)

    def entries(self) -> list[dict[str, Any]]:
        return [_entry(key, planned) for key, planned in self._planned.items()]

    def _cover(self, check: str, window: Window, times: _Times) -> bool:
        if check in times.checks:
            return True
        if times.last is None or len(times.last.checks) >= MAX_COVERED:
            if len(self._planned) >= MAX_WINDOWS:
                return False
            times.last = self._planned[self._keys.free(times.wanted, self._planned)] = _Planned(window)
        times.last.checks[check] = None
        times.checks.add(check)
        return True


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
