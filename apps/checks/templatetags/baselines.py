"""What there is to approve, for a check's page."""

from django import template

from apps.checks.domain.baselines import Observation, latest_observation
from apps.checks.models import Check

register = template.Library()


@register.simple_tag
def observation_of(check: Check) -> Observation | None:
    """Return what was observed and is not approved, or None."""
    return latest_observation(check)
