"""What checks of SQL databases share: one reading query, and what its first cell must be."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

from apps.checks.types.base import Fact, ProbeFailure
from apps.checks.types.messages import Message
from apps.checks.types.service import ServiceConfig, line_setting, shown
from apps.core.kinds import Widget, setting

MAX_ROWS = 1_000


class Comparison(TextChoices):
    """How a query's first cell is judged."""

    ANY = "any", _("Any value will do")
    EQUALS = "equals", _("Is")
    DIFFERS = "differs", _("Is not")
    CONTAINS = "contains", _("Contains")
    AT_LEAST = "at_least", _("Is at least")
    AT_MOST = "at_most", _("Is at most")


SIGNS = {Comparison.EQUALS: "=", Comparison.DIFFERS: "≠", Comparison.AT_LEAST: "≥", Comparison.AT_MOST: "≤"}

QUERY_MESSAGES: Mapping[str, Message] = {
    "database_missing": (
        _("The database cannot be opened (%(answer)s)."),
        _("Check its name and what the user may open."),
    ),
    "query_failed": (
        _("The query failed (%(answer)s)."),
        _("Try it in the database as the same user; it may only read, and must end within the check's time."),
    ),
    "query_empty": (_("The query gave no value."), _("Look at the data, or change the query.")),
    "value_mismatch": (
        _("The query gave %(value)s; expected was %(expected)s."),
        _("Look at the data, or change what is expected."),
    ),
    "value_lacks": (
        _("The query gave %(value)s, which does not contain %(expected)s."),
        _("Look at the data, or change what is expected."),
    ),
    "value_not_a_number": (
        _("The query gave %(value)s, which is not a number."),
        _("Let the query return a number in its first column."),
    ),
}
QUERY_FACTS: Mapping[str, Fact] = {
    "version": Fact(_("Server version")),
    "rows": Fact(_("Rows")),
    "value": Fact(_("First value")),
}


@dataclass(frozen=True, kw_only=True)
class QueryConfig(ServiceConfig):
    """A service that is asked one query."""

    database: str = line_setting(label=_("Database"), help=_("Empty stands for the user's own."), max_length=255)
    query: str = setting(
        "",
        label=_("Query"),
        help=_("One statement that reads, run in a transaction that may not write. Use a user who may only read."),
        widget=Widget.AREA,
        max_length=8_000,
        placeholder="SELECT count(*) FROM orders WHERE state = 'stuck'",
    )
    comparison: str = setting(
        Comparison.ANY.value,
        label=_("First value"),
        help=_("How the first column of the first row is judged."),
        choices=tuple((way.value, way.label) for way in Comparison),
    )
    expected: str = line_setting(label=_("Expected value"), max_length=500)

    def problems(self) -> dict[str, Any]:
        errors = super().problems()
        if self.comparison != Comparison.ANY and not self.query:
            errors["query"] = _("Say which query gives the value.")
        if self.comparison in (Comparison.AT_LEAST, Comparison.AT_MOST) and _number(self.expected) is None:
            errors["expected"] = _("Give a number.")
        if self.comparison == Comparison.CONTAINS and not self.expected:
            errors["expected"] = _("Say what the value must contain.")
        return errors


def judge_value(wanted: QueryConfig, rows: int, value: str | None) -> None:
    """Raise `ProbeFailure` unless the first cell is as wanted; None stands for NULL and for no row."""
    if wanted.comparison == Comparison.ANY:
        return
    if rows == 0 or value is None:
        raise ProbeFailure("query_empty")
    if wanted.comparison == Comparison.CONTAINS:
        if wanted.expected not in value:
            raise ProbeFailure("value_lacks", {"value": shown(value), "expected": wanted.expected})
        return
    if not _holds(wanted, value):
        sign = SIGNS[Comparison(wanted.comparison)]
        raise ProbeFailure("value_mismatch", {"value": shown(value), "expected": f"{sign} {wanted.expected}"})


def _holds(wanted: QueryConfig, value: str) -> bool:
    left, right = _number(value), _number(wanted.expected)
    if wanted.comparison in (Comparison.EQUALS, Comparison.DIFFERS):
        is_same = value == wanted.expected or (left is not None and left == right)  # 1 is 1.00
        return is_same == (wanted.comparison == Comparison.EQUALS)
    if left is None or right is None:
        raise ProbeFailure("value_not_a_number", {"value": shown(value)})
    return left >= right if wanted.comparison == Comparison.AT_LEAST else left <= right


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip()) if len(text) <= 100 else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None
