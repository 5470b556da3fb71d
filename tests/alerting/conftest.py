"""What these tests share."""

from collections.abc import Iterator

import pytest
import time_machine

from tests.factories.incidents import NOON


@pytest.fixture
def hand() -> Iterator[time_machine.Traveller]:
    """The clock's hand, at noon; ``hand.move_to(minute(5))`` moves it."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller
