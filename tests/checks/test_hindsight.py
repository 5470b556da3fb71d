"""What results say of a time after the fact: pure rules."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.checks.domain.hindsight import Learned, Piece, Rules, Seen, known_of, look_back
from apps.checks.domain.spans import Span
from apps.checks.enums import State, Verdict

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = Rules(timedelta(seconds=60), retries=1, recoveries=1, confirmations=1)
VERDICTS = {"o": Verdict.SUCCESS, "s": Verdict.DEGRADED, "x": Verdict.FAILURE, "?": Verdict.UNKNOWN}
SIGNS = {State.UP: "up", State.DEGRADED: "degraded", State.DOWN: "down"}


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def seen(signs: str, *, region: int = 7, first: float = 0) -> list[Seen]:
    """Results a minute apart: o good, s slow, x failed, ? not measured, a blank for none."""
    return [Seen(region, minute(first + place), VERDICTS[sign]) for place, sign in enumerate(signs) if sign != " "]


def told(pieces: list[Piece]) -> list[tuple[float, float, str]]:
    return [
        ((piece.since - NOON).total_seconds() / 60, (piece.until - NOON).total_seconds() / 60, SIGNS[piece.state])
        for piece in pieces
    ]


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ("ooooo", [(0, 5, "up")]),
        ("ooxoo", [(0, 5, "up")]),  # a retry's failure
        ("ooxxo", [(0, 2, "up"), (2, 4, "down"), (4, 5, "up")]),  # since the first of the run
        ("osso ", [(0, 1, "up"), (1, 3, "degraded"), (3, 5, "up")]),
        ("oo???", [(0, 2, "up")]),
        ("o?xoo", [(0, 1, "up"), (3, 5, "up")]),  # not sure, and nothing known before
        ("o   o", [(0, 2, "up"), (4, 5, "up")]),  # a result is good for two intervals
        ("x   x", []),
        ("oo   ", [(0, 3, "up")]),
    ],
)
def test_results_tell_what_was(signs: str, expected: list[tuple[float, float, str]]) -> None:
    assert told(look_back(seen(signs), RULES, since=NOON, until=minute(5))) == expected


def test_nothing_is_told_outside_the_time_and_its_end_may_be_open() -> None:
    results = seen("oooooooo", first=-2)

    assert told(look_back(results, RULES, since=NOON, until=minute(2.5))) == [(0, 2.5, "up")]
    assert told(look_back(results, RULES, since=NOON, until=None)) == [(0, 7, "up")]
    assert told(look_back([], RULES, since=NOON, until=None)) == []


def test_what_was_before_goes_on_where_results_are_near() -> None:
    rules = Rules(timedelta(seconds=60), retries=1, recoveries=2, confirmations=1)

    near = look_back(seen("xoo", first=-0.5), rules, since=NOON, until=minute(3), before=State.DOWN)
    far = look_back(seen("oo", first=3), rules, since=NOON, until=minute(5), before=State.DOWN)

    assert told(near) == [(0, 0.5, "down"), (0.5, 3, "up")]
    assert told(far) == [(3, 5, "up")]


def test_a_run_that_ends_in_an_outage_belongs_to_it() -> None:
    results = seen("ooox")

    assert told(look_back(results, RULES, since=NOON, until=minute(4), after=State.DOWN)) == [
        (0, 3, "up"),
        (3, 4, "down"),
    ]
    assert told(look_back(results, RULES, since=NOON, until=minute(4), after=State.UP)) == [(0, 4, "up")]


def test_regions_are_judged_together_where_they_have_results() -> None:
    rules = Rules(timedelta(seconds=60), retries=0, recoveries=1, confirmations=2)
    results = [*seen("oxxo  ", region=7), *seen("ooxxxx", region=8)]

    found = look_back(sorted(results, key=lambda each: each.at), rules, since=NOON, until=minute(6))

    # one failing of two is not enough; alone it is
    assert told(found) == [(0, 2, "up"), (2, 3, "down"), (3, 5, "up"), (5, 6, "down")]


def test_region_that_could_not_measure_for_long_has_no_say() -> None:
    rules = Rules(timedelta(seconds=60), retries=0, recoveries=1, confirmations=2)

    def found(blind: str, other: str) -> list[tuple[float, float, str]]:
        results = sorted([*seen(blind, region=7), *seen(other, region=8)], key=lambda each: each.at)
        return told(look_back(results, rules, since=NOON, until=minute(6)))

    assert found("??????", "oxxxxo") == [(0, 1, "up"), (1, 5, "down"), (5, 6, "up")]
    assert found("o???oo", "xxxxxx") == [(0, 1, "up"), (1, 4, "down"), (4, 6, "up")]
    assert found("??oooo", "xxxxxx") == [(2, 6, "up")]  # it might have said otherwise


def test_hindsight_counts_in_unknown_times_alone() -> None:
    learned = [
        Learned(Span(0, 20), State.UP),
        Learned(Span(20, 25), State.DOWN),
        Learned(Span(28, 40), State.DEGRADED),
    ]

    known = known_of([Span(10, 30)], learned)

    assert (known.down, known.degraded, known.unseen) == ([Span(20, 25)], [Span(28, 30)], [Span(25, 28)])
