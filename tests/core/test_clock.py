"""Noticing that somebody sets the clock."""

from datetime import timedelta

import pytest
import time_machine

from apps.core import clock
from apps.core.clock import StepWatch


@pytest.mark.parametrize("hours", [1, -1])
def test_step_is_seen_once_by_its_size(hours: int) -> None:
    watch = StepWatch()
    steps = [watch.step()]

    with time_machine.travel(clock.now() + timedelta(hours=hours)):
        steps += [watch.step(), watch.step()]
    steps.append(watch.step())

    assert [round(step.total_seconds() / 3_600, 2) for step in steps] == [0, hours, 0, -hours]


def test_what_a_clock_is_slewed_by_is_no_step() -> None:
    watch = StepWatch()

    with time_machine.travel(clock.now() + timedelta(seconds=4)):
        assert watch.step() == timedelta(0)
