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
_handlers_of_many: set[Callable[..., None]] = set()


def handler_of_many(handler: Callable[[Sequence[E]], None]) -> Callable[[Sequence[E]], None]:
    """Mark a handler that takes many events of one tenant at once, oldest first, so that a storm costs few statements.

    They share one transaction. Where it fails, the same events come again in smaller portions, at last each alone.
    """
    _handlers_of_many.add(handler)
    return handler


def takes_many(handler: Callable[..., None]) -> bool:
    return handler in _handlers_of_many
