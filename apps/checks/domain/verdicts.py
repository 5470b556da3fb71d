"""What results make of a check: first in one region, then over all of them. Pure functions; `apps.checks.domain.results`
says the first in SQL for whole batches, and a property test holds the two together."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from apps.checks.enums import State, Verdict

# A region whose looks could not measure for so long is blind. The third one in a row comes two intervals after the first, give
# or take a moment: hence less than two.
BLIND_AFTER, BLIND_INTERVALS = timedelta(seconds=90), 1.5


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


def blind_after(interval: timedelta) -> timedelta:
    """Return for how long a region may say that it could not measure before it has no say."""
    return max(BLIND_AFTER, BLIND_INTERVALS * interval)


def is_blind(verdict: int | None, *, since_at: datetime | None, last_at: datetime | None, interval: timedelta) -> bool:
    """Tell whether a region is, whose results have been such since then up to the last one."""
    if verdict != Verdict.UNKNOWN or since_at is None or last_at is None:
        return False
    return last_at - since_at >= blind_after(interval)


@dataclass(frozen=True, slots=True)
class RegionView:
    """What one region says of a check, since when its results have been so, and how many failed in a row there."""

    region_id: int
    opinion: int | None
    since_at: datetime | None
    failures: int = 0
    is_able: bool = True  # False: its prober is sick, silent or blind here, so that it is left out


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the regions say together, since when, and which of them say so."""

    state: State
    at: datetime | None
    regions: tuple[int, ...]
    failures: int  # in a row, that each of them saw at least


def judge_regions(views: Iterable[RegionView], *, confirmations: int, standing: State = State.UNKNOWN) -> Judgement:
    """Return the state that at least ``confirmations`` of the able regions confirm, where ``standing`` is the one so far.

    Fewer able regions than that must all agree. A state that was confirmed is not left while one region still says so and
    those without a word could confirm it again; and where nobody says that all is well, nobody claims it. Without any
    opinion of an able region it is `State.UNKNOWN`, since the last of them lost sight.
    """
    views = list(views)
    able = [view for view in views if view.is_able]
    known = [view for view in able if view.opinion is not None]
    if not known:
        moments = [view.since_at for view in views if view.since_at]
        return Judgement(State.UNKNOWN, max(moments, default=None), (), 0)
    needed = _needed(confirmations, len(able))
    failing = [view for view in known if view.opinion == Verdict.FAILURE]
    unwell = failing + [view for view in known if view.opinion == Verdict.DEGRADED]
    is_left_at = None
    for state, saying in ((State.DOWN, failing), (State.DEGRADED, unwell)):
        may_return = standing == state and bool(saying) and len(saying) + len(views) - len(known) >= needed
        if len(saying) >= needed or may_return:
            return _judgement(state, saying, at=_agreed_at(views, saying, confirmations), not_before=is_left_at)
        is_left_at = _left_at(views, saying, needed) if standing in (State.DOWN, State.DEGRADED) else None
    well = [view for view in known if view.opinion == Verdict.SUCCESS]
    if not well:
        return Judgement(standing if standing in UNDECIDED else State.UNKNOWN, None, (), 0)
    return _judgement(State.UP, well, at=_agreed_at(views, well, 1), not_before=is_left_at)


# What a check stays as long as those who say anything have not agreed on something else.
UNDECIDED = (State.NEW, State.UP, State.DEGRADED, State.DOWN)


def _needed(confirmations: int, able: int) -> int:
    return max(1, min(confirmations, able))


def _agreed_at(views: list[RegionView], saying: list[RegionView], confirmations: int) -> datetime | None:
    """Return since when as many say so as must: until the others lost sight, these may have had something else to say."""
    unable = [view for view in views if not view.is_able]
    moments = sorted(view.since_at for view in (*saying, *unable) if view.since_at)
    for at in moments:
        able = len(views) - _so_by(at, unable)
        if _so_by(at, saying) >= _needed(confirmations, able):
            return at
    return max(moments, default=None)


def _so_by(at: datetime, views: list[RegionView]) -> int:
    return sum(view.since_at is None or view.since_at <= at for view in views)


def _left_at(views: list[RegionView], saying: list[RegionView], needed: int) -> datetime | None:
    """Return since when too few regions can say what those do: when so many others had something else to say."""
    others = [view.since_at for view in views if view not in saying]
    moments = sorted(at for at in others if at)
    place = len(views) - needed - (len(others) - len(moments))  # those that never said anything come first
    return moments[place] if 0 <= place < len(moments) else None


def _judgement(state: State, views: list[RegionView], *, at: datetime | None, not_before: datetime | None) -> Judgement:
    return Judgement(
        state=state,
        at=max(filter(None, (at, not_before)), default=None),
        regions=tuple(view.region_id for view in views),
        # A region that begins to recover counts none any more; those before made it say what it still says.
        failures=min((view.failures for view in views if view.failures), default=0),
    )
