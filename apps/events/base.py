"""What an event is, and what its handlers may be."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, TypeVar, get_type_hints
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact that happened: the tenant and ids only. Handlers reload the rows and tolerate a changed world."""

    name: ClassVar[str]

    tenant_id: UUID

    def payload(self) -> dict[str, Any]:
        """Return JSON values."""
        kinds = _kinds_of_fields(type(self))
        return {name: str(getattr(self, name)) if kind is UUID else getattr(self, name) for name, kind in kinds.items()}

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Rebuild the event from `payload`."""
        kinds = _kinds_of_fields(cls)
        return cls(**{name: UUID(payload[name]) if kind is UUID else payload[name] for name, kind in kinds.items()})


_kinds: dict[type[Event], dict[str, Any]] = {}


def _kinds_of_fields(event: type[Event]) -> dict[str, Any]:
    """Return the type of each field, read once: type hints are slow to ask for."""
    if event not in _kinds:
        hints = get_type_hints(event)
        _kinds[event] = {entry.name: hints[entry.name] for entry in fields(event)}
    return _kinds[event]


E = TypeVar("E", bound=Event)
Handler = Callable[[Sequence[E]], None]
_portions: dict[Callable[..., None], int] = {}


def handler_of_many(at_most: int) -> Callable[[Handler[E]], Handler[E]]:
    """Mark a handler that takes many events of one tenant at once, oldest first, so that a storm costs few statements.

    They share one transaction. Where it fails, the same events come again in smaller portions, at last each alone.
    ``at_most``: so many that they take a fraction of a second, since other tenants' pages wait meanwhile.
    """

    def mark(handler: Handler[E]) -> Handler[E]:
        _portions[handler] = at_most
        return handler

    return mark


def portion_of(handler: Callable[..., None]) -> int | None:
    """Return how many events the handler takes at once, or None for one that takes each alone."""
    return _portions.get(handler)
