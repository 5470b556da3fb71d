"""Sets of HTTP status codes as people write them: ``200-299, 301`` or ``2xx``."""

import re
from dataclasses import dataclass
from functools import lru_cache

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

CODE = re.compile(r"[1-5]\d\d")
CLASS = re.compile(r"([1-5])xx", re.IGNORECASE)
RANGE = re.compile(r"([1-5]\d\d)\s*-\s*([1-5]\d\d)")


@dataclass(frozen=True, slots=True)
class StatusSet:
    """Ranges of codes, both ends included."""

    ranges: tuple[tuple[int, int], ...]

    def __contains__(self, status: int) -> bool:
        return any(low <= status <= high for low, high in self.ranges)


@lru_cache(maxsize=1_024)
def parse_status_set(expression: str) -> StatusSet:
    """Return the set, or raise `ValidationError` naming the part that is wrong."""
    parts = [part.strip() for part in expression.split(",") if part.strip()]
    if not parts:
        raise ValidationError(_("Name at least one status, such as 200-299."), code="empty")
    return StatusSet(tuple(_range(part) for part in parts))


def check_status_set(expression: str) -> None:
    """Raise `ValidationError` where `parse_status_set` would."""
    parse_status_set(expression)


def _range(part: str) -> tuple[int, int]:
    if CODE.fullmatch(part):
        return int(part), int(part)
    if found := CLASS.fullmatch(part):
        return int(found[1]) * 100, int(found[1]) * 100 + 99
    found = RANGE.fullmatch(part)
    if not found:
        raise ValidationError(
            _("“%(part)s” is not a status: write 200, 200-299 or 2xx, separated by commas."),
            code="malformed",
            params={"part": part[:40]},
        )
    low, high = int(found[1]), int(found[2])
    if low > high:
        raise ValidationError(
            _("“%(part)s” runs backwards: write the smaller status first."), code="backwards", params={"part": part}
        )
    return low, high
