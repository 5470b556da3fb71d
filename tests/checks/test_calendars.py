"""Days of a check against counting them second by second."""

from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.checks.domain.calendars import SECOND, Calendar, Life
from apps.checks.domain.days import Day
from apps.checks.enums import State

# Days of ten seconds, so that a second is much and every edge is met.
BOUNDS = [1_000, 1_010, 1_020, 1_030, 1_040]
FIRST, LAST = BOUNDS[0] * SECOND, BOUNDS[-1] * SECOND
WORST_FIRST = (State.DOWN, State.DEGRADED, State.MAINTENANCE, State.UNKNOWN)

# Halves of seconds and whole ones are met often, and times after now, as a clock that ran ahead has them.
MOMENTS = st.one_of(
    st.integers(FIRST, LAST + 5 * SECOND),
    st.integers(2 * BOUNDS[0], 2 * BOUNDS[-1]).map(lambda half: half * SECOND // 2),
)
STATES = st.sampled_from([str(state) for state in State])
CHANGES = st.lists(st.tuples(MOMENTS, STATES), max_size=8)  # in any order: clocks step back
OPINIONS = st.sampled_from([str(state) for state in (State.UP, State.DEGRADED, State.DOWN)])
LEARNED = st.lists(
    st.tuples(st.integers(FIRST - 5 * SECOND, LAST), st.integers(0, 12 * SECOND), OPINIONS).map(
        lambda late: (late[0], late[0] + late[1], late[2])
    ),
    max_size=3,
)
NOW = st.integers(BOUNDS[-2] * SECOND, LAST - 1)
BORN = st.integers(BOUNDS[0] - 20, BOUNDS[-1] - 5)


@given(changes=CHANGES, state=STATES, learned=LEARNED, now=NOW, born=BORN)
@settings(max_examples=300, deadline=None)
def test_days_are_those_counted_second_by_second(
    changes: list[tuple[int, str]], state: str, learned: list[tuple[int, int, str]], now: int, born: int
) -> None:
    life = Life(born, state, changes, learned)

    days = Calendar(BOUNDS, now).days_of(life)

    assert days == list(counted(life, now))


def counted(life: Life, now: int) -> Iterator[Day]:
    """The definition, as slowly as it can be said."""
    times, since = [], FIRST
    for at, before in [*life.changes, (now, life.state)]:
        times.append((since, max(at, since), before))
        since = max(at, since)
    for midnight in BOUNDS[:-1]:
        seconds = {"up": 0, "degraded": 0, "down": 0, "maintenance": 0, "late": 0, "none": 0}
        for second in range(max(midnight, life.born), midnight + 10):
            if second * SECOND >= now:
                break
            states = {state for begin, end, state in times if touches(begin, end, second)}
            told = {state for begin, end, state in life.learned if touches(begin, end, second)}
            if State.UNKNOWN in states and told:
                states = states - {State.UNKNOWN} | told
                seconds["late"] += 1
            seconds[worst(states)] += 1
        del seconds["none"]
        yield Day(**seconds)


def touches(begin: int, end: int, second: int) -> bool:
    return begin < end and begin // SECOND <= second and second * SECOND < end


def worst(states: set[str]) -> str:
    for state in WORST_FIRST:
        if state in states:
            return "none" if state == State.UNKNOWN else str(state)
    return "up" if states <= {State.UP} else "none"
