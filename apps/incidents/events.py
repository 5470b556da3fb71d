"""Events of this app."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from apps.events.base import Event


@dataclass(frozen=True, kw_only=True)
class OutageEvent(Event):
    """Something about an outage."""

    check_id: UUID
    outage_id: UUID


@dataclass(frozen=True, kw_only=True)
class OutageOpened(OutageEvent):
    """A check is not well any more."""

    name: ClassVar[str] = "incidents.outage_opened"


@dataclass(frozen=True, kw_only=True)
class OutageChanged(OutageEvent):
    """It got worse or better without ending."""

    name: ClassVar[str] = "incidents.outage_changed"


@dataclass(frozen=True, kw_only=True)
class OutageResolved(OutageEvent):
    """The check is well again, or no longer watched."""

    name: ClassVar[str] = "incidents.outage_resolved"
