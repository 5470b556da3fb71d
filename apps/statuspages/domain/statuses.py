"""From a check's state to a component's status, from components to a group's and the page's: pure functions."""

from collections.abc import Collection

from apps.checks.enums import State
from apps.statuspages.enums import ComponentStatus, Indicator

OF_STATE = {
    State.UP: ComponentStatus.OPERATIONAL,
    State.DEGRADED: ComponentStatus.DEGRADED,
    State.DOWN: ComponentStatus.MAJOR_OUTAGE,
    # Nobody looks: saying anything else would be a guess.
    State.NEW: ComponentStatus.UNKNOWN,
    State.UNKNOWN: ComponentStatus.UNKNOWN,
    State.PAUSED: ComponentStatus.UNKNOWN,
    State.MAINTENANCE: ComponentStatus.MAINTENANCE,
}
OUTAGES = {ComponentStatus.PARTIAL_OUTAGE, ComponentStatus.MAJOR_OUTAGE}


def component_status(state: str) -> ComponentStatus:
    """Return the status of a component whose check is in that state."""
    return OF_STATE[State(state)]


def group_status(statuses: Collection[ComponentStatus]) -> ComponentStatus:
    """Return how a group is as a whole; what has no data does not count unless nothing has."""
    known = [status for status in statuses if status != ComponentStatus.UNKNOWN]
    if not known:
        return ComponentStatus.UNKNOWN
    if set(known) == {ComponentStatus.MAJOR_OUTAGE}:
        return ComponentStatus.MAJOR_OUTAGE
    if OUTAGES.intersection(known):
        return ComponentStatus.PARTIAL_OUTAGE
    for status in (ComponentStatus.DEGRADED, ComponentStatus.MAINTENANCE):
        if status in known:
            return status
    return ComponentStatus.OPERATIONAL


INDICATORS = {
    ComponentStatus.MAJOR_OUTAGE: Indicator.CRITICAL,
    ComponentStatus.PARTIAL_OUTAGE: Indicator.MAJOR,
    ComponentStatus.DEGRADED: Indicator.MINOR,
    ComponentStatus.MAINTENANCE: Indicator.MAINTENANCE,
}


def page_indicator(statuses: Collection[ComponentStatus]) -> Indicator:
    """Return Statuspage's indicator: critical where all that is known is out, major where some is, minor where some is slow."""
    return INDICATORS.get(group_status(statuses), Indicator.NONE)
