"""What is told of a check that flaps: that it does, once, and what is true when it has calmed down."""

import pytest
import time_machine

from apps.alerting.domain.rounds import consider_check
from apps.alerting.enums import AlertState, Trigger
from apps.alerting.models import Alert
from apps.checks.enums import State
from apps.checks.models import Check, CheckState
from tests.factories.alerting import answers, flip, messages
from tests.factories.incidents import minute

pytestmark = pytest.mark.django_db
Hand = time_machine.Traveller
FLAPPING = ("API is flapping: it keeps going down and coming back", "Slack")


def set_flapping(check: Check, at: float | None) -> None:
    since = None if at is None else minute(at)
    CheckState.objects.filter(watched=check).update(is_flapping=since is not None, flapping_since_at=since)


def test_flapping_is_told_once_and_its_flips_wait(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    flip(check, State.UP, 2, hand)
    set_flapping(check, 4)

    for at in range(4, 16, 4):
        flip(check, State.DOWN, at, hand)
        flip(check, State.UP, at + 2, hand)

    assert messages() == [("API is down", "Slack"), ("API recovered", "Slack"), FLAPPING]
    assert answers()[-1] == "flapping_told" or answers()[-1] == "nothing_told"


def test_calm_and_well_tells_who_was_told_that_it_is_over(check: Check, hand: Hand) -> None:
    set_flapping(check, 0)
    flip(check, State.DOWN, 0, hand)
    flip(check, State.UP, 2, hand)
    held = Alert.objects.get()

    hand.move_to(minute(30))
    set_flapping(check, None)
    consider_check(check.id, Trigger.CALM)

    assert held.state == AlertState.FIRING
    assert messages() == [FLAPPING, ("API recovered", "Slack")]
    assert Alert.objects.get().state == AlertState.RESOLVED


def test_calm_and_down_tells_that_it_is_down(check: Check, hand: Hand) -> None:
    set_flapping(check, 0)
    flip(check, State.DOWN, 0, hand)
    flip(check, State.UP, 2, hand)
    flip(check, State.DOWN, 4, hand)

    hand.move_to(minute(30))
    set_flapping(check, None)
    consider_check(check.id, Trigger.CALM)

    assert sorted(messages()[1:]) == [("API is down", "Slack"), ("API recovered", "Slack")]
    assert messages()[0] == FLAPPING


def test_outages_that_came_and_went_while_it_flapped_are_told_to_nobody(check: Check, hand: Hand) -> None:
    set_flapping(check, 0)
    for at in range(0, 12, 4):
        flip(check, State.DOWN, at, hand)
        flip(check, State.UP, at + 2, hand)
    set_flapping(check, None)

    consider_check(check.id, Trigger.CALM)

    assert messages() == [FLAPPING, ("API recovered", "Slack")]
    assert Alert.objects.exclude(state=AlertState.RESOLVED).count() == 0


def test_flapping_again_is_told_again(check: Check, hand: Hand) -> None:
    set_flapping(check, 0)
    flip(check, State.DOWN, 0, hand)
    flip(check, State.UP, 2, hand)
    set_flapping(check, None)
    consider_check(check.id, Trigger.CALM)
    set_flapping(check, 60)

    flip(check, State.DOWN, 60, hand)

    assert messages() == [FLAPPING, ("API recovered", "Slack"), FLAPPING]
