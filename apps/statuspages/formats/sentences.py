"""The sentences of a page: what is wrong, what happened."""

from collections.abc import Sequence

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.checks.enums import State
from apps.statuspages.domain.board import Board
from apps.statuspages.domain.facts import Moment
from apps.statuspages.domain.outages import ShownOutage
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


def moment_text(outage: ShownOutage, moment: Moment) -> str:
    """Say what a component's check became during an outage."""
    if outage.is_found_later and moment == outage.moments[-1] and moment.state in (State.DOWN, State.DEGRADED):
        return _("From then on it was seen, and stands here as an outage of its own.")
    return str(MOMENTS[State(moment.state)])


def found_later_text() -> str:
    """Say why an outage appears in the past all of a sudden."""
    return _("Found later: what was measured then reached us only afterwards, so nobody could see it at the time.")


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
