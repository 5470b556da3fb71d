"""What the tenant's plan allows of checks: how many, how often, from how many places, which kinds.

What runs already is left alone when a plan shrinks. New checks, resumed ones and what somebody changes must fit.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.checks.enums import State
from apps.checks.models import Check
from apps.checks.types.base import Group
from apps.checks.types.registry import CHECK_TYPES
from apps.core.refusals import BeyondLimit
from apps.core.tenancy import current_tenant_id
from apps.plans.catalogue import Entitlements
from apps.plans.domain.limits import held_limit, limit_reached, not_in_plan, require_room, room
from apps.plans.domain.plans import entitlements_of

CHECKS = "checks"
# A group watches nothing itself.
UNCOUNTED = tuple(kind.kind for kind in CHECK_TYPES if kind.group == Group.COMPOSED)
# Kinds that not every plan has, and what they need of it: they declare it.
NEEDS: Mapping[str, str] = {kind.kind: needs for kind in CHECK_TYPES if (needs := getattr(kind, "entitlement", ""))}


class HasPace(Protocol):
    """How often and from where something is probed."""

    @property
    def interval_seconds(self) -> int: ...

    @property
    def regions(self) -> Collection[int]: ...


def allowed() -> Entitlements:
    """Return what the open tenant may have."""
    return entitlements_of(current_tenant_id())


def count_checks() -> int:
    """Return how many of the open tenant's checks count: heartbeats and paused ones do, groups do not."""
    return int(Check.objects.exclude(kind__in=UNCOUNTED).count())


def allowed_interval(seconds: int) -> int:
    """Return an interval that nobody chose as the plan allows it: as wished, or its shortest."""
    return max(seconds, allowed().min_interval_seconds)


def is_in_plan(kind: str) -> bool:
    """Tell whether the plan has checks of that kind."""
    return kind not in NEEDS or bool(getattr(allowed(), NEEDS[kind]))


def kinds_beyond_plan() -> list[str]:
    """Return the kinds that the plan does not have."""
    return [kind for kind in NEEDS if not is_in_plan(kind)]


def is_used_up() -> bool:
    """Tell, for who is about to add one, whether the plan has no room for another check. Promises nothing: nobody waits."""
    most = allowed().checks
    return most is not None and count_checks() >= most


def misfits(kind: str, pace: HasPace, *, was: HasPace | None = None) -> list[BeyondLimit]:
    """Return why a new check, or one that ``was`` otherwise, does not fit the plan: a refusal for each field.

    A kind and regions that it had already may stay. Nothing is said of how many checks there are.
    """
    if not CHECK_TYPES.get(kind).is_probed:
        return []
    found = [*_interval_misfit(pace)]
    if was is None and not is_in_plan(kind):
        found.insert(0, _kind_missing(kind))
    if was is None or set(pace.regions) != set(was.regions):
        found += _regions_misfit(pace)
    return found


def _kind_missing(kind: str) -> BeyondLimit:
    text = _("Checks of the kind “%(kind)s” are not in the plan.") % {"kind": CHECK_TYPES.get(kind).label}
    return not_in_plan(NEEDS[kind], text, field="kind")


def _interval_misfit(pace: HasPace) -> Iterable[BeyondLimit]:
    shortest = allowed().min_interval_seconds
    if pace.interval_seconds < shortest:
        text = _("The plan's shortest interval is %(seconds)s seconds: give that or more.") % {"seconds": shortest}
        yield not_in_plan("min_interval_seconds", text, field="interval_seconds")


def _regions_misfit(pace: HasPace) -> Iterable[BeyondLimit]:
    most = allowed().regions_per_check
    if most is not None and len(pace.regions) > most:
        text = ngettext(
            "The plan probes each check from one region: choose one.",
            "The plan probes each check from %(most)s regions: choose at most so many.",
            most,
        )
        yield not_in_plan("regions_per_check", text % {"most": most}, field="regions")


def require_fit(kind: str, pace: HasPace, *, was: HasPace | None = None) -> None:
    """Refuse settings that are beyond the plan, with the first of `misfits`."""
    for misfit in misfits(kind, pace, was=was):
        raise misfit


def require_room_for(kinds: Iterable[str]) -> None:
    """Refuse so many new checks of these kinds where they do not all fit any more. Exact: rivals wait for us."""
    if counted := count_of(kinds):
        require_room(CHECKS, more=counted)


def count_of(kinds: Iterable[str]) -> int:
    """Return how many of these count."""
    return sum(kind not in UNCOUNTED for kind in kinds)


def room_for_checks() -> int | None:
    """Return how many more checks fit, None for any number."""
    return room(CHECKS)


def too_many(*, more: int, left: int) -> BeyondLimit:
    """Return the refusal of that many new checks."""
    return limit_reached(CHECKS, more=more, left=left)


def require_resumable(kinds: Iterable[str]) -> None:
    """Refuse to go on with paused checks of these kinds where more would run than the plan allows, or kinds that it does not
    have."""
    resumed = list(kinds)
    for kind in sorted(NEEDS.keys() & set(resumed)):
        if not is_in_plan(kind):
            raise _kind_missing(kind)
    if (counted := count_of(resumed)) and (refusal := too_many_running(more=counted)):
        raise refusal


def too_many_running(*, more: int) -> BeyondLimit | None:
    """Return the refusal of letting so many more run, None where they may. Who has no more checks than the plan allows may
    always; others may choose which of them run. Exact like `require_room_for`."""
    most = held_limit(CHECKS)
    if most is None:
        return None
    running = Check.objects.exclude(kind__in=UNCOUNTED).exclude(checkstate__state=State.PAUSED).count()
    over = running + more - most
    if over <= 0:
        return None
    text = ngettext(
        "Running checks: the plan allows %(most)s and %(running)s run; this is one too many. Pause or delete others first.",
        "Running checks: the plan allows %(most)s and %(running)s run; this is %(over)s too many. Pause or delete others first.",
        over,
    )
    return not_in_plan(CHECKS, text % {"most": most, "running": running, "over": over}, used=running)
