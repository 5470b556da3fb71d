"""What every importer is: another product's export in, wanted checks and a report of what stays behind out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from django.utils.translation import gettext_lazy as _

from apps.core.documents import MAX_BYTES as MAX_DOCUMENT_BYTES
from apps.core.documents import Cost, DocumentError, read_document
from apps.core.kinds import Text

MAX_BYTES = 33_554_432  # databases hold history too
# More than one import makes: the rest comes with the same export again, which leaves alone what is here.
MAX_ENTRIES = 10_000
MAX_DOCUMENTS = 1_000  # of which one file may hold several
MAX_VALUES = 2_000_000  # some hundred for each monitor; a list of empty lists takes twenty times its text in memory
T = TypeVar("T")


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
    """``checks`` are entries of a configuration document (`domain.configuration`), ``others`` those of its other sections."""

    checks: list[Mapping[str, Any]]
    losses: list[Loss]
    others: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)


class Importer(Protocol):
    """One source. Implementations are stateless."""

    kind: ClassVar[str]
    label: ClassVar[Text]
    help: ClassVar[Text]  # where to get the export
    icon: ClassVar[str]

    def sample(self) -> bytes:
        """Return a small export that works, for docs and contract tests."""
        ...

    def read(self, *files: bytes) -> Found:
        """Return what the files of one export hold; raise `SourceError` where one is none of this product's."""
        ...


class Reading:
    """Reads the documents of one export. They share an allowance: one for each would be a thousand for a request."""

    def __init__(self) -> None:
        self._cost = Cost()
        self._documents = 0
        self._values = 0

    def document(self, raw: bytes, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> Any:
        """Return what a YAML or JSON document says; raise `SourceError` where it cannot be read, or is too much."""
        self._documents += 1
        refuse_beyond(self._documents, MAX_DOCUMENTS)
        self._values += sum(raw.count(sign) for sign in (b",", b"[", b"{"))
        refuse_beyond(self._values, MAX_VALUES)
        try:
            return read_document(raw, max_bytes=max_bytes, cost=self._cost)
        except DocumentError as error:
            raise SourceError(f"{error.path}: {error}" if error.path else str(error)) from error


def read_each(files: Sequence[bytes], read: Callable[[bytes, Reading], T]) -> Iterator[tuple[str, T]]:
    """Yield what each file holds, and what is written before its places: among several files they name their own."""
    reading = Reading()
    for number, raw in enumerate(files, 1):
        try:
            held = read(raw, reading)
        except SourceError as error:
            if len(files) == 1:
                raise
            text = _("File %(number)s: %(reason)s") % {"number": number, "reason": error}
            raise SourceError(text) from error
        yield (f"file {number}: " if len(files) > 1 else ""), held


def refuse_beyond(count: int, most: int = MAX_ENTRIES) -> None:
    """Raise `SourceError` where an export holds more than can be read at once: none of it may go without a word."""
    if count > most:
        raise SourceError(_("There are more than %(count)s entries; divide the export.") % {"count": most})
