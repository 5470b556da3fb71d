"""What every importer is: another product's export in, wanted checks and a report of what stays behind out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from apps.core.kinds import Text


class SourceError(ValueError):
    """This is no export of that product; the text says what was expected."""

    def __init__(self, message: Text) -> None:
        super().__init__(message)

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Loss:
    """What cannot come over: where it stands in the export, whose it is, and why. ``is_whole``: the check does not come."""

    where: str
    name: str
    reason: Text
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """``checks`` are entries of a configuration document (`domain.configuration`)."""

    checks: list[Mapping[str, Any]]
    losses: list[Loss]


class Importer(Protocol):
    """One source. Implementations are stateless."""

    kind: ClassVar[str]
    label: ClassVar[Text]
    help: ClassVar[Text]  # where to get the export
    icon: ClassVar[str]

    def sample(self) -> bytes:
        """Return a small export that works, for docs and contract tests."""
        ...

    def read(self, raw: bytes) -> Found:
        """Return what the export holds; raise `SourceError` where it is none of this product's."""
        ...
