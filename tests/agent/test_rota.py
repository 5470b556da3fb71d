"""The rota: whose turn it is while the server is away."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

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
    rota.finished([check_id for check_id, _due, _interval in offered])
    rota.go_alone()
    return rota


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
            rota.finished([check_id])

    assert seen == [(10.25, 10.25), (20.25, 20.25), (30.25, 30.25), (40.25, 40.25)]


def test_a_turn_under_way_is_not_made_again() -> None:
    rota = alone((A, 0, 10))

    assert made(rota, 9) == [(A, 10, 1)]
    assert made(rota, 20) == []
    rota.finished([A])
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
    rota.finished([A])

    assert made(rota, 30) == [(B, 30, 0)]
    rota.finished([B])
    rota.settle()
    assert made(rota, 40) == []


def test_orders_hold_for_35_minutes() -> None:
    rota = alone((A, 0, 10))

    assert made(rota, 35 * 60) == [(A, 35 * 60, 0)]
    rota.finished([A])
    assert made(rota, 35 * 60 + 10) == []
    rota.forget_old(now=after(35 * 60 + 10))
    assert len(rota) == 0


def test_what_was_measured_by_a_process_before_is_known() -> None:
    rota = Rota({A: after(50)})

    assert (rota.measured(A), rota.measured(B)) == (after(50), None)
    rota.order(turn_of(A, after(60)), now=after(60))
    assert rota.measured(A) == after(60)
