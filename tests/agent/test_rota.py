"""The rota: whose turn it is while the server is away."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from config.agent.rota import Rota
from tests.agent.stand_in import turn_of

START = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
A, B = UUID(int=1), UUID(int=2)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def alone(*offered: tuple[UUID, float, int]) -> Rota:
    """A rota whose checks had a turn so many seconds after the start, brought its result, and lost the server."""
    rota = Rota({})
    for check_id, due, interval in offered:
        rota.order(turn_of(check_id, after(due), interval=interval), now=after(due))
    for check_id, due, _interval in offered:
        finish(rota, check_id, due)
    rota.go_alone(now=START)
    return rota


def finish(rota: Rota, check_id: UUID, due: float, *, late: float = 0.0, took: float = 0.0) -> timedelta:
    """Have a turn bring its result."""
    began = due + late
    return rota.finished(check_id, after(due), after(began), now=after(began + took))


def made(rota: Rota, seconds: float, limit: int = 100) -> list[tuple[UUID, float, float]]:
    return [
        (turn.check_id, (turn.due_at - START).total_seconds(), turn.starts_in_seconds)
        for turn in rota.due(now=after(seconds), limit=limit)
    ]


def test_a_check_goes_on_at_its_interval_on_the_same_grid() -> None:
    rota = alone((A, 0.25, 10))

    seen = []
    for beat in range(45):
        for check_id, due, starts_in in made(rota, beat):
            seen.append((due, round(beat + starts_in, 6)))
            finish(rota, check_id, due)

    assert seen == [(10.25, 10.25), (20.25, 20.25), (30.25, 30.25), (40.25, 40.25)]


def test_no_failure_is_news_while_nobody_can_be_told() -> None:
    rota = alone((A, 0, 10))

    [turn] = rota.due(now=after(9), limit=10)

    assert not turn.is_news
    assert rota.order(turn_of(A, after(20)), now=after(20)).is_news


def test_a_turn_under_way_is_not_made_again() -> None:
    rota = alone((A, 0, 10))

    assert made(rota, 9) == [(A, 10, 1)]
    assert made(rota, 20) == []
    finish(rota, A, 10)
    assert made(rota, 20) == [(A, 20, 0)]


def test_a_turn_that_brings_nothing_is_given_up() -> None:
    rota = alone((A, 0, 10))
    made(rota, 9)

    assert made(rota, 10 + 5 + 59) == []
    assert made(rota, 10 + 5 + 61) == [(A, 70, 0)]


def test_a_slot_that_passed_meanwhile_is_probed_late_and_those_before_it_are_left_out() -> None:
    rota = alone((A, 0, 10), (B, 0, 10))

    assert made(rota, 13, limit=1) == [(A, 10, 0)]
    assert made(rota, 34) == [(B, 30, 0)]


def test_the_most_urgent_come_first_and_the_limit_holds() -> None:
    rota = alone((A, 1, 10), (B, 0.5, 10))

    assert made(rota, 10, limit=1) == [(B, 10.5, 0.5)]
    assert made(rota, 10, limit=0) == []


def test_without_being_alone_no_turn_is_made() -> None:
    rota = alone((A, 0, 10), (B, 0, 10))
    rota.order(turn_of(A, after(10)), now=after(9))
    finish(rota, A, 10)

    assert made(rota, 30) == [(B, 30, 0)]
    finish(rota, B, 30)
    rota.settle(now=after(30))
    assert made(rota, 40) == []


def test_orders_hold_for_35_minutes() -> None:
    rota = alone((A, 0, 10))

    assert made(rota, 35 * 60) == [(A, 35 * 60, 0)]
    finish(rota, A, 35 * 60)
    assert made(rota, 35 * 60 + 10) == []
    rota.forget_old(now=after(35 * 60 + 10))
    assert len(rota) == 0


def test_what_was_measured_by_a_process_before_is_known() -> None:
    rota = Rota({A: after(50)})

    assert (rota.measured(A), rota.measured(B)) == (after(50), None)
    rota.order(turn_of(A, after(60)), now=after(60))
    assert rota.measured(A) == after(60)


# --- what is lost -----------------------------------------------------------------------------------------------------


def ordered(due: float, *, now: float, rota: Rota | None = None, is_overdue: bool = False) -> Rota:
    """A rota whose check has got a turn from the server, every ten seconds."""
    rota = rota or Rota({})
    rota.order(turn_of(A, after(due)), now=after(now), is_overdue=is_overdue)
    return rota


@pytest.mark.parametrize(
    ("late", "took", "lost"),
    [
        (0, 3, 0),
        (0, 25, 0),  # a target that took its time
        (7, 2, 0),  # late, but the next one is still to come
        (9, 2, 1),
        (31, 2, 3),
        (12, 25, 1),  # without being late, two would have gone by all the same
    ],
)
def test_turns_that_pass_since_one_was_started_late_are_lost(late: float, took: float, lost: int) -> None:
    rota = ordered(0, now=-1, rota=ordered(-10, now=-11))

    assert finish(rota, A, 0, late=late, took=took) == timedelta(seconds=late)
    assert rota.lost == lost


def test_what_the_server_gave_late_is_not_our_lateness_unless_we_came_for_it_late() -> None:
    first, back = ordered(0, now=9), ordered(0, now=9, rota=ordered(-10, now=-11), is_overdue=True)
    slow = ordered(0, now=9, rota=ordered(-10, now=-11))

    late = [finish(rota, A, 0, late=9, took=2) for rota in (first, back, slow)]

    assert late == [timedelta(), timedelta(), timedelta(seconds=9)]
    assert [rota.lost for rota in (first, back, slow)] == [0, 0, 1]


def test_alone_the_last_slot_that_passed_is_probed_and_those_before_it_are_lost() -> None:
    rota = alone((A, 0, 10))
    made(rota, 9)

    finish(rota, A, 10, late=12, took=1)  # at 23: the slot of 20 is next
    assert rota.lost == 0
    assert made(rota, 23) == [(A, 20, 0)]
    finish(rota, A, 20, late=31, took=1)  # at 52: that of 50 is, and two are gone
    assert rota.lost == 2


def test_alone_slots_are_lost_when_nobody_makes_their_turns() -> None:
    rota = alone((A, 0, 10))
    made(rota, 9)
    finish(rota, A, 10, took=1)

    assert made(rota, 45) == [(A, 40, 0)]
    assert rota.lost == 2


def test_a_clock_that_is_set_back_gives_no_lost_turn_back() -> None:
    rota = alone((A, 0, 10))
    made(rota, 9)
    finish(rota, A, 10, took=35)  # at 45, free for the slot of 40

    assert made(rota, 21) == [(A, 20, 0)]  # set back by 24 seconds
    assert rota.lost == 0


# --- what is no longer ours -------------------------------------------------------------------------------------------


def known(rota: Rota, seconds: float) -> bool:
    """Have the server tell at that moment that it has nothing more for us; return whether anything is left."""
    rota.forget_left(now=after(seconds))
    return len(rota) > 0


def test_a_check_whose_next_turn_does_not_come_is_struck() -> None:
    rota = ordered(0, now=-1)
    finish(rota, A, 0)

    assert [known(rota, seconds) for seconds in (35, 35.1)] == [True, False]  # two intervals, five to probe, and ten


def test_a_check_with_a_long_interval_is_waited_for_as_long() -> None:
    rota = Rota({})
    rota.order(turn_of(A, after(0), interval=900), now=after(-1))
    finish(rota, A, 0)

    assert [known(rota, seconds) for seconds in (1_800, 1_816)] == [True, False]


def test_a_turn_that_ends_late_is_followed_late() -> None:
    rota = ordered(0, now=-1)

    assert known(rota, 60)  # under way
    finish(rota, A, 0, late=60, took=1)
    assert [known(rota, seconds) for seconds in (61, 96, 96.1)] == [True, True, False]


def test_a_turn_that_brings_nothing_is_waited_for_no_longer_than_it_counts() -> None:
    rota = ordered(0, now=-1)

    assert [known(rota, seconds) for seconds in (64, 65)] == [True, False]


def test_while_it_is_alone_no_check_is_struck_and_the_absence_counts_for_nothing() -> None:
    rota = ordered(0, now=-1)
    finish(rota, A, 0)
    rota.go_alone(now=after(9))
    rota.go_alone(now=after(500))

    assert known(rota, 1_000)
    rota.settle(now=after(1_009))
    rota.settle(now=after(1_012))
    assert [known(rota, seconds) for seconds in (1_035, 1_036)] == [True, False]


def test_many_short_absences_keep_no_check_that_was_moved_away() -> None:
    rota = ordered(0, now=-1)
    finish(rota, A, 0)

    probed = []
    for began in range(0, 200, 20):
        rota.forget_left(now=after(began))
        rota.go_alone(now=after(began))
        for _check, due, _starts_in in made(rota, began + 1):
            finish(rota, A, due, took=max(0.0, began + 1 - due))
            probed.append(due)
        rota.settle(now=after(began + 2))

    assert probed == [20]
    assert len(rota) == 0


def test_an_order_ends_after_35_minutes_whatever_is_expected() -> None:
    rota = Rota({})
    rota.order(turn_of(A, after(0), interval=86_400), now=after(0))
    finish(rota, A, 0)

    rota.forget_old(now=after(35 * 60 + 1))

    assert len(rota) == 0
