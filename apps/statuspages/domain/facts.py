"""What a page may know of checks and outages: names the tenant chose for the public, states and times, nothing else."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from uuid import UUID

from apps.checks.domain.hindsight import Learned, known_of
from apps.checks.domain.spans import Span, common, merged, span, without
from apps.checks.enums import State
from apps.incidents.enums import Severity
from apps.statuspages.domain.uptime import History


@dataclass(frozen=True, slots=True)
class ComponentFact:
    """A row of a page, with its check's state and age."""

    id: UUID
    check_id: UUID
    name: str
    description: str
    group: str
    created_at: datetime
    updated_at: datetime
    state: str
    watched_since: datetime


@dataclass(frozen=True, slots=True)
class OutageFact:
    """An outage without its cause: what went wrong is the tenant's own business."""

    id: UUID
    check_id: UUID
    severity: str
    started_at: datetime
    ended_at: datetime | None
    first_flip: int
    last_flip: int


@dataclass(frozen=True, slots=True)
class FlipFact:
    """A change of a check's state; ``sequence`` is its place in their order."""

    sequence: int
    check_id: UUID
    at: datetime
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Moment:
    """During an outage the state became this."""

    at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of a component's past; ``learned`` is what late results say of times that nobody seemed to have seen."""

    component: ComponentFact
    outages: Sequence[OutageFact] = ()
    flips: Sequence[FlipFact] = ()
    learned: Sequence[Learned] = ()


# Time of which nobody knows. Like maintenance it counts neither as up nor as down, also within an outage that stays open
# meanwhile.
UNSEEN = frozenset({State.NEW, State.UNKNOWN, State.PAUSED})


def moments_of(outage: OutageFact, flips: Sequence[FlipFact]) -> list[Moment]:
    """Return what happened during an outage, oldest first, from the check's flips in their order."""
    first = bisect_left(flips, outage.first_flip, key=attrgetter("sequence"))
    end = bisect_right(flips, outage.last_flip, key=attrgetter("sequence"))
    return [Moment(max(flip.at, outage.started_at), flip.after) for flip in flips[first:end]]


def states_over_time(
    flips: Sequence[FlipFact], *, now_state: str, since: datetime, now: datetime
) -> dict[str, list[Span]]:
    """Return when the check was in each state since ``since``; without a flip it was all the time as it is now."""
    spans: dict[str, list[Span]] = {}
    at, state = since, flips[0].before if flips else now_state
    for flip in flips:
        moment = max(flip.at, at)
        spans.setdefault(state, []).append(span(at, moment))
        at, state = moment, flip.after
    spans.setdefault(state, []).append(span(at, max(now, at)))
    return spans


def history_of(past: Past, *, since: datetime, now: datetime) -> History:
    """Return a component's history. Outages say when it was unwell, flips how badly, and when nobody looked."""
    component = past.component
    states = states_over_time(past.flips, now_state=component.state, since=since, now=now)
    by_severity: dict[str, list[Span]] = {Severity.DOWN: [], Severity.DEGRADED: []}
    for outage in past.outages:
        by_severity[outage.severity].append(span(max(outage.started_at, since), outage.ended_at or now))
    unwell = merged([*by_severity[Severity.DOWN], *by_severity[Severity.DEGRADED]])
    was_down = common(unwell, states.get(State.DOWN, ()))
    was_degraded = without(common(unwell, states.get(State.DEGRADED, ())), was_down)
    maintenance = states.get(State.MAINTENANCE, [])
    unseen = [part for state in UNSEEN for part in states.get(state, ())]
    told = [*was_down, *was_degraded, *maintenance, *unseen]
    known = known_of(states.get(State.UNKNOWN, []), past.learned)
    down = was_down + without(by_severity[Severity.DOWN], told) + known.down
    degraded = was_degraded + without(by_severity[Severity.DEGRADED], told) + known.degraded
    unseen = known.unseen + [part for state in UNSEEN - {State.UNKNOWN} for part in states.get(state, ())]
    born = span(component.watched_since, now).start
    return History(
        born=born,
        now=span(since, now).end,
        down=down,
        degraded=degraded,
        maintenance=maintenance,
        unseen=unseen,
        late=known.late,
    )
