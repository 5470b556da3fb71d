"""Events of this app."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from apps.events.base import Event


@dataclass(frozen=True, kw_only=True)
class RulesChanged(Event):
    """A rule was made, changed, switched or deleted: what is open may be alerted differently now."""

    name: ClassVar[str] = "alerting.rules_changed"


@dataclass(frozen=True, kw_only=True)
class ReviewAsked(Event):
    """An open outage must go through the pipeline again."""

    name: ClassVar[str] = "alerting.review_asked"

    outage_id: UUID
