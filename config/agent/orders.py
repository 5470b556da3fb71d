"""What the agent knows of the checks it was ordered to probe: their settings, and which kinds it may run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from apps.checks.domain.agent_wire import OpenSettings
from apps.checks.domain.switches import runs_on_agents
from apps.checks.domain.turns import CheckSettings, ClaimedTurn
from apps.checks.types.registry import CHECK_TYPES
from apps.core.secrets import seal

MOST_KNOWN = 50_000


@dataclass(frozen=True, slots=True)
class Order:
    """The settings of a check in one version, secrets sealed with a key that lives as long as this process."""

    version: int
    settings: CheckSettings


class OrderBook:
    """Settings by check. ``kinds`` empty allows every kind that this agent knows."""

    def __init__(self, kinds: frozenset[str]) -> None:
        probed = {kind.kind for kind in CHECK_TYPES if kind.is_probed and runs_on_agents(kind)}
        self.kinds = (kinds or probed) & probed
        self._orders: dict[UUID, Order] = {}

    def unknown(self, turns: Iterable[ClaimedTurn]) -> list[UUID]:
        """Return the checks whose settings in that version are not known."""
        return [turn.check_id for turn in turns if not self.knows(turn)]

    def knows(self, turn: ClaimedTurn) -> bool:
        known = self._orders.get(turn.check_id)
        return known is not None and known.version >= turn.version

    def learn(self, settings: Mapping[UUID, OpenSettings]) -> None:
        if len(self._orders) > MOST_KNOWN:
            self._orders.clear()
        for check_id, given in settings.items():
            sealed = seal(json.dumps(given.secrets), place=f"check:{check_id}") if given.secrets else ""
            self._orders[check_id] = Order(given.version, CheckSettings(given.kind, given.public, sealed))

    def settings_of(self, check_ids: Iterable[UUID]) -> dict[UUID, tuple[int, CheckSettings]]:
        known = ((check_id, self._orders.get(check_id)) for check_id in check_ids)
        return {check_id: (order.version, order.settings) for check_id, order in known if order is not None}

    def refused_kind(self, turn: ClaimedTurn) -> str | None:
        """Return the kind of a check that may not be run here, or None where it may."""
        kind = self._orders[turn.check_id].settings.kind
        return kind if kind not in self.kinds else None
