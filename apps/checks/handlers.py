"""How checks react to events of other checks."""

from apps.checks.domain.grouping import follow_flip
from apps.checks.events import CheckFlipped


def on_check_flipped(event: CheckFlipped) -> None:
    """Let the groups that the check belongs to follow."""
    follow_flip(event.check_id, event.flip_id)
