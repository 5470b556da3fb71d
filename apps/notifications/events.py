"""Events of this app."""

from dataclasses import dataclass
from uuid import UUID

from apps.events.base import Event


@dataclass(frozen=True, kw_only=True)
class DeliverySent(Event):
    """The receiver took the message."""

    name = "notifications.delivery_sent"

    delivery_id: UUID


@dataclass(frozen=True, kw_only=True)
class DeliveryFailed(Event):
    """A message was given up: the receiver refused it for good, or every try of a day failed."""

    name = "notifications.delivery_failed"

    delivery_id: UUID
