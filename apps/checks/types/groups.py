"""The check types as people choose among them."""

from dataclasses import dataclass

from apps.checks.types.base import CheckType, Group
from apps.checks.types.registry import CHECK_TYPES


@dataclass(frozen=True, slots=True)
class KindGroup:
    """A heading of the picker and what stands under it."""

    group: Group
    kinds: list[CheckType]


def kind_groups() -> list[KindGroup]:
    """Return every check type under its group, groups in their order, types by their label in the reader's language."""
    found = [
        KindGroup(group, sorted((kind for kind in CHECK_TYPES if kind.group == group), key=_label)) for group in Group
    ]
    return [each for each in found if each.kinds]


def _label(kind: CheckType) -> str:
    return str(kind.label).casefold()
