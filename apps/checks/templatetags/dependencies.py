"""What pages of checks say of dependencies."""

from typing import Any
from uuid import UUID

from django import template

from apps.checks.domain.dependencies import Blamed, blamed_for, depends_on, needed_by
from apps.checks.models import Check

register = template.Library()


@register.filter
def blamed(found: dict[UUID, Blamed] | None, check: Check) -> Blamed | None:
    """Return who is to blame for a check, from what the view found for all of the page."""
    return (found or {}).get(check.id)


@register.inclusion_tag("checks/_dependencies.html", takes_context=True)
def dependencies(context: dict[str, Any], check: Check) -> dict[str, Any]:
    """Show what a check depends on, what depends on it, and who is to blame now."""
    shared = {name: context.get(name) for name in ("tenant", "can")}
    parents, children = list(depends_on(check)), list(needed_by(check)[:50])
    blame = blamed_for([check]).get(check.id) if parents else None
    return {**shared, "check": check, "parents": parents, "children": children, "blame": blame}
