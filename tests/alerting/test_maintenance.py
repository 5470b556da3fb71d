"""What is told before, during and after maintenance."""

import pytest
import time_machine

from apps.alerting.domain.reminding import reevaluate_due
from apps.alerting.models import Alert
from apps.checks.enums import State
from apps.checks.models import Check, CheckState
from tests.factories.alerting import answers, flip, messages
from tests.factories.incidents import minute

pytestmark = pytest.mark.django_db
Hand = time_machine.Traveller


def become(check: Check, after: State, at: float, hand: Hand) -> None:
    """Let the check flip, its state row with it, and everything follow."""
    CheckState.objects.filter(watched=check).update(state=after)
    flip(check, after, at, hand)


def test_outage_before_maintenance_is_not_repeated_during_it_but_when_it_goes_on(check: Check, hand: Hand) -> None:
    become(check, State.DOWN, 0, hand)
    become(check, State.MAINTENANCE, 10, hand)
    hand.move_to(minute(300))  # its reminder was due after four hours
    Alert.objects.update(due_at=minute(299))
    reevaluate_due()
    during = messages()

    become(check, State.DOWN, 400, hand)

    assert during == [("API is down", "Slack")]
    assert messages()[1:] == [("API is still down", "Slack")]
    assert answers()[-2:] == ["in_maintenance", "planned"]


def test_outage_that_is_over_after_maintenance_is_told_as_over(check: Check, hand: Hand) -> None:
    become(check, State.DOWN, 0, hand)
    become(check, State.MAINTENANCE, 10, hand)
    become(check, State.UP, 60, hand)

    assert messages() == [("API is down", "Slack"), ("API recovered", "Slack")]


def test_check_that_comes_out_of_maintenance_down_is_told(check: Check, hand: Hand) -> None:
    CheckState.objects.filter(watched=check).update(state=State.MAINTENANCE)
    become(check, State.DOWN, 60, hand)

    assert messages() == [("API is down", "Slack")]


def test_outage_first_seen_by_alerting_during_maintenance_waits(check: Check, hand: Hand) -> None:
    flip(check, State.DOWN, 0, hand)
    Alert.objects.all().delete()
    CheckState.objects.filter(watched=check).update(state=State.MAINTENANCE)

    flip(check, State.MAINTENANCE, 1, hand)

    assert len(messages()) == 1  # the one before
    assert answers()[-1] == "in_maintenance"
