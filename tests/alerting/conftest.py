"""What these tests share."""

from collections.abc import Iterator

import pytest
import time_machine

from apps.checks.models import Check
from apps.tenants.models import Tenant
from tests.factories.alerting import make_channel, make_rule
from tests.factories.checks import make_check
from tests.factories.incidents import NOON


@pytest.fixture
def hand() -> Iterator[time_machine.Traveller]:
    """The clock's hand, at noon; ``hand.move_to(minute(5))`` moves it."""
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def check(in_acme: Tenant, hand: time_machine.Traveller) -> Check:
    """A check, a default channel and the rule that every tenant begins with."""
    make_channel()
    make_rule()
    return make_check("API", tags=["eu"])
