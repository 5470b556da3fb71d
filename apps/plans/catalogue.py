"""The plans there are and what each allows: the only place with these numbers.

A plan that is no longer sold stays here, for tenants may still have it. What is not enforced is not listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlements:
    """What a tenant may have; None is without limit. The names are those of the API and of overrides."""

    checks: int | None = None
    min_interval_seconds: int = 10
    regions_per_check: int | None = None
    agents: int | None = None
    has_browser_checks: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One entitlement as people read it. ``is_counted``: rows use it up. ``lowest`` and ``highest`` bound what an operator
    may set; ``is_yes_or_no`` has no number at all."""

    name: str
    label: str | Promise
    help: str | Promise
    is_counted: bool = False
    is_yes_or_no: bool = False
    unit: str | Promise = ""
    lowest: int = 0
    highest: int = 1_000_000
    may_be_unlimited: bool = True


LIMITS: Mapping[str, Limit] = {
    limit.name: limit
    for limit in (
        Limit(
            name="checks",
            label=_("Checks"),
            help=_("Paused checks and heartbeats count; groups do not."),
            is_counted=True,
        ),
        Limit(
            name="agents",
            label=_("Agents"),
            help=_("Agents that probe from inside your own network. Each brings a heartbeat, which counts as a check."),
            is_counted=True,
            highest=100,
        ),
        Limit(
            name="min_interval_seconds",
            label=_("Shortest interval"),
            help=_("How often a check may probe at most. Heartbeats report as often as they like."),
            unit=_("seconds"),
            lowest=10,
            highest=86_400,
            may_be_unlimited=False,
        ),
        Limit(
            name="regions_per_check",
            label=_("Regions per check"),
            help=_("From how many places one check may be probed."),
            lowest=1,
            highest=20,
        ),
        Limit(
            name="has_browser_checks",
            label=_("Browser checks"),
            help=_("Journeys in a real browser."),
            is_yes_or_no=True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Plan:
    """A named set of entitlements."""

    code: str
    label: str | Promise
    entitlements: Entitlements


UNLIMITED = "unlimited"
PLANS: Mapping[str, Plan] = {
    plan.code: plan
    for plan in (
        Plan(
            "free",
            _("Free"),
            Entitlements(checks=20, min_interval_seconds=300, regions_per_check=1, agents=0, has_browser_checks=False),
        ),
        Plan(
            "team",
            _("Team"),
            Entitlements(checks=100, min_interval_seconds=30, regions_per_check=5, agents=3),
        ),
        Plan(
            "business",
            _("Business"),
            Entitlements(checks=1_000, min_interval_seconds=10, regions_per_check=20, agents=25),
        ),
        Plan(UNLIMITED, _("Unlimited"), Entitlements()),
    )
}


class BadOverride(ValueError):
    """An override names no limit, or a value that limit cannot have; ``name`` is the limit's."""

    def __init__(self, name: str, message: str | Promise) -> None:
        super().__init__(message)
        self.name = name


def with_overrides(plan: Entitlements, overrides: Mapping[str, Any]) -> Entitlements:
    """Return a plan's entitlements with one customer's deal laid over them; raise `BadOverride` for what cannot be."""
    given = {field.name: getattr(plan, field.name) for field in fields(plan)}
    for name, value in overrides.items():
        given[name] = _checked(name, value)
    return Entitlements(**given)


def _checked(name: str, value: Any) -> Any:
    limit = LIMITS.get(name)
    if limit is None:
        raise BadOverride(name, _("There is no such limit."))
    if limit.is_yes_or_no:
        if not isinstance(value, bool):
            raise BadOverride(name, _("Give true or false."))
    elif value is None:
        if not limit.may_be_unlimited:
            raise BadOverride(name, _("This limit cannot be lifted; give a number."))
    elif isinstance(value, bool) or not isinstance(value, int) or not limit.lowest <= value <= limit.highest:
        raise BadOverride(
            name,
            _("Give a whole number from %(low)s to %(high)s.") % {"low": limit.lowest, "high": limit.highest},
        )
    return value
