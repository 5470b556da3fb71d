"""When a check flaps, and when it has calmed down."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection

from apps.checks.domain.flapping import (
    ENDS_BELOW,
    ENOUGH,
    STARTS_ABOVE,
    change_ratio,
    flaps,
    latest_changes,
    look_for_calm,
    stretch_of,
)
from apps.checks.domain.flips import Change, change_state
from apps.checks.enums import State
from apps.checks.models import Check, CheckState
from apps.core.tenancy import tenant_scope
from apps.events.models import OutboxRow
from apps.tenants.models import Tenant
from tests.factories.checks import make_check

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def before(*minutes: float) -> list[datetime]:
    return [NOON - count * MINUTE for count in minutes]


@pytest.mark.parametrize(
    ("seconds", "minutes"), [(10, 10), (30, 10), (60, 20), (300, 100), (3_600, 720), (86_400, 720)]
)
def test_stretch_is_twenty_intervals_within_bounds(seconds: int, minutes: int) -> None:
    assert stretch_of(seconds) == minutes * MINUTE


def test_younger_changes_weigh_more_and_old_ones_nothing() -> None:
    stretch = 20 * MINUTE

    assert change_ratio(before(0), now=NOON, stretch=stretch) == pytest.approx(1.2 / 20)
    assert change_ratio(before(10), now=NOON, stretch=stretch) == pytest.approx(1.0 / 20)
    assert change_ratio(before(20), now=NOON, stretch=stretch) == pytest.approx(0.8 / 20)
    assert change_ratio(before(20.01, 500), now=NOON, stretch=stretch) == 0


@pytest.mark.parametrize(
    ("changes", "was_flapping", "expected"),
    [
        pytest.param(before(0, 2), False, False, id="one outage is no flapping"),
        pytest.param(before(0, 2, 4, 6), False, False, id="two are none either"),
        pytest.param(before(0, 2, 4, 6, 8), False, True, id="the third is"),
        pytest.param(before(4, 8, 12), True, True, id="between the thresholds it goes on"),
        pytest.param(before(4, 8, 12), False, False, id="between the thresholds it does not begin"),
        pytest.param(before(14, 18), True, False, id="calm"),
        pytest.param([], True, False, id="still"),
    ],
)
def test_flaps(changes: list[datetime], was_flapping: bool, expected: bool) -> None:
    assert flaps(changes, was_flapping=was_flapping, now=NOON, interval_seconds=60) == expected
    assert ENDS_BELOW < STARTS_ABOVE


def swing(check: Check, states: list[State], hand: time_machine.Traveller, *, start: float = 0) -> list[bool]:
    """Let the check flip every two minutes; return after each whether it flaps."""
    marks = []
    for number, state in enumerate(states):
        hand.move_to(NOON + (start + 2 * number) * MINUTE)
        change_state(check.id, Change(after=state, at=NOON + (start + 2 * number) * MINUTE))
        marks.append(CheckState.objects.get(watched=check).is_flapping)
    return marks


def told() -> list[str]:
    return list(
        OutboxRow.objects.filter(event__in=["checks.started_flapping", "checks.calmed_down"]).values_list(
            "event", flat=True
        )
    )


@pytest.fixture
def hand() -> object:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.mark.django_db
def test_flips_mark_a_check_and_time_alone_calms_it(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = make_check(state=State.UP)

    marks = swing(check, [State.DOWN, State.UP] * 3, hand)
    since = CheckState.objects.get(watched=check).flapping_since_at
    at_once = look_for_calm()
    hand.move_to(NOON + 60 * MINUTE)
    later = look_for_calm()

    assert marks == [False, False, False, False, True, True]
    assert since == NOON + 8 * MINUTE
    assert (at_once, later) == (0, 1)
    standing = CheckState.objects.get(watched=check)
    assert (standing.is_flapping, standing.flapping_since_at, standing.state) == (False, None, "up")
    assert told() == ["checks.started_flapping", "checks.calmed_down"]


@pytest.mark.django_db
def test_pauses_maintenance_and_lost_sight_are_no_changes(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    check = make_check(state=State.UP)

    marks = swing(
        check, [State.UNKNOWN, State.UP, State.MAINTENANCE, State.UP, State.PAUSED, State.UNKNOWN, State.UP], hand
    )

    assert marks == [False] * 7


@pytest.mark.django_db
def test_no_more_changes_are_read_than_settle_it(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    """Heartbeats may change twice a second."""
    check = make_check(state=State.UP)
    swing(check, [State.DOWN, State.UP] * 20, hand)
    rows = []

    def count(execute: Callable[..., Any], *given: Any) -> Any:
        found = execute(*given)
        rows.append(given[-1]["cursor"].rowcount)
        return found

    with connection.execute_wrapper(count):
        assert look_for_calm() == 0

    assert max(rows) == ENOUGH
    assert CheckState.objects.get(watched=check).is_flapping


@pytest.mark.django_db
def test_changes_are_those_of_each_checks_own_stretch(in_acme: Tenant, hand: time_machine.Traveller) -> None:
    often, seldom = make_check("often", state=State.UP), make_check("seldom", state=State.UP, interval_seconds=300)
    for check in (often, seldom):
        swing(check, [State.DOWN, State.UP], hand)
        swing(check, [State.UNKNOWN, State.UP, State.DOWN], hand, start=28)

    found = latest_changes({often.id: 60, seldom.id: 300}, now=NOON + 40 * MINUTE)

    assert found == {often.id: before(-32), seldom.id: before(-32, -2, 0)}


def test_enough_changes_are_above_both_thresholds_however_old_they_are() -> None:
    oldest = before(20) * ENOUGH

    for was_flapping in (False, True):
        assert flaps(oldest, was_flapping=was_flapping, now=NOON, interval_seconds=60)
    assert not flaps(oldest[1:], was_flapping=False, now=NOON, interval_seconds=60)


@pytest.mark.django_db
def test_each_tenants_checks_calm_down(acme: Tenant, globex: Tenant, hand: time_machine.Traveller) -> None:
    for tenant in (acme, globex):
        with tenant_scope(tenant.id):
            swing(make_check(state=State.UP), [State.DOWN, State.UP] * 3, hand)
    hand.move_to(NOON + 90 * MINUTE)

    assert look_for_calm() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("seed", [1, 2])
def test_any_story_is_marked_as_counting_its_changes_says(
    in_acme: Tenant, hand: time_machine.Traveller, seed: int
) -> None:
    """Whatever a check lives through: each change between what was seen weighs by its age, and both thresholds hold."""
    luck = random.Random(seed)
    check, stretch = make_check(state=State.UP, interval_seconds=120), 2_400
    now, state, seen, is_marked, marks = NOON, State.UP, [], False, set[bool]()
    for _step in range(60):
        now += luck.choice([20, 60, 60, 120, 20, 60, 60, 120, 60, 4_000]) * timedelta(seconds=1)
        hand.move_to(now)
        after = luck.choice([State.UP, State.DOWN, State.UP, State.DOWN, State.DEGRADED, State.UNKNOWN, State.PAUSED])
        change_state(check.id, Change(after=after, at=now))
        look_for_calm()
        if after != state and not {state, after} & {State.UNKNOWN, State.PAUSED}:
            seen.append(now)
        state = after
        ages = [(now - at).total_seconds() / stretch for at in seen]
        share = sum(1.2 - 0.4 * age for age in ages if age <= 1) / 20
        if share > 0.25 and seen and seen[-1] == now:  # begins with a change
            is_marked = True
        elif share <= 0.10:  # ends with time
            is_marked = False

        assert CheckState.objects.get().is_flapping == is_marked
        marks.add(is_marked)

    assert marks == {True, False}
