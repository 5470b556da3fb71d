"""One list per kind of thing: check types, channels and whatever else comes in kinds."""

from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar


class HasKind(Protocol):
    @property
    def kind(self) -> str: ...


K = TypeVar("K", bound=HasKind)


class UnknownKind(LookupError):
    """No entry of the registry has that kind."""


class Registry(Generic[K]):
    """A fixed, ordered collection looked up by ``kind``."""

    def __init__(self, name: str, entries: Iterable[K]) -> None:
        self.name = name
        self._entries: dict[str, K] = {}
        for entry in entries:
            if entry.kind in self._entries:
                raise ValueError(f"{name}: {entry.kind!r} is listed twice")
            self._entries[entry.kind] = entry

    def get(self, kind: str) -> K:
        """Return the entry or raise `UnknownKind`, naming what there is."""
        try:
            return self._entries[kind]
        except KeyError:
            raise UnknownKind(f"{kind!r} is not one of the {self.name}: {', '.join(self._entries)}") from None

    def kinds(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def __iter__(self) -> Iterator[K]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, kind: object) -> bool:
        return kind in self._entries
