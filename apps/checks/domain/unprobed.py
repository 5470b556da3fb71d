"""Checks that nothing is sent out for: their state comes from elsewhere (a ping, other checks).

Each kind with ``is_probed = False`` has a source here, which does for it what turns do for the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from apps.checks.domain.grouping import GroupSource
from apps.checks.domain.heartbeats import HeartbeatSource
from apps.checks.models import Check, Flip
from apps.checks.types.registry import CHECK_TYPES


class StateSource(Protocol):
    """Where the states of unprobed checks of one kind come from, any number at a time.

    Everything runs in the transaction of what people did to them.
    """

    def begin(self, checks: Sequence[Check]) -> None:
        """Take up checks that were made just now."""
        ...

    def settings_changed(self, checks: Sequence[Check], before: Mapping[UUID, Mapping[str, Any]]) -> None:
        """Follow their new settings; ``before`` has what some fields held, of each check that became different by it."""
        ...

    def pause(self, checks: Sequence[Check]) -> None:
        """Let them rest; their state is `State.PAUSED` already."""
        ...

    def resume(self, checks: Sequence[Check]) -> None:
        """Go on; the state is `State.UNKNOWN` now, and nothing is known."""
        ...

    def leave(self, checks: Sequence[Check], *, at: datetime) -> list[Flip]:
        """Let those of them go that are in maintenance, and return their flips; what is known of them decides at once."""
        ...


SOURCES: Mapping[str, StateSource] = {"group": GroupSource(), "heartbeat": HeartbeatSource()}


def source_of(check: Check) -> StateSource | None:
    """Return where an unprobed check's state comes from; None for one that is probed."""
    return None if CHECK_TYPES.get(check.kind).is_probed else SOURCES[check.kind]


def parted(checks: Iterable[Check]) -> tuple[list[Check], list[tuple[StateSource, list[Check]]]]:
    """Return the checks that are probed, and each source with those that are not."""
    probed: list[Check] = []
    unprobed: dict[str, list[Check]] = {}
    for check in checks:
        (unprobed.setdefault(check.kind, []) if source_of(check) else probed).append(check)
    return probed, [(SOURCES[kind], found) for kind, found in unprobed.items()]
