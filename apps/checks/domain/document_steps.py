"""What becomes of each thing that a configuration document names, and the lists that other apps add to such a document."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, Protocol
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from apps.core.kinds import Text
from apps.tenants.permissions import Permission


class Action(StrEnum):
    """What becomes of one thing."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    PRUNE = "prune"


@dataclass(frozen=True, slots=True)
class Change:
    """One field's value before and after, secrets hidden."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionStep:
    """What becomes of one entry of a section. ``wanted`` and ``standing`` are the section's own; either may be missing."""

    action: Action
    key: str
    name: str
    kind: str
    kind_label: Text
    target: str = ""
    changes: tuple[Change, ...] = ()
    wanted: Any = None
    standing: Any = None
    comes_paused: ClassVar[bool] = False


class Section(Protocol):
    """A list of a document beside its checks. Everything runs in the open scope; checks go by their keys.

    ``permission`` is the right that whoever imports its entries needs.
    """

    permission: ClassVar[Permission]

    def export(self, *, keys: Mapping[UUID, str]) -> list[dict[str, Any]]:
        """Return what there is, as a document describes it; ``keys`` are those of the checks, by id."""
        ...

    def plan(
        self, given: Sequence[Any], *, label: str, prune_label: str, keys: Mapping[UUID, str], known: Collection[str]
    ) -> list[SectionStep]:
        """Return what is to be done; raise `DocumentErrors`. ``known`` are the keys of the checks that will be there.

        What the document does not list goes only where it carries ``prune_label`` and that is not empty.
        """
        ...

    def carry_out(self, steps: Sequence[SectionStep], *, label: str, ids: Mapping[str, UUID]) -> None:
        """Do it; ``ids`` are those of the checks, by key."""
        ...


@cache
def sections() -> Mapping[str, Section]:
    """Return the sections by name: `config.document_table`, loaded late, for it names apps that stand above this one."""
    table: Mapping[str, str] = import_string(settings.DOCUMENT_TABLE)
    return {name: import_string(path)() for name, path in table.items()}
