"""Bringing checks within a plan that has become too small for them: for the operator, since nothing else stops what runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from apps.checks.domain.allowance import CHECKS, UNCOUNTED, allowed, is_in_plan
from apps.checks.domain.bulk import BulkAction, act_on
from apps.checks.domain.checks import Timing, update_check
from apps.checks.domain.region_holds import hold_regions
from apps.checks.domain.settings import config_of
from apps.checks.enums import State
from apps.checks.models import Check
from apps.checks.types.registry import CHECK_TYPES
from apps.plans.domain.limits import held_limit


@dataclass(frozen=True, slots=True)
class Fit:
    """What has to change: checks that would be asked less often or from fewer regions, and those that would rest."""

    slowed: Sequence[Check]
    paused: Sequence[Check]

    def __bool__(self) -> bool:
        return bool(self.slowed or self.paused)


def beyond_plan() -> Fit:
    """Return what of the open tenant's running checks is beyond its plan: too fast or from too many places; and of a kind
    that the plan does not have, or too many, of which the newest."""
    plan = allowed()
    running = list(Check.objects.exclude(checkstate__state=State.PAUSED).order_by("-created_at", "-id"))
    paused = [check for check in running if not is_in_plan(check.kind)]
    left = [check for check in running if check.kind not in UNCOUNTED and is_in_plan(check.kind)]
    if plan.checks is not None:
        paused += left[: max(len(left) - plan.checks, 0)]
    resting = {check.id for check in paused}
    slowed = [check for check in running if check.id not in resting and not _has_pace(check)]
    return Fit(slowed, paused)


def _has_pace(check: Check) -> bool:
    plan = allowed()
    if not CHECK_TYPES.get(check.kind).is_probed:
        return True
    has_regions = plan.regions_per_check is None or len(check.regions) <= plan.regions_per_check
    return has_regions and check.interval_seconds >= plan.min_interval_seconds


@transaction.atomic
def bring_within_plan() -> Fit:
    """Do what `beyond_plan` says and return it. Nothing is deleted; of regions the first stay; a second time finds nothing."""
    hold_regions()
    held_limit(CHECKS)  # rival: somebody resuming, who would find room that we are about to fill
    fit = beyond_plan()
    # Settings before states, and both in the order of ids, as others lock them who change many.
    for check in sorted(fit.slowed, key=lambda check: check.id):
        update_check(check, name=check.name, config=config_of(check), timing=_fitted(check), tags=check.tags)
    act_on(fit.paused, BulkAction.PAUSE)
    return fit


def _fitted(check: Check) -> Timing:
    """Return the check's timing within the plan."""
    plan = allowed()
    given = {name: getattr(check, name) for name in Timing.__slots__}
    regions = tuple(check.regions[: plan.regions_per_check])
    interval_seconds = max(check.interval_seconds, plan.min_interval_seconds)
    confirmations = min(check.confirmations, len(regions))
    return Timing(**{**given, "regions": regions, "interval_seconds": interval_seconds, "confirmations": confirmations})
