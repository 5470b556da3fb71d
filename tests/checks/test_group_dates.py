"""A group's state is dated by the member's flip that made it so, however its members' flips are told of."""

import random
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from uuid import UUID

import pytest
import time_machine

from apps.checks.domain.checks import create_check
from apps.checks.domain.flips import Change, change_state
from apps.checks.domain.grouping import follow_flips, turned_at
from apps.checks.enums import State
from apps.checks.models import Check, CheckState, Flip
from apps.checks.types.group import GroupConfig, compose
from apps.core import clock
from apps.tenants.models import Tenant
from tests.factories.checks import make_check

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
STATES = (State.UP, State.DEGRADED, State.DOWN, State.UNKNOWN, State.PAUSED, State.MAINTENANCE)


def noon_and(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def members_and_group(rule: str, quorum: int, count: int = 3) -> tuple[list[Check], Check]:
    """Members that have been up since noon, and their group."""
    with time_machine.travel(NOON, tick=False):
        checks = [make_check(f"Check {number}", state=State.UP) for number in range(count)]
        CheckState.objects.update(since_at=NOON)
        config = GroupConfig(members=[check.name for check in checks], rule=rule, quorum=quorum)
        return checks, create_check(name="Group", kind="group", config=config)


def become(check: Check, after: State, seconds: float) -> UUID:
    made = change_state(check.id, Change(after=after, at=noon_and(seconds)))
    assert made is not None
    return made.id


def past(group: Check) -> list[tuple[str, float]]:
    """The group's states after noon, and after how many seconds they came."""
    rows = Flip.objects.filter(watched=group, at__gt=NOON).order_by("sequence").values_list("after", "at")
    return [(after, (at - NOON).total_seconds()) for after, at in rows]


@pytest.mark.django_db
def test_quorum_is_dated_by_the_flip_that_ended_it_and_the_one_that_completed_it(in_acme: Tenant) -> None:
    (one, two, three), group = members_and_group("quorum", quorum=2)

    # two of three are needed: the second one that is gone ends it
    follow_flips([become(one, State.DOWN, 10), become(two, State.DOWN, 20), become(three, State.DOWN, 30)])
    follow_flips([become(three, State.UP, 40), become(two, State.UP, 50), become(one, State.UP, 60)])

    assert past(group) == [("down", 20), ("up", 50)]


@pytest.mark.django_db
def test_flips_told_of_in_the_wrong_order_date_the_group_all_the_same(in_acme: Tenant) -> None:
    (one, two, _three), group = members_and_group("worst", quorum=1)
    first, second = become(one, State.DOWN, 10), become(two, State.DOWN, 20)

    follow_flips([second])
    follow_flips([first])

    assert past(group) == [("down", 10)]


@pytest.mark.django_db
def test_flip_written_after_it_came_true_counts_from_when_it_did(in_acme: Tenant) -> None:
    (one, two, _three), group = members_and_group("quorum", quorum=2)
    quick = become(one, State.DOWN, 30)
    heartbeat = become(two, State.DOWN, 10)  # since its deadline

    follow_flips([quick, heartbeat])

    assert past(group) == [("down", 30)]


@pytest.mark.django_db
def test_flip_of_long_ago_dates_no_change_that_a_new_member_made(in_acme: Tenant) -> None:
    (one, _two, _three), group = members_and_group("worst", quorum=1)
    tagged = make_check("Tagged", state=State.UP)
    CheckState.objects.filter(watched=tagged).update(since_at=NOON)
    become(tagged, State.DOWN, 100)
    Check.objects.filter(id=tagged.id).update(name="Check 0")

    follow_flips([become(one, State.DEGRADED, 3_600)])

    assert past(group) == [("down", 3_600)]


# --- Any story ------------------------------------------------------------------------------------------------------


def naive_date(story: list[tuple[float, int, State]], rule: str, quorum: int, count: int) -> tuple[State, float]:
    """Play a story of members from noon on; return what the group is in the end, and since when."""
    states = [State.UP] * count
    timeline = [(0.0, compose(states, rule=rule, quorum=quorum))]
    for seconds, number, after in sorted(story, key=lambda each: each[0]):
        states[number] = after
        timeline.append((seconds, compose(states, rule=rule, quorum=quorum)))
    began = timeline[0][0]
    for (_at, before), (at, after) in pairwise(timeline):
        began = at if before != after else began
    return timeline[-1][1], began


def any_story(dice: random.Random, count: int, length: int) -> list[tuple[float, int, State]]:
    """Flips in the order in which they are written; some came true a while before."""
    states, since, story = [State.UP] * count, [0.0] * count, []
    for number in range(1, length + 1):
        member = dice.randrange(count)
        after = dice.choice([each for each in STATES if each != states[member]])
        at = max(since[member] + 0.5, number * 10 - dice.choice([0, 0, 25]) + member / 10)
        states[member], since[member] = after, at
        story.append((at, member, after))
    return story


@pytest.mark.parametrize("seed", range(300))
def test_turn_is_found_in_any_story(seed: int) -> None:
    dice = random.Random(seed)
    count, quorum, rule = dice.randint(1, 4), dice.randint(1, 3), dice.choice(["worst", "quorum"])
    story = sorted(any_story(dice, count, dice.randint(0, 12)), key=lambda each: each[0])
    states, flips = [State.UP] * count, []
    for seconds, member, after in story:
        flips.append((UUID(int=member), str(states[member]), noon_and(seconds)))
        states[member] = after
    after, began = naive_date(story, rule, quorum, count)
    now = {UUID(int=member): str(state) for member, state in enumerate(states)}

    found = turned_at(now, reversed(flips), partial(compose, rule=rule, quorum=quorum), after)

    assert found == (noon_and(began) if began else None)


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(6))
def test_group_follows_any_story_told_in_any_portions(in_acme: Tenant, seed: int) -> None:
    dice = random.Random(seed)
    rule, quorum = dice.choice([("worst", 1), ("quorum", 1), ("quorum", 2), ("quorum", 3)])
    checks, group = members_and_group(rule, quorum)
    waiting: list[UUID] = []
    told: list[tuple[float, int, State]] = []
    expected: list[tuple[str, float]] = []
    standing, since = State.UP, 0.0

    for flip in any_story(dice, len(checks), 14):
        told.append(flip)
        with time_machine.travel(noon_and(flip[0]), tick=False):
            waiting.append(become(checks[flip[1]], flip[2], flip[0]))
            assert clock.now() == noon_and(flip[0])
        if dice.random() < 0.4:
            dice.shuffle(waiting)
            portion, waiting = waiting[: len(waiting) // 2 + 1], waiting[len(waiting) // 2 + 1 :]
            follow_flips(portion)
            after, began = naive_date(told, rule, quorum, len(checks))
            if after != standing:
                standing, since = after, max(began, since)
                expected.append((str(standing), since))
            assert past(group) == expected

    assert expected
