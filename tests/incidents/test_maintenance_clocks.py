"""Maintenance windows when the clock is set back: they wait, go on or stay ended as the new time says."""

import pytest
import time_machine

from apps.checks.enums import State
from apps.incidents.domain.maintenance import end_now
from apps.incidents.domain.maintenance_edges import apply_edges
from apps.tenants.models import Tenant
from tests.incidents.test_maintenance import at, hand, plan, state, well

pytestmark = pytest.mark.django_db
__all__ = ["hand"]


def test_window_that_began_by_a_clock_that_was_set_back_waits_for_its_begin(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check = well()
    window = plan(check, begin=1.5, hours=2)
    hand.move_to(at(2))
    apply_edges()
    assert state(check) == State.MAINTENANCE

    hand.move_to(at(1))
    apply_edges()
    window.refresh_from_db()
    assert (state(check), window.running_since_at, window.next_edge_at) == (State.UP, None, at(1.5))

    hand.move_to(at(1.6))
    apply_edges()
    assert state(check) == State.MAINTENANCE


def test_window_that_ended_by_a_clock_that_was_set_back_goes_on(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = well()
    window = plan(check, begin=1, hours=1.5)
    for hours in (1.1, 2.6):
        hand.move_to(at(hours))
        apply_edges()
    assert state(check) == State.UP

    hand.move_to(at(1.6))
    apply_edges()

    window.refresh_from_db()
    assert (state(check), window.running_until_at) == (State.MAINTENANCE, at(2.5))
    assert apply_edges() == 0


def test_window_ended_by_hand_stays_ended_after_the_clock_was_set_back(
    in_acme: Tenant, hand: time_machine.Traveller
) -> None:
    check = well()
    window = plan(check, begin=1, hours=3)
    hand.move_to(at(2.5))
    apply_edges()
    end_now(window_id=window.id)
    assert state(check) == State.UP

    hand.move_to(at(1.5))
    apply_edges()

    assert state(check) == State.UP
