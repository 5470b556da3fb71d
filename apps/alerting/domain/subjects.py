"""What the alerts of a round are about, in words and instants."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from apps.alerting.models import Alert
from apps.checks.enums import State
from apps.incidents.domain.causes import cause_of
from apps.incidents.enums import Severity
from apps.incidents.models import Outage


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An outage as its messages tell it, or what is left of one whose check was deleted.

    ``changed_at`` is when it became what it is; ``has_ended`` says whether the outage as a whole is over.
    """

    outage_id: UUID | None
    check_id: UUID | None
    check_name: str
    target: str
    cause: str
    severity: Severity
    started_at: datetime
    changed_at: datetime
    has_ended: bool
    is_watched: bool

    @classmethod
    def of_outage(cls, outage: Outage, severity: Severity) -> Self:
        """Read the outage, its check and its last flip, as it is (or was) at that severity."""
        return cls(
            outage_id=outage.id,
            check_id=outage.watched_id,
            check_name=outage.watched.name,
            target=outage.watched.target,
            cause=cause_of(outage, severity),
            severity=severity,
            started_at=outage.started_at,
            changed_at=outage.ended_at or outage.last_flip.at,
            has_ended=not outage.is_open,
            is_watched=outage.is_open or outage.last_flip.after == State.UP,
        )

    @classmethod
    def of_orphan(cls, alert: Alert, now: datetime) -> Self:
        """Tell what the alert itself still knows."""
        return cls(
            outage_id=None,
            check_id=None,
            check_name=alert.check_name,
            target="",
            cause="",
            severity=Severity(alert.severity),
            started_at=alert.starts_at,
            changed_at=now,
            has_ended=True,
            is_watched=False,
        )
