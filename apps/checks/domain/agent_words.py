"""What an agent tells of itself with each sign of life. Agents of earlier releases tell less: what is not told is not known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F

from apps.checks.domain.agent_wire import decode_count
from apps.checks.domain.wire_fields import WireError, read_list, text
from apps.checks.models import Agent
from apps.core import clock

MOST_KINDS, MOST_PLACES = 200, 200
_kind, _place = text(60, "[a-z0-9_]+"), text(80)


@dataclass(frozen=True, slots=True)
class Words:
    """Which kinds an agent runs, whether it has an allow-list, what stands there if it tells, and how it keeps up."""

    kinds: list[str] | None = None
    is_limited: bool | None = None
    allow_list: list[str] | None = None
    lost: int = 0
    late_ms: int = 0

    def news(self) -> dict[str, Any]:
        """Return the fields of the agent as they are from now on."""
        said: dict[str, Any] = {"kinds": self.kinds, "is_limited": self.is_limited, "allow_list": self.allow_list}
        if self.lost:
            said |= {"lost": F("lost") + self.lost, "lost_at": clock.now()}
        return {**said, "late_ms": self.late_ms}


def decode_words(given: Mapping[str, Any]) -> Words:
    """Read what an agent says of itself; raises `WireError`."""
    is_limited = given.get("limited")
    if not (is_limited is None or isinstance(is_limited, bool)):
        raise WireError("limited", "must be true or false")
    return Words(
        kinds=_texts(given, "kinds", MOST_KINDS, _kind),
        is_limited=is_limited,
        allow_list=_texts(given, "allow", MOST_PLACES, _place),
        lost=decode_count(given.get("lost", 0), "lost"),
        late_ms=decode_count(given.get("late_ms", 0), "late_ms"),
    )


def _texts(given: Mapping[str, Any], field: str, at_most: int, read: Any) -> list[str] | None:
    value = given.get(field)
    if value is None:
        return None
    return [read(each, f"{field}[{place}]") for place, each in enumerate(read_list(value, field, at_most))]


def takes(agent: Agent, kind: str) -> bool:
    """Tell whether an agent runs checks of a kind, as far as it has told."""
    return agent.kinds is None or kind in agent.kinds
