"""Events of this app: state changes only, never single results."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from apps.checks.enums import State
from apps.events.base import Event


@dataclass(frozen=True, kw_only=True)
class CheckFlipped(Event):
    """A check's state changed; `Flip` says from what to what, and when."""

    check_id: UUID
    flip_id: UUID


@dataclass(frozen=True, kw_only=True)
class CheckWentUp(CheckFlipped):
    name: ClassVar[str] = "checks.went_up"


@dataclass(frozen=True, kw_only=True)
class CheckDegraded(CheckFlipped):
    name: ClassVar[str] = "checks.degraded"


@dataclass(frozen=True, kw_only=True)
class CheckWentDown(CheckFlipped):
    name: ClassVar[str] = "checks.went_down"


@dataclass(frozen=True, kw_only=True)
class CheckLostSight(CheckFlipped):
    """Nothing is known about the check any more: it has no result yet, or was resumed."""

    name: ClassVar[str] = "checks.lost_sight"


@dataclass(frozen=True, kw_only=True)
class CheckPaused(CheckFlipped):
    name: ClassVar[str] = "checks.paused"


@dataclass(frozen=True, kw_only=True)
class CheckInMaintenance(CheckFlipped):
    """A maintenance window began: results are kept and judge nothing."""

    name: ClassVar[str] = "checks.in_maintenance"


@dataclass(frozen=True, kw_only=True)
class CheckStartedFlapping(Event):
    """The check keeps going down and coming back."""

    name: ClassVar[str] = "checks.started_flapping"

    check_id: UUID


@dataclass(frozen=True, kw_only=True)
class CheckCalmedDown(Event):
    """The check no longer flaps."""

    name: ClassVar[str] = "checks.calmed_down"

    check_id: UUID


FLIP_EVENTS: dict[str, type[CheckFlipped]] = {
    State.UP: CheckWentUp,
    State.DEGRADED: CheckDegraded,
    State.DOWN: CheckWentDown,
    State.UNKNOWN: CheckLostSight,
    State.PAUSED: CheckPaused,
    State.MAINTENANCE: CheckInMaintenance,
}
