"""Creating, changing, pausing and deleting checks."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from django.db import transaction

from apps.checks.domain.allowance import allowed_interval, require_fit, require_resumable, require_room_for
from apps.checks.domain.flips import change_state, now_as
from apps.checks.domain.judging import rejudge
from apps.checks.domain.learning import keep_goal
from apps.checks.domain.settings import keep_config, type_of
from apps.checks.domain.turns import follow_regions, start_turns, stop_turns
from apps.checks.domain.unprobed import source_of
from apps.checks.enums import State
from apps.checks.models import MAIN_REGION, Check, CheckState, Turn
from apps.core import clock
from apps.core.kinds import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How often, how patiently, and what is slow."""

    interval_seconds: int = 60
    timeout_seconds: int = 10
    retries: int = 1
    retry_interval_seconds: int = 5
    degraded_ms: int | None = None
    recoveries: int = 1
    false_page_period: str = ""
    regions: tuple[int, ...] = (MAIN_REGION,)
    confirmations: int = 1


def usual_timing(**given: Any) -> Timing:
    """Return a timing in which an interval that nobody gave is the usual one, or the shortest that the plan allows."""
    given.setdefault("interval_seconds", allowed_interval(Timing().interval_seconds))
    return Timing(**given)


@transaction.atomic
def create_check(
    *,
    name: str,
    kind: str,
    config: Config,
    timing: Timing | None = None,
    tags: list[str] | None = None,
    key: str = "",
) -> Check:
    """Watch something: the first turn is now. ``key`` is what configuration as code calls it.

    Raises `BeyondLimit` where the tenant's plan has no room for it, or not for such settings.
    """
    timing = timing or usual_timing()
    require_fit(kind, timing)
    require_room_for([kind])
    check = Check(name=name, kind=kind, tags=tags or [], key=key, **_fields(timing))
    keep_config(check, config)
    check.save(force_insert=True)
    CheckState.objects.create(watched=check)
    if source := source_of(check):
        source.begin(check)
    else:
        start_turns(check, at=clock.now())
    keep_goal(check.id)
    return check


@transaction.atomic
def update_check(
    check: Check, *, name: str, config: Config, timing: Timing, tags: list[str], key: str | None = None
) -> Check:
    """Change a check; ``key`` None leaves it as it is.

    Probers see the new version at its next turn, which a shorter interval brings closer. Raises `BeyondLimit` for what the
    tenant's plan does not allow; an interval that stays as it was is raised to the plan's shortest.
    """
    timing = _as_allowed(check, timing)
    check.name, check.tags, check.updated_at = name, tags, clock.now()
    check.key = check.key if key is None else key
    for field, value in _fields(timing).items():
        setattr(check, field, value)
    keep_config(check, config)
    check.version += 1
    check.save()
    if source := source_of(check):
        source.settings_changed(check)
        return check
    if CheckState.objects.exclude(state=State.PAUSED).filter(watched=check).exists():
        follow_regions(check, at=clock.now())
        keep_goal(check.id)
        rejudge([check.id])  # fewer confirmations may make it down at once
    # Rival: a prober storing a result; it moves the turn by the new interval, or we move a turn that nobody holds.
    soonest = clock.now() + timedelta(seconds=check.interval_seconds)
    Turn.objects.filter(watched=check, claimable_at__gt=soonest).update(due_at=soonest, claimable_at=soonest)
    return check


def rename_check(check: Check, *, name: str) -> Check:
    """Call a check something else; probers need not know."""
    check.name, check.updated_at = name, clock.now()
    check.save(update_fields=["name", "updated_at"])
    return check


@transaction.atomic
def pause_check(check: Check) -> None:
    """Stop watching for now; a second time changes nothing."""
    change_state(check.id, now_as(State.PAUSED))  # the state row first: a prober storing a result locks in that order
    if source := source_of(check):
        source.pause(check)
    else:
        stop_turns(check)


@transaction.atomic
def resume_check(check: Check) -> None:
    """Watch again, from now on, with nothing known; a check that is not paused stays as it is.

    Raises `BeyondLimit` while there are more checks than the tenant's plan allows.
    """
    if CheckState.objects.filter(watched=check, state=State.PAUSED).exists():
        require_resumable([check.kind])
    if not change_state(check.id, now_as(State.UNKNOWN), only_from=(State.PAUSED,)):
        return
    if source := source_of(check):
        source.resume(check)
    else:
        start_turns(check, at=clock.now())


@transaction.atomic
def check_now(check: Check) -> None:
    """Bring the next turn forward to now, unless the check is paused or being probed."""
    now = clock.now()
    Turn.objects.filter(watched=check, claimable_at__isnull=False, claimable_at__gt=now, due_at__gt=now).update(
        due_at=now, claimable_at=now
    )


def _as_allowed(check: Check, timing: Timing) -> Timing:
    if timing.interval_seconds == check.interval_seconds and type_of(check).is_probed:
        timing = replace(timing, interval_seconds=allowed_interval(timing.interval_seconds))
    require_fit(check.kind, timing, was=check)
    return timing


def _fields(timing: Timing) -> dict[str, Any]:
    fields = {name: getattr(timing, name) for name in Timing.__slots__}
    return {**fields, "regions": list(timing.regions)}


@transaction.atomic
def delete_check(check: Check) -> None:
    """Forget a check, its state, flips and outages; its results go with their partitions."""
    Check.objects.filter(id=check.id).delete()
