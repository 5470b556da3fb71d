"""What people set of a window, and what its row keeps of what runs now."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from apps.checks.models import Check
from apps.core import clock
from apps.incidents.domain.windows import Plan, next_edge, running_at
from apps.incidents.enums import Repeat
from apps.incidents.models import MaintenanceWindow

PLANNED = ("repeat", "time_zone", "duration", "starts_at", "repeats_until_at", "time_of_day", "cron")


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowSettings:
    """Everything people set of a window. It covers every check, or those named and those with one of the tags."""

    name: str
    repeat: Repeat
    time_zone: str
    duration: timedelta
    description: str = ""
    starts_at: datetime | None = None
    repeats_until_at: datetime | None = None
    weekdays: Sequence[int] = ()
    time_of_day: time | None = None
    cron: str = ""
    covers_all: bool = False
    tags: Sequence[str] = ()
    checks: Sequence[Check] = field(default_factory=tuple)
    is_public: bool = True


def plan_of(given: WindowSettings | MaintenanceWindow) -> Plan:
    """Return when it takes place, as a value."""
    cut_off_at = given.cut_off_at if isinstance(given, MaintenanceWindow) else None
    fields = {name: getattr(given, name) for name in PLANNED}
    return Plan(**{**fields, "repeat": Repeat(given.repeat)}, weekdays=frozenset(given.weekdays), cut_off_at=cut_off_at)


def take_up(window: MaintenanceWindow) -> None:
    """Bring what the row keeps of the present occurrence in line with the plan; saves nothing."""
    now = clock.now()
    # What ended in the future did so by a clock that was set back since.
    window.cut_off_at = min(window.cut_off_at, now) if window.cut_off_at else None
    window.last_ended_at = min(window.last_ended_at, now) if window.last_ended_at else None
    plan = plan_of(window)
    if window.running_until_at and window.running_until_at <= now:
        window.last_ended_at = window.running_until_at
    running = running_at(plan, now)
    window.running_since_at = running.starts_at if running else None
    window.running_until_at = running.ends_at if running else None
    window.next_edge_at = next_edge(plan, now)
