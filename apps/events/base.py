"""What an event is."""

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self, get_type_hints
from uuid import UUID


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact that happened: the tenant and ids only. Handlers reload the rows and tolerate a changed world."""

    name: ClassVar[str]

    tenant_id: UUID

    def payload(self) -> dict[str, Any]:
        """Return JSON values."""
        return {key: str(value) if isinstance(value, UUID) else value for key, value in asdict(self).items()}

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Rebuild the event from `payload`."""
        hints = get_type_hints(cls)
        values = {entry.name: payload[entry.name] for entry in fields(cls)}
        return cls(**{name: UUID(value) if hints[name] is UUID else value for name, value in values.items()})
