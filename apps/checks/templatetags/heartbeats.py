"""What is known of a heartbeat, for its check's page."""

from typing import Any

from django import template
from django.core.paginator import Paginator

from apps.checks.domain.heartbeat_addresses import addresses_of
from apps.checks.domain.heartbeats import find_pings, heartbeat_facts
from apps.checks.models import Check

register = template.Library()

PAGE_SIZE = 50

# How a ping is coloured: as the state that it speaks for.
SIGNAL_STATES = {"success": "up", "fail": "down"}


@register.simple_tag(takes_context=True)
def heartbeat_of(context: dict[str, Any], check: Check) -> dict[str, Any]:
    """Return the heartbeat's facts, its addresses, the page of its pings that is asked for, and what else was asked."""
    facts, asked = heartbeat_facts(check), context["request"].GET
    query = asked.copy()
    query.pop("page", None)
    return {
        "facts": facts,
        "addresses": addresses_of(facts.heartbeat),
        "page": Paginator(find_pings(check), PAGE_SIZE).get_page(asked.get("page")),
        "query": query.urlencode(),
    }


@register.filter
def signal_state(signal: str) -> str:
    """Return the state whose colour a signal bears."""
    return SIGNAL_STATES.get(signal, "unknown")
