"""How outages react to events."""

from apps.checks.events import CheckFlipped
from apps.checks.models import Check
from apps.incidents.domain.outages import account_for_flips


def on_check_flipped(event: CheckFlipped) -> None:
    """Open, change or resolve the check's outage."""
    if check := Check.objects.filter(id=event.check_id).first():
        account_for_flips(check)
