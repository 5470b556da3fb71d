"""Bringing checks within a plan that has become too small for them: for the operator, since nothing else stops what runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db import transaction

from apps.checks.domain.allowance import CHECKS, UNCOUNTED, allowed, is_in_plan
from apps.checks.domain.bulk import BulkAction, act_on
from apps.checks.domain.checks import Timing, Wanted, timing_of, update_checks
from apps.checks.domain.flips import lock_states
from apps.checks.domain.grouping import named_rows
from apps.checks.domain.pacing import hold_turns
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
    touched = [check.id for check in (*fit.slowed, *fit.paused)]
    # Rivals: probers and colleagues, who take turns and then states, each in the order of their checks. So all at once: not
    # the turns of what will rest with the states of what goes on more slowly in hand.
    hold_turns(touched)
    lock_states(touched)
    # Rivals: colleagues who rename or edit them; what these have made of them stays.
    slowed = named_rows([check.id for check in fit.slowed], renames=False)
    update_checks([(check, _slower(check)) for check in slowed])
    act_on(fit.paused, BulkAction.PAUSE)
    return fit


def _slower(check: Check) -> Wanted:
    """Return the check's settings, asked for as the plan allows it."""
    return Wanted(name=check.name, kind=check.kind, config=config_of(check), timing=_fitted(check), tags=check.tags)


def _fitted(check: Check) -> Timing:
    """Return the check's timing within the plan."""
    plan = allowed()
    regions = tuple(check.regions[: plan.regions_per_check])
    interval_seconds = max(check.interval_seconds, plan.min_interval_seconds)
    confirmations = min(check.confirmations, len(regions))
    return replace(timing_of(check), regions=regions, interval_seconds=interval_seconds, confirmations=confirmations)
