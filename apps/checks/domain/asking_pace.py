"""How often people and their programs may ask out of turn: no more than the tenant's plan has of checks and intervals.

Counted where all processes count together, so that rivals get no more than one by one.
"""

import hashlib
import math
from uuid import UUID

from django.utils.translation import gettext as _

from apps.checks.domain.allowance import allowed
from apps.checks.models import MIN_INTERVAL_SECONDS
from apps.core import rate
from apps.core.refusals import TooSoon
from apps.core.tenancy import current_tenant_id

# Of one tenant's probes for Prometheus, whatever its plan.
PROBES = rate.Limit(per_minute=1_200, burst=200)
# Two Prometheus servers may scrape the same target, each with some jitter.
PAIR = 2


def spend_by_hand(check_id: UUID) -> None:
    """Count that somebody asks a check out of turn; raise `TooSoon` before the plan's shortest interval is over."""
    seconds = allowed().min_interval_seconds
    verdict = rate.spend(f"by-hand:{check_id}", rate.Limit(per_minute=60 / seconds, burst=1))
    if not verdict.is_allowed:
        text = _("A check is asked out of turn every %(seconds)s seconds at most, as your plan has it.")
        raise _too_soon(text % {"seconds": seconds}, verdict)


def spend_probe(what: str) -> None:
    """Count one probe for Prometheus; raise `TooSoon` where the tenant's plan has no more, or not of ``what`` so often.

    A tenant's probes are as many as its plan's checks make at their shortest interval.
    """
    tenant_id, plan = current_tenant_id(), allowed()
    seconds = plan.min_interval_seconds
    limit = PROBES
    if plan.checks is not None and plan.checks * 60 / seconds < PROBES.per_minute:
        limit = rate.Limit(per_minute=max(plan.checks, 1) * 60 / seconds, burst=min(max(plan.checks, 1), PROBES.burst))
    verdict = rate.spend(f"probe:tenant:{tenant_id}", limit)
    if not verdict.is_allowed:
        raise _too_soon(_("There are no more probes in a minute than your plan's checks would make."), verdict)
    if seconds <= MIN_INTERVAL_SECONDS:
        return
    key = hashlib.sha256(what.encode()).hexdigest()
    verdict = rate.spend(
        f"probe:target:{tenant_id}:{key}", rate.Limit(per_minute=PAIR * 60 / seconds, burst=PAIR * PAIR)
    )
    if not verdict.is_allowed:
        text = _("Your plan's shortest interval is %(seconds)s seconds: scrape this target no more often.")
        raise _too_soon(text % {"seconds": seconds}, verdict)


def _too_soon(why: str, verdict: rate.Verdict) -> TooSoon:
    seconds = math.ceil(verdict.retry_after_seconds) or 1
    text = _("%(why)s Try again in %(seconds)s seconds.") % {"why": why, "seconds": seconds}
    return TooSoon(text, retry_after_seconds=seconds)
