"""Creating, changing, pausing and deleting checks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from apps.checks.domain.settings import keep_config
from apps.checks.domain.turns import start_turns, stop_turns
from apps.checks.enums import State
from apps.checks.events import FLIP_EVENTS
from apps.checks.models import Check, CheckState, Flip, Turn
from apps.core import clock
from apps.core.kinds import Config
from apps.core.tenancy import current_tenant_id
from apps.events.domain.outbox import emit


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How often, how patiently, and what is slow."""

    interval_seconds: int = 60
    timeout_seconds: int = 10
    retries: int = 1
    retry_interval_seconds: int = 5
    degraded_ms: int | None = None


@transaction.atomic
def create_check(
    *, name: str, kind: str, config: Config, timing: Timing | None = None, tags: list[str] | None = None
) -> Check:
    """Watch something: the first turn is now."""
    check = Check(name=name, kind=kind, tags=tags or [], **_fields(timing or Timing()))
    keep_config(check, config)
    check.save(force_insert=True)
    CheckState.objects.create(watched=check)
    start_turns(check, at=clock.now())
    return check


@transaction.atomic
def update_check(check: Check, *, name: str, config: Config, timing: Timing, tags: list[str]) -> Check:
    """Change a check. Probers see the new version at its next turn, which a shorter interval brings closer."""
    check.name, check.tags, check.updated_at = name, tags, clock.now()
    for field, value in _fields(timing).items():
        setattr(check, field, value)
    keep_config(check, config)
    check.version += 1
    check.save()
    # Rival: a prober storing a result; it moves the turn by the new interval, or we move a turn that nobody holds.
    soonest = clock.now() + timedelta(seconds=check.interval_seconds)
    Turn.objects.filter(watched=check, claimable_at__gt=soonest).update(due_at=soonest, claimable_at=soonest)
    return check


@transaction.atomic
def pause_check(check: Check) -> None:
    """Stop watching for now; a second time changes nothing."""
    _flip(check, State.PAUSED)  # the state row first: a prober storing a result locks in that order
    stop_turns(check)


@transaction.atomic
def resume_check(check: Check) -> None:
    """Watch again, from now on, with nothing known; a check that is not paused stays as it is."""
    if _flip(check, State.UNKNOWN, only_from=State.PAUSED):
        start_turns(check, at=clock.now())


@transaction.atomic
def check_now(check: Check) -> None:
    """Bring the next turn forward to now, unless the check is paused or being probed."""
    now = clock.now()
    Turn.objects.filter(watched=check, claimable_at__isnull=False, claimable_at__gt=now, due_at__gt=now).update(
        due_at=now, claimable_at=now
    )


def _flip(check: Check, after: State, *, only_from: State | None = None) -> bool:
    """Change the state by hand. Rival: a prober judging a result; both lock the state row."""
    standing = CheckState.objects.select_for_update().get(watched=check)
    before = standing.state
    if before == after or (only_from and before != only_from):
        return False
    now: datetime = clock.now()
    standing.state, standing.since_at, standing.failures, standing.failing_since_at = after, now, 0, None
    standing.save(update_fields=["state", "since_at", "failures", "failing_since_at"])
    flip = Flip.objects.create(watched=check, at=now, before=before, after=after)
    emit(FLIP_EVENTS[after](tenant_id=current_tenant_id(), check_id=check.id, flip_id=flip.id))
    return True


def _fields(timing: Timing) -> dict[str, Any]:
    return {name: getattr(timing, name) for name in Timing.__slots__}


@transaction.atomic
def delete_check(check: Check) -> None:
    """Forget a check, its state, flips and outages; its results go with their partitions."""
    Check.objects.filter(id=check.id).delete()
