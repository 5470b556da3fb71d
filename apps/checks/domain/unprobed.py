"""Checks that nothing is sent out for: their state comes from elsewhere (a ping, other checks).

Each kind with ``is_probed = False`` has a source here, which does for it what turns do for the others.
"""

from collections.abc import Mapping
from typing import Protocol

from apps.checks.domain.grouping import GroupSource
from apps.checks.domain.heartbeats import HeartbeatSource
from apps.checks.models import Check
from apps.checks.types.registry import CHECK_TYPES


class StateSource(Protocol):
    """Where the state of an unprobed check comes from. Everything runs in the transaction of what people did to it."""

    def begin(self, check: Check) -> None:
        """Take up a check that was made just now."""
        ...

    def settings_changed(self, check: Check) -> None: ...

    def pause(self, check: Check) -> None:
        """Let it rest; the state is `State.PAUSED` already."""
        ...

    def resume(self, check: Check) -> None:
        """Go on; the state is `State.UNKNOWN` now, and nothing is known."""
        ...


SOURCES: Mapping[str, StateSource] = {"group": GroupSource(), "heartbeat": HeartbeatSource()}


def source_of(check: Check) -> StateSource | None:
    """Return where an unprobed check's state comes from; None for one that is probed."""
    return None if CHECK_TYPES.get(check.kind).is_probed else SOURCES[check.kind]
