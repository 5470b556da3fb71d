"""Planned work as the public sees it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from apps.incidents.domain.maintenance import next_of, public_windows_of
from apps.statuspages.domain.facts import ComponentFact

# Announced so long ahead.
HORIZON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class PlannedWork:
    """One time of maintenance, and the components it concerns."""

    id: UUID
    title: str
    text: str
    starts_at: datetime
    ends_at: datetime
    is_running: bool
    created_at: datetime
    updated_at: datetime
    components: Sequence[ComponentFact]


def works_on(components: Iterable[ComponentFact], now: datetime) -> list[PlannedWork]:
    """Return what runs now and what begins soon, the first to begin first; of a repeated window only its next time."""
    by_check = {component.check_id: component for component in components}
    found = []
    for window, check_ids in public_windows_of(by_check).items():
        for one in next_of(window):
            if one.starts_at > now + HORIZON:
                continue
            found.append(
                PlannedWork(
                    id=uuid5(window.id, one.starts_at.isoformat()),
                    title=window.name,
                    text=window.description,
                    starts_at=one.starts_at,
                    ends_at=one.ends_at,
                    is_running=one.covers(now),
                    created_at=window.created_at,
                    updated_at=window.updated_at,
                    components=[shown for check_id, shown in by_check.items() if check_id in set(check_ids)],
                )
            )
    return sorted(found, key=lambda work: (work.starts_at, work.title, work.id))
