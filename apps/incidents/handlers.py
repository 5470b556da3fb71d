"""How outages react to events."""

from apps.checks.events import CheckFlipped
from apps.checks.models import Check
from apps.incidents.domain.outages import account_for_flips
from apps.incidents.events import OutageEvent
from apps.live.domain.publish import publish


def on_check_flipped(event: CheckFlipped) -> None:
    """Open, change or resolve the check's outage."""
    if check := Check.objects.filter(id=event.check_id).first():
        account_for_flips(check)


def show_outage(event: OutageEvent) -> None:
    """Let open pages fetch the outage and its check again."""
    publish(f"tenant:{event.tenant_id}", [f"outage:{event.outage_id}", f"check:{event.check_id}"])
