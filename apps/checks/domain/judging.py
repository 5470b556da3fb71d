"""What the regions' standings make of a check, and the flips that follow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.checks.domain.flips import Change, flip, lock_states, record_flips
from apps.checks.domain.patience import History, Watch, confidence
from apps.checks.domain.verdicts import RegionView, is_blind, judge_regions
from apps.checks.enums import HELD_STATES, State
from apps.checks.models import Check, CheckState, Flip, Turn
from apps.core import clock

READ = ("confirmations", "interval_seconds", "retry_interval_seconds", "regions", "retries")
# A region whose prober gave no sign of life for so long has no say.
SILENT_AFTER = timedelta(seconds=90)


@transaction.atomic
def rejudge(check_ids: Iterable[UUID], *, at: datetime | None = None, leaving: State | None = None) -> list[Flip]:
    """Bring checks' states in line with what their regions say, and return the flips.

    Paused checks and those in maintenance stay as they are, but for a state that the caller is ``leaving``. ``at`` is when
    a change became true at the earliest. Runs in the system's scope and in a tenant's; the state rows are locked before the
    regions are read, so that of two regions' results stored at once the later one sees both.
    """
    ids = list(check_ids)
    if not ids:
        return []
    states = lock_states(ids)
    checks = {check.id: check for check in Check.unscoped.filter(id__in=ids).only(*READ)}
    seen = _seen(checks)
    changed = [
        (standing, flip(standing, change))
        for check_id, standing in states.items()
        if (standing.state not in HELD_STATES or standing.state == leaving)
        and (change := _change(standing, seen.get(check_id, []), checks[check_id], at))
    ]
    return record_flips(changed)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one region says, and where that comes from."""

    view: RegionView
    turn: Turn


def _change(standing: CheckState, seen: list[_Seen], check: Check, at: datetime | None) -> Change | None:
    views = [one.view for one in seen]
    judgement = judge_regions(views, confirmations=check.confirmations, standing=State(standing.state))
    is_still_new = standing.state == State.NEW and judgement.state == State.UNKNOWN  # nobody has ever said anything
    if judgement.state == standing.state or is_still_new:
        return None
    moment = max(filter(None, (judgement.at, at)), default=clock.now())
    if judgement.state != State.DOWN:
        return Change(after=judgement.state, at=moment, regions=judgement.regions)
    why = next((one for one in seen if one.view.region_id in judgement.regions and one.turn.last_error), None)
    return Change(
        after=State.DOWN,
        at=moment,
        error_code=why.turn.last_error if why else "",
        error_values=(why.turn.last_error_values or {}) if why else {},
        regions=judgement.regions,
        confidence_ratio=confidence(
            History.of(one.turn for one in seen),
            Watch.of(check),
            failures=judgement.failures,
            retries=check.retries,
            agreeing=len(judgement.regions),
        ),
    )


def _last_sign(turn: Turn, now: datetime) -> datetime:
    """Return when somebody looked last: a result is a sign of life, too, and the first one after the clock was set."""
    return max(
        at for at in (turn.region.seen_at, turn.last_result_at) if at and (at <= now or at == turn.region.seen_at)
    )


def _is_blind(turn: Turn, check: Check) -> bool:
    interval = timedelta(seconds=check.interval_seconds)
    return is_blind(turn.last_verdict, since_at=turn.run_since_at, last_at=turn.last_result_at, interval=interval)


def _seen(checks: Mapping[UUID, Check]) -> dict[UUID, list[_Seen]]:
    """Return what each check's regions say."""
    now = clock.now()
    found: dict[UUID, list[_Seen]] = {}
    turns = Turn.unscoped.filter(watched__in=list(checks)).select_related("region")
    for turn in turns.order_by("watched_id", "region_id"):
        is_silent = turn.region.seen_at is not None and now - _last_sign(turn, now) > SILENT_AFTER
        view = RegionView(
            region_id=turn.region_id,
            opinion=turn.opinion,
            since_at=turn.run_since_at,
            failures=turn.failures,
            is_able=turn.region.sick_since_at is None
            and not is_silent
            and not _is_blind(turn, checks[turn.watched_id]),
        )
        found.setdefault(turn.watched_id, []).append(_Seen(view, turn))
    return found
