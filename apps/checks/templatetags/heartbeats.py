"""What is known of a heartbeat, for its check's page."""

from typing import Any

from django import template

from apps.checks.domain.heartbeat_addresses import addresses_of
from apps.checks.domain.heartbeats import heartbeat_facts, latest_pings
from apps.checks.models import Check

register = template.Library()

# How a ping is coloured: as the state that it speaks for.
SIGNAL_STATES = {"success": "up", "fail": "down"}


@register.simple_tag
def heartbeat_of(check: Check) -> dict[str, Any]:
    """Return the heartbeat's facts, its addresses and its newest pings."""
    facts = heartbeat_facts(check)
    return {"facts": facts, "addresses": addresses_of(facts.heartbeat), "pings": latest_pings(check)}


@register.filter
def signal_state(signal: str) -> str:
    """Return the state whose colour a signal bears."""
    return SIGNAL_STATES.get(signal, "unknown")
