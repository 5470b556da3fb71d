"""What members make of a group: a pure rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.checks.enums import State
from apps.checks.types.group import compose

UP, SLOW, DOWN, BLANK, NEW, PAUSED, CARE = "up", "degraded", "down", "unknown", "new", "paused", "maintenance"


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ([], BLANK),
        ([PAUSED, CARE], BLANK),
        ([BLANK, NEW], BLANK),
        ([UP, UP], UP),
        ([UP, BLANK], UP),
        ([UP, SLOW], SLOW),
        ([UP, SLOW, DOWN], DOWN),
        ([DOWN, PAUSED], DOWN),
        ([UP, PAUSED, CARE], UP),
    ],
)
def test_worst(states: list[str], worst: str) -> None:
    assert compose(states, rule="worst", quorum=1) == worst


@pytest.mark.parametrize(
    ("states", "quorum", "expected"),
    [
        ([UP, UP, DOWN], 2, UP),
        ([UP, SLOW, DOWN], 2, SLOW),
        ([UP, DOWN, DOWN], 2, DOWN),
        ([UP, BLANK, DOWN], 2, BLANK),
        ([UP, UP, BLANK], 2, UP),
        ([UP, PAUSED, PAUSED], 2, UP),
        ([DOWN, CARE], 2, DOWN),
        ([UP, UP], 9, UP),
        ([BLANK, PAUSED], 1, BLANK),
        ([], 1, BLANK),
    ],
)
def test_quorum(states: list[str], quorum: int, expected: str) -> None:
    assert compose(states, rule="quorum", quorum=quorum) == expected


@given(states=st.lists(st.sampled_from(State.values), max_size=8), quorum=st.integers(1, 9))
def test_a_member_that_gets_well_never_makes_it_worse(states: list[str], quorum: int) -> None:
    rank = [State.DOWN, State.UNKNOWN, State.DEGRADED, State.UP]
    for place, state in enumerate(states):
        if state == State.DOWN:
            better = [*states[:place], State.UP, *states[place + 1 :]]
            for rule in ("worst", "quorum"):
                assert rank.index(compose(better, rule=rule, quorum=quorum)) >= rank.index(
                    compose(states, rule=rule, quorum=quorum)
                )
