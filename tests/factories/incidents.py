"""Flips and outages, made the way the product makes them. Call inside a tenant scope."""

from datetime import UTC, datetime, timedelta
from typing import Any

from apps.checks.enums import State
from apps.checks.models import Check, Flip
from apps.incidents.domain.outages import account_for_flips
from apps.incidents.models import Outage

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def minute(count: float) -> datetime:
    """The instant so many minutes after noon."""
    return NOON + timedelta(minutes=count)


def make_flip(check: Check, after: State, at: datetime, **fields: Any) -> Flip:
    """A change of state; the state before is that of the last flip."""
    last = Flip.objects.filter(watched=check).order_by("-sequence").first()
    if after == State.DOWN:
        fields = {"error_code": "connect_refused", **fields}
    flip: Flip = Flip.objects.create(
        watched=check, at=at, before=last.after if last else State.UP, after=after, **fields
    )
    return flip


def make_outage(
    check: Check, *, severity: State = State.DOWN, at: datetime = NOON, ended_at: datetime | None = None
) -> Outage:
    """An outage of the check, open unless it ended."""
    make_flip(check, severity, at)
    if ended_at:
        make_flip(check, State.UP, ended_at)
    account_for_flips([check.id])
    outage: Outage = Outage.objects.filter(watched=check).latest("id")
    return outage
