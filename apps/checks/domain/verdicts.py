"""What results make of a check: first in one region, then over all of them. Pure functions; `apps.checks.domain.results`
says the first in SQL for whole batches, and a property test holds the two together."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from apps.checks.enums import State, Verdict


@dataclass(frozen=True, slots=True)
class Standing:
    """How a check stands in one region: what the region says (None: nothing), and the results in a row that led there."""

    opinion: int | None = None
    failures: int = 0
    successes: int = 0


def judged(verdict: int, *, total_ms: float | None, degraded_ms: int | None) -> int:
    """Return the verdict after the check's own threshold: a success slower than ``degraded_ms`` is `Verdict.DEGRADED`."""
    is_slow = degraded_ms is not None and total_ms is not None and total_ms > degraded_ms
    return Verdict.DEGRADED if verdict == Verdict.SUCCESS and is_slow else verdict


def next_standing(now: Standing, *, verdict: int, retries: int, recoveries: int) -> Standing:
    """Return the standing after a judged result.

    A failure within the retries changes only the count, and so does a success after an outage until there are
    ``recoveries`` of them. What was not measured starts everything anew: our own trouble is never the customer's outage,
    and what we do not know we do not claim.
    """
    if verdict == Verdict.UNKNOWN:
        return Standing()
    if verdict == Verdict.FAILURE:
        failures = now.failures + 1
        return Standing(Verdict.FAILURE if failures > retries else now.opinion, failures, 0)
    successes = now.successes + 1
    is_recovering = now.opinion == Verdict.FAILURE and successes < recoveries
    return Standing(now.opinion if is_recovering else verdict, 0, successes)


def waits_for_retry(after: Standing) -> bool:
    """Tell whether the next turn comes after the retry interval: the region has seen something and is not sure yet."""
    if after.opinion == Verdict.FAILURE:
        return after.successes > 0
    return after.failures > 0


@dataclass(frozen=True, slots=True)
class RegionView:
    """What one region says of a check, since when its results have been so, and how many failed in a row there."""

    region_id: int
    opinion: int | None
    since_at: datetime | None
    failures: int = 0
    is_able: bool = True  # False: its prober is sick or silent, so that it is left out


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the regions say together, since when, and which of them say so."""

    state: State
    at: datetime | None
    regions: tuple[int, ...]
    failures: int


def judge_regions(views: Iterable[RegionView], *, confirmations: int) -> Judgement:
    """Return the state that at least ``confirmations`` of the able regions confirm.

    Fewer able regions than that must all agree. A state begins when the last region needed for it began to say so. Without
    any opinion of an able region it is `State.UNKNOWN`, since the last of them lost sight.
    """
    views = list(views)
    able = [view for view in views if view.is_able]
    known = [view for view in able if view.opinion is not None]
    if not known:
        moments = [view.since_at for view in views if view.since_at]
        return Judgement(State.UNKNOWN, max(moments, default=None), (), 0)
    needed = max(1, min(confirmations, len(able)))
    failing = [view for view in known if view.opinion == Verdict.FAILURE]
    if len(failing) >= needed:
        return _judgement(State.DOWN, failing, needed)
    unwell = failing + [view for view in known if view.opinion == Verdict.DEGRADED]
    if len(unwell) >= needed:
        return _judgement(State.DEGRADED, unwell, needed)
    well = [view for view in known if view.opinion == Verdict.SUCCESS] or known
    return _judgement(State.UP, well, len(well))


def _judgement(state: State, views: list[RegionView], needed: int) -> Judgement:
    moments = sorted(view.since_at for view in views if view.since_at)
    at = moments[min(needed, len(moments)) - 1] if moments else None
    return Judgement(state, at, tuple(view.region_id for view in views), sum(view.failures for view in views))
