"""How outages react to events."""

from collections.abc import Sequence

from apps.checks.events import CheckDegraded, CheckFlipped, CheckWentDown
from apps.events.base import handler_of_many
from apps.incidents.domain.maintenance_edges import enter_running_windows
from apps.incidents.domain.outages import account_for_flips, concerned_by_flips
from apps.incidents.events import OutageEvent
from apps.live.domain.publish import publish


@handler_of_many(at_most=100)
def on_check_flipped(events: Sequence[CheckFlipped]) -> None:
    """Open, change or resolve the checks' outages; most that came up had none."""
    unwell = {event.check_id for event in events if isinstance(event, CheckWentDown | CheckDegraded)}
    enter_running_windows(unwell)
    account_for_flips(unwell | concerned_by_flips({event.check_id for event in events} - unwell))


@handler_of_many(at_most=200)
def show_outage(events: Sequence[OutageEvent]) -> None:
    """Let open pages fetch the outages and their checks again."""
    ids = [live_id for event in events for live_id in (f"outage:{event.outage_id}", f"check:{event.check_id}")]
    publish(f"tenant:{events[0].tenant_id}", ids)
