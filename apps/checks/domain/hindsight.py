"""What results say of a time after the fact, and what that makes of a time that nobody seemed to have seen.

Pure functions. Nothing of this flips a check: flips are made by results that come in time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from apps.checks.domain.spans import Span, common, without
from apps.checks.domain.verdicts import RegionView, Standing, blind_after, is_blind, judge_regions, next_standing
from apps.checks.enums import State, Verdict

# A result says how things are until the next one, for so many intervals at most.
GOOD_FOR = 2
OPINIONS: dict[str, int] = {State.UP: Verdict.SUCCESS, State.DEGRADED: Verdict.DEGRADED, State.DOWN: Verdict.FAILURE}


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Learned:
    """The seconds of a time that is known by hindsight, and the state."""

    span: Span
    state: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known now of unknown times; what was up is only in ``late``: all that is known by hindsight alone."""

    down: list[Span]
    degraded: list[Span]
    unseen: list[Span]
    late: list[Span]


def known_of(unknown: Sequence[Span], learned: Iterable[Learned]) -> Known:
    """Return what hindsight makes of times that flips call unknown; outside of them it counts for nothing."""
    told = list(learned)
    unseen = without(unknown, (each.span for each in told))
    return Known(
        down=common(unknown, (each.span for each in told if each.state == State.DOWN)),
        degraded=common(unknown, (each.span for each in told if each.state == State.DEGRADED)),
        unseen=unseen,
        late=without(unknown, unseen),
    )


# --- judging ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Seen:
    """A result: from which region, when, and its verdict."""

    region_id: int
    at: datetime
    verdict: int


@dataclass(frozen=True, slots=True)
class Rules:
    """How a check judges its results."""

    interval: timedelta
    retries: int
    recoveries: int
    confirmations: int

    @property
    def good_for(self) -> timedelta:
        return GOOD_FOR * self.interval

    @property
    def lead(self) -> timedelta:
        """How long before a time results say how things were then."""
        return max(self.good_for, blind_after(self.interval))


@dataclass(frozen=True, slots=True)
class Piece:
    """A time and what the check was."""

    since: datetime
    until: datetime
    state: State


@dataclass(slots=True)
class _Run:
    """Results of one region that are alike and follow each other, how long they are good, and what it says in the end."""

    region_id: int
    since: datetime
    until: datetime
    verdict: int
    opinion: int | None
    is_able: bool = True


def look_back(
    results: Iterable[Seen], rules: Rules, *, since: datetime, until: datetime | None, before: str = "", after: str = ""
) -> list[Piece]:
    """Return what the check was between ``since`` and ``until`` (None: it goes on), where results tell it.

    ``results`` are in the order of their times and may begin before ``since``, to say how things were then; ``before`` and
    ``after`` are the states on either side. A failure counts once the region is sure, then from the first of its run, as
    in live life.
    """
    by_region: dict[int, list[Seen]] = {}
    for each in results:
        by_region.setdefault(each.region_id, []).append(each)
    runs: list[_Run] = []
    for own in by_region.values():
        knew = own[0].at <= since + rules.good_for
        runs += _runs_of(own, rules, OPINIONS.get(before) if knew else None)
        if after == State.DOWN and runs[-1].verdict == Verdict.FAILURE and until and runs[-1].until >= until:
            runs[-1].opinion = Verdict.FAILURE  # what came in time made the region sure
    return _pieces(_over_time(runs, since=since, until=until), rules)


def _runs_of(results: Iterable[Seen], rules: Rules, opinion: int | None) -> list[_Run]:
    """Return a region's runs; what it says at the end of one it might have said since its first result."""
    standing = Standing(opinion)
    runs: list[_Run] = []
    for each in results:
        is_seamless = bool(runs) and runs[-1].until >= each.at
        if runs and not is_seamless:
            standing = Standing()  # nobody looked in between
        standing = next_standing(standing, verdict=each.verdict, retries=rules.retries, recoveries=rules.recoveries)
        until = each.at + rules.good_for
        if is_seamless and runs[-1].verdict == each.verdict:
            run = runs[-1]
            run.until, run.opinion = until, standing.opinion
            run.is_able = not is_blind(run.verdict, since_at=run.since, last_at=each.at, interval=rules.interval)
            continue
        if is_seamless:
            runs[-1].until = each.at
        runs.append(_Run(each.region_id, each.at, until, each.verdict, standing.opinion))
    return runs


