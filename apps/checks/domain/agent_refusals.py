"""Checks that an agent would not run, and why: its own options are the last word on what is probed from there."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from apps.checks.domain.agent_words import takes
from apps.checks.models import Agent, Check, Turn
from apps.checks.types.base import CheckType
from apps.checks.types.registry import CHECK_TYPES

OUTSIDE = "outside_allow_list"
MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Refused:
    """A check that uses an agent's region in vain."""

    check: Check
    reason: str


def refused_by(agent: Agent) -> list[Refused]:
    """Return checks that an agent refuses, by name: for their kind, or since its allow-list kept the last turn from its target."""
    refused = Q(last_error=OUTSIDE)
    if agent.kinds is not None:
        refused |= ~Q(watched__kind__in=agent.kinds)
    turns = Turn.objects.filter(refused, region_id=agent.region_id).exclude(claimable_at=None)
    found = turns.select_related("watched").order_by("watched__name", "watched_id")[:MOST_SHOWN]
    return [Refused(turn.watched, _reason(agent, turn)) for turn in found]


def known_kinds(agent: Agent) -> list[CheckType] | None:
    """Return the kinds that an agent runs, as far as we know them; None where it has not told."""
    return None if agent.kinds is None else [kind for kind in CHECK_TYPES if kind.kind in agent.kinds]


def reasons_by_region(kind: CheckType, check: Check | None, agents: Iterable[Agent]) -> dict[int, str]:
    """Return which of the agents' regions a check of that kind would be in for nothing, with the reason."""
    agents = list(agents)
    reasons = {agent.region_id: _of_kind(kind) for agent in agents if not takes(agent, kind.kind)}
    mine = [agent.region_id for agent in agents if check and agent.region_id in check.regions]
    if mine:
        turns = Turn.objects.filter(watched=check, region_id__in=mine, last_error=OUTSIDE)
        reasons = {**{turn.region_id: _of_place(turn.last_error_values) for turn in turns}, **reasons}
    return reasons


def _reason(agent: Agent, turn: Turn) -> str:
    kind = turn.watched.kind
    return _of_place(turn.last_error_values) if takes(agent, kind) else _of_kind(CHECK_TYPES.get(kind))


def _of_kind(kind: CheckType) -> str:
    return _("it does not run checks of the kind “%(kind)s”") % {"kind": kind.label}


def _of_place(values: Any) -> str:
    return _("its allow-list does not hold %(address)s") % {"address": (values or {}).get("address", "?")}
