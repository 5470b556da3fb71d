"""What these tests share."""

from collections.abc import Iterator

import pytest
import time_machine

from tests.factories.incidents import NOON


@pytest.fixture
def hand() -> Iterator[time_machine.Traveller]:
    """The clock's hand, at noon."""
    with time_machine.travel(NOON, tick=True) as traveller:
        yield traveller
