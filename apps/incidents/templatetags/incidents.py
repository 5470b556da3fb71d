"""How a line of the timeline looks, and what a check's page says of its maintenance."""

from typing import Any

from django import template

from apps.checks.enums import State
from apps.checks.models import Check
from apps.incidents.domain.causes import cause_of
from apps.incidents.domain.maintenance import running_windows_of
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


@register.inclusion_tag("incidents/_running_maintenance.html", takes_context=True)
def running_maintenance(context: dict[str, Any], check: Check) -> dict[str, Any]:
    """Show under which maintenance a check is, and until when."""
    is_held = check.checkstate.state == State.MAINTENANCE
    shared = {name: context.get(name) for name in ("tenant", "can")}
    return {**shared, "windows": running_windows_of(check.id) if is_held else []}