Views = dict[int, _Run]  # what each region says that has a result then


def _over_time(
    runs: Iterable[_Run], *, since: datetime, until: datetime | None
) -> Iterator[tuple[datetime, datetime, Views]]:
    """Yield the stretches in which the regions say the same, and what they say."""
    edges: list[tuple[datetime, bool, _Run]] = []
    for run in runs:
        begin, end = max(run.since, since), min(run.until, until) if until else run.until
        if begin < end:
            edges += [(begin, True, run), (end, False, run)]
    edges.sort(key=lambda edge: edge[:2])  # what ends goes before what begins
    views: Views = {}
    for (at, is_begin, run), (following, _is_begin, _run) in pairwise(edges):
        if is_begin:
            views[run.region_id] = run
        else:
            del views[run.region_id]
        if at < following:
            yield at, following, views


def _pieces(stretches: Iterable[tuple[datetime, datetime, Views]], rules: Rules) -> list[Piece]:
    pieces: list[Piece] = []
    for start, end, views in stretches:
        said = [RegionView(run.region_id, run.opinion, None, is_able=run.is_able) for run in views.values()]
        standing = pieces[-1].state if pieces and pieces[-1].until == start else State.UNKNOWN
        state = judge_regions(said, confirmations=rules.confirmations, standing=standing).state
        if state == State.UNKNOWN:
            continue
        is_same = standing == state
        pieces.append(Piece(pieces.pop().since if is_same else start, end, state))
    return pieces


# --- groups -----------------------------------------------------------------------------------------------------------


def overlaid(pieces: Iterable[Piece], learned: Sequence[Piece]) -> list[Piece]:
    """Return a check's pieces, unknown ones as what they are known to have been by now."""
    whole: list[Piece] = []
    for piece in pieces:
        if piece.state != State.UNKNOWN:
            whole.append(piece)
            continue
        at = piece.since
        for late in sorted(learned, key=lambda late: late.since):
            since, until = max(at, late.since), min(piece.until, late.until)
            if since < until:
                whole += [Piece(at, since, State.UNKNOWN), Piece(since, until, late.state)]
                at = until
        whole.append(Piece(at, piece.until, State.UNKNOWN))
    return [piece for piece in whole if piece.since < piece.until]


def look_back_at_members(
    members: Sequence[Sequence[Piece]], compose: Callable[[list[str]], State], *, since: datetime, until: datetime
) -> list[Piece]:
    """Return what a group was between ``since`` and ``until``, where its members tell it."""
    edges = {since, until} | {edge for own in members for piece in own for edge in (piece.since, piece.until)}
    places = [0] * len(members)
    pieces: list[Piece] = []
    for start, end in pairwise(sorted(edge for edge in edges if since <= edge <= until)):
        state = compose(
            [found for number, own in enumerate(members) if (found := _state_at(own, places, number, start))]
        )
        if state == State.UNKNOWN:
            continue
        is_same = bool(pieces) and pieces[-1].until == start and pieces[-1].state == state
        pieces.append(Piece(pieces.pop().since if is_same else start, end, state))
    return pieces


def _state_at(pieces: Sequence[Piece], places: list[int], number: int, at: datetime) -> str:
    """Return what a member was at that moment, "" where it was not yet there; ``places`` keep how far each has been read."""
    while places[number] < len(pieces) and pieces[places[number]].until <= at:
        places[number] += 1
    here = pieces[places[number]] if places[number] < len(pieces) else None
    return str(here.state) if here and here.since <= at else ""
