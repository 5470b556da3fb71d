"""How a line of the timeline looks."""

from django import template

from apps.incidents.domain.causes import cause_of
from apps.incidents.enums import EntryKind, Severity
from apps.incidents.models import Outage, OutageEntry

register = template.Library()

LOOKS = {
    EntryKind.WORSENED: ("down", "arrow-down"),
    EntryKind.IMPROVED: ("degraded", "trending-up"),
    EntryKind.RESOLVED: ("up", "check"),
    EntryKind.LOST_SIGHT: ("paused", "eye-off"),
    EntryKind.UNSEEN: ("unknown", "eye-off"),
    EntryKind.IN_MAINTENANCE: ("maintenance", "tool"),
    EntryKind.SEEN_AGAIN: ("down", "eye"),
    EntryKind.NOTE: ("", "note"),
    EntryKind.NOTIFIED: ("", "bell"),
    EntryKind.SILENCED: ("silenced", "bell-off"),
    EntryKind.ACKNOWLEDGED: ("acknowledged", "user"),
    EntryKind.DELIVERED: ("", "send"),
    EntryKind.NOT_DELIVERED: ("failed", "circle-x"),
}


def _look(entry: OutageEntry) -> tuple[str, str]:
    if entry.kind == EntryKind.OPENED:  # an outage opens as down where it has an error, else as slow
        return (Severity.DOWN, "x") if entry.values else (Severity.DEGRADED, "alert-triangle")
    return LOOKS[EntryKind(entry.kind)]


@register.filter
def entry_state(entry: OutageEntry) -> str:
    """Return the state whose colour the line's sign takes."""
    return _look(entry)[0]


@register.filter
def entry_icon(entry: OutageEntry) -> str:
    return _look(entry)[1]


@register.filter
def cause(outage: Outage) -> str:
    """Return why it is one, in one sentence."""
    return cause_of(outage)
