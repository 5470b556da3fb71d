"""The sentences of a page: what is wrong, what happened."""

from collections.abc import Sequence

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.checks.enums import State
from apps.statuspages.domain.board import Board
from apps.statuspages.enums import Indicator

MOMENTS: dict[State, Promise] = {
    State.DOWN: gettext_lazy("Not available."),
    State.DEGRADED: gettext_lazy("Slower than it should be."),
    State.UP: gettext_lazy("Works as it should again."),
    State.PAUSED: gettext_lazy("No longer watched, so the outage is closed here."),
    State.MAINTENANCE: gettext_lazy("Under maintenance."),
    State.UNKNOWN: gettext_lazy("Not measured at the moment."),
    State.NEW: gettext_lazy("Not measured at the moment."),
}
NAMED = 3


def moment_text(after: str) -> str:
    """Say what a component's check became during an outage."""
    return str(MOMENTS[State(after)])


def headline(board: Board) -> str:
    """Return the page's one big sentence."""
    if not board.components:
        return _("Nothing is shown here yet")
    if board.is_blank:
        return _("Waiting for the first results")
    if board.indicator == Indicator.NONE and len(board.components) == 1:
        return _("Everything works")
    return str(board.indicator.label)


def subline(board: Board) -> str:
    """Name what is affected, the worst first."""
    return affected([component.name for component in board.unwell])


def affected(names: Sequence[str]) -> str:
    """Return "A, B and 2 more are affected."; nothing for no names."""
    if not names:
        return ""
    listed, more = names[:NAMED], len(names) - NAMED
    if more > 0:
        words = ngettext("Affected: %(names)s and %(count)d more", "Affected: %(names)s and %(count)d more", more)
        return words % {"names": ", ".join(listed), "count": more}
    return _("Affected: %(names)s") % {"names": ", ".join(listed)}
