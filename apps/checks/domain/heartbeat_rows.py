"""Heartbeats as they are stored, in the values that the rules take."""

from apps.checks.domain.heartbeat_rules import Beat
from apps.checks.enums import State
from apps.checks.models import Heartbeat


def beat_of(heartbeat: Heartbeat, state: str) -> Beat:
    """Return a stored heartbeat as the rules take it."""
    return Beat(
        state=State(state),
        last_ping_at=heartbeat.last_ping_at,
        last_start_at=heartbeat.last_start_at,
        last_start_run=heartbeat.last_start_run,
        last_duration=heartbeat.last_duration,
    )
