"""How checks react to events of other checks."""

from collections.abc import Sequence

from apps.checks.domain.grouping import follow_flips
from apps.checks.events import CheckFlipped
from apps.events.base import handler_of_many


@handler_of_many(at_most=200)
def on_check_flipped(events: Sequence[CheckFlipped]) -> None:
    """Let the groups that the checks belong to follow."""
    follow_flips([event.flip_id for event in events])
