"""Named reads."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery

from apps.core import clock
from apps.notifications.enums import DeliveryState
from apps.notifications.models import Channel, Delivery


def default_channels() -> list[Channel]:
    """Return the switched-on channels that take alerts without channels of their own."""
    return list(Channel.objects.filter(is_default=True, is_enabled=True).order_by("id"))


def enabled_channels(ids: Iterable[UUID]) -> list[Channel]:
    """Return those of the given channels that are switched on."""
    return list(Channel.objects.filter(id__in=list(ids), is_enabled=True).order_by("id"))


def deliveries_about(kind: str, subject_id: UUID) -> list[Delivery]:
    """Return what was sent, or not, about one subject, oldest first."""
    return list(Delivery.objects.filter(subject_kind=kind, subject_id=subject_id).order_by("id"))


def channels_with_last_delivery() -> QuerySet[Channel]:
    """Return the channels by name, each with its ``latest_state`` and ``latest_at`` in the same query."""
    latest = Delivery.objects.filter(channel=OuterRef("pk")).order_by("-id")
    found = Channel.objects.annotate(
        latest_state=Subquery(latest.values("state")[:1]), latest_at=Subquery(latest.values("created_at")[:1])
    )
    return cast("QuerySet[Channel]", found.order_by("name", "id"))


def _first_id_of(at: datetime) -> UUID:
    """Return the smallest time-ordered id of an instant, so that the log's own index finds what is younger."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


def count_of_last_day(channel_id: UUID) -> dict[str, int]:
    """Return how many deliveries of a channel were made in the last 24 hours, by state."""
    recent = Delivery.objects.filter(channel_id=channel_id, id__gte=_first_id_of(clock.now() - timedelta(days=1)))
    counted = dict(recent.order_by().values_list("state").annotate(count=Count("id")))
    return {state: counted.get(state, 0) for state in DeliveryState.values}


def delivery_log(*, state: str = "", channel_id: UUID | None = None) -> QuerySet[Delivery]:
    """Return deliveries, newest first."""
    found = Delivery.objects.select_related("channel").order_by("-id")
    if state:
        found = found.filter(state=state)
    return found.filter(channel_id=channel_id) if channel_id else found
