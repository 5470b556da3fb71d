"""Outages that nobody saw at the time, because results that tell of them came later. Pure.

They are facts of the past: a page lists them beside what was seen, and nobody is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from apps.checks.domain.hindsight import known_of
from apps.checks.domain.spans import Span, merged, span, without
from apps.checks.enums import State
from apps.incidents.enums import Severity
from apps.statuspages.domain.facts import Moment, Past, states_over_time


@dataclass(frozen=True, slots=True)
class FoundOutage:
    """An outage that was found later; its times are whole seconds, those that count as downtime. It is always over."""

    id: UUID
    check_id: UUID
    severity: str
    started_at: datetime
    ended_at: datetime
    moments: Sequence[Moment]


def found_later(past: Past, *, since: datetime, now: datetime) -> list[FoundOutage]:
    """Return the outages of times that flips call unknown; none of what an outage that was seen covers already."""
    if not any(each.state in (State.DOWN, State.DEGRADED) for each in past.learned):
        return []
    states = states_over_time(past.flips, now_state=past.component.state, since=since, now=now)
    known = known_of(states.get(State.UNKNOWN, []), past.learned)
    seen = [span(outage.started_at, outage.ended_at or now) for outage in past.outages]
    down = without(known.down, seen)
    was = {State.DOWN: down, State.DEGRADED: without(known.degraded, [*seen, *down])}
    pieces = sorted((piece, state) for state, spans in was.items() for piece in spans)
    return [
        _found(past, states, whole, [each for each in pieces if whole.start <= each[0].start < whole.end])
        for whole in merged(piece for piece, _state in pieces)
    ]


def _found(
    past: Past, states: Mapping[str, Sequence[Span]], whole: Span, pieces: Sequence[tuple[Span, State]]
) -> FoundOutage:
    started_at, ended_at = _moment(whole.start), _moment(whole.end)
    is_down = any(state == State.DOWN for _piece, state in pieces)
    return FoundOutage(
        # Rows of hindsight come and go with what is learned; an outage stays the same as long as it begins then.
        id=uuid5(past.component.check_id, started_at.isoformat()),
        check_id=past.component.check_id,
        severity=Severity.DOWN if is_down else Severity.DEGRADED,
        started_at=started_at,
        ended_at=ended_at,
        moments=[
            *(Moment(_moment(piece.start), state) for piece, state in pieces),
            Moment(ended_at, _state_after(past, states, whole.end)),
        ],
    )


def _state_after(past: Past, states: Mapping[str, Sequence[Span]], second: int) -> str:
    """Return what the check was from that second on: as flips say, and where they do not know, as was learned."""
    by_flips = [state for state, spans in states.items() if any(each.start <= second < each.end for each in spans)]
    if told := [state for state in by_flips if state != State.UNKNOWN]:
        return told[-1]
    if not by_flips:  # up to now
        return past.component.state
    return next((each.state for each in past.learned if each.span.start <= second < each.span.end), State.UNKNOWN)


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, tz=UTC)
