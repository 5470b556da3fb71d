"""Groups learn what their members learned, and nobody is told."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine

from apps.alerting.models import Alert
from apps.checks.domain import agent_work, agents
from apps.checks.domain.checks import create_check
from apps.checks.domain.days import Day
from apps.checks.domain.flips import change_state, now_as
from apps.checks.domain.hindsight import Piece, look_back_at_members, overlaid
from apps.checks.domain.regions import lose_sight_of_silent_regions
from apps.checks.enums import State
from apps.checks.models import Agent, Check, CheckState, Flip, Hindsight, Region
from apps.checks.types.group import GroupConfig
from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.events.domain.outbox import deliver_pending
from apps.incidents.models import Outage
from apps.statuspages.domain.board import board_of
from apps.statuspages.domain.components import add_component
from apps.statuspages.domain.pages import create_page
from apps.tenants.models import Tenant
from tests.checks.test_looking_back import (
    BAD,
    GOOD,
    KNOWN,
    MINUTE,
    STORY,
    come_back,
    days_of,
    late,
    learned,
    look_back,
    total,
    watched,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def silent_since() -> datetime:
    return (clock.now() - 20 * MINUTE).replace(microsecond=0)


@pytest.fixture
def agent(in_acme: Tenant, silent_since: datetime) -> Agent:
    made, _token = agents.create_agent(name="Office")
    Region.objects.filter(id=made.region_id).update(seen_at=silent_since)
    made.region.refresh_from_db()
    return made


def make_group(silent_since: datetime, name: str, *, state: State = State.UP, **config: Any) -> Check:
    """A group that has been in that state for long."""
    group = create_check(name=name, kind="group", config=GroupConfig(**config))
    deliver_pending()
    since = silent_since - 100 * MINUTE
    Check.objects.filter(id=group.id).update(created_at=since)
    Flip.objects.filter(watched=group).delete()
    Flip.objects.create(watched=group, at=since, before=State.NEW, after=state)
    CheckState.objects.filter(watched=group).update(state=state, since_at=since)
    return group


def fall_silent_and_come_back(agent: Agent) -> datetime:
    """The silence is noticed, then the agent is back and looks at once; return when that was."""
    lose_sight_of_silent_regions()
    deliver_pending()
    back_at = come_back(agent)
    deliver_pending()
    return back_at


def test_a_group_learns_what_its_members_learned(agent: Agent, silent_since: datetime) -> None:
    one, two = (watched(agent, silent_since, name, retries=0) for name in ("One", "Two"))
    group = make_group(silent_since, "Shop", members=["One", "Two"])
    above = make_group(silent_since, "All", members=["Shop"])
    page = create_page(title="Acme", slug="acme-groups")
    add_component(page, group)
    now = fall_silent_and_come_back(agent) + timedelta(seconds=20)

    agent_work.backfill(agent, [*late(one, silent_since, *STORY), *late(two, silent_since, *(GOOD,) * 19)])
    look_back()

    assert [str(flip.after) for flip in Flip.objects.filter(watched=group).order_by("sequence")] == [
        "up",
        "unknown",
        "up",
    ]
    assert learned(group, silent_since) == learned(above, silent_since) == KNOWN
    days = days_of(group, now)
    assert total(days) == Day(up=6_000 + 540 + 300 + 20, degraded=120, down=180, late=1_140)
    with time_machine.travel(now, tick=False):
        assert list(board_of(page, now).components[0].days) == days


def test_members_that_learn_one_after_the_other_make_the_group_what_they_are_together(
    agent: Agent, silent_since: datetime
) -> None:
    one, two = (watched(agent, silent_since, name, retries=0) for name in ("One", "Two"))
    group = make_group(silent_since, "Shop", members=["One", "Two"], rule="quorum", quorum=1)
    fall_silent_and_come_back(agent)
    steps = []

    for check, verdicts in ((one, (BAD,) * 19), (two, (BAD,) * 10 + (GOOD,) * 9)):
        agent_work.backfill(agent, late(check, silent_since, *verdicts))
        look_back()
        steps.append(learned(group, silent_since))

    # of one that is down and one that nobody knows of, one might be up
    assert steps == [[], [(30, 630, "down"), (630, 1_170, "up")]]


def test_a_group_that_was_known_all_the_time_learns_nothing(agent: Agent, silent_since: datetime) -> None:
    check = watched(agent, silent_since, retries=0)
    other = make_group(silent_since, "Other", members=["nobody"])
    group = make_group(silent_since, "Shop", members=["API", "Other"])
    fall_silent_and_come_back(agent)

    agent_work.backfill(agent, late(check, silent_since, *(BAD,) * 19))
    look_back()

    assert set(Flip.objects.filter(watched__in=[group, other], after=State.UNKNOWN)) == set()
    assert set(Hindsight.objects.values_list("watched_id", flat=True)) == {check.id}


def test_downtime_of_a_group_in_hindsight_tells_nobody(agent: Agent, silent_since: datetime) -> None:
    check = watched(agent, silent_since, retries=0)
    group = make_group(silent_since, "Shop", members=["API"])
    fall_silent_and_come_back(agent)
    flips = Flip.objects.count()

    agent_work.backfill(agent, late(check, silent_since, *(BAD,) * 19))
    look_back()
    deliver_pending()

    assert learned(group, silent_since) == [(30, 1_170, "down")]
    assert (Outage.objects.count(), Alert.objects.count(), Flip.objects.count()) == (0, 0, flips)
    assert CheckState.objects.get(watched=group).state == State.UP


def test_groups_of_strangers_learn_nothing(agent: Agent, silent_since: datetime, globex: Tenant) -> None:
    check = watched(agent, silent_since, retries=0)
    with tenant_scope(globex.id):
        theirs = make_group(silent_since, "Theirs", members=["API"])
        change_state(theirs.id, now_as(State.UNKNOWN))
    fall_silent_and_come_back(agent)

    agent_work.backfill(agent, late(check, silent_since, *STORY))
    look_back()

    assert learned(check, silent_since) == KNOWN
    with tenant_scope(globex.id):
        assert Hindsight.objects.count() == 0


AT = datetime.fromisoformat("2026-11-21T10:00:00+00:00")


def piece(since: int, until: int, state: State) -> Piece:
    return Piece(AT + timedelta(seconds=since), AT + timedelta(seconds=until), state)


def test_what_was_learned_lies_over_unknown_times_alone() -> None:
    lived = [piece(0, 10, State.UP), piece(10, 50, State.UNKNOWN), piece(50, 60, State.DOWN)]
    late_ones = [piece(30, 55, State.UP), piece(5, 20, State.DEGRADED)]

    assert overlaid(lived, late_ones) == [
        piece(0, 10, State.UP),
        piece(10, 20, State.DEGRADED),
        piece(20, 30, State.UNKNOWN),
        piece(30, 50, State.UP),
        piece(50, 60, State.DOWN),
    ]


def test_members_are_asked_wherever_one_of_them_changes() -> None:
    members = [[piece(0, 20, State.UP), piece(20, 60, State.DOWN)], [piece(10, 40, State.UP)], []]

    def as_many_as_are_up(states: list[str]) -> State:
        return {1: State.UP, 2: State.DEGRADED}.get(states.count("up"), State.UNKNOWN)

    found = look_back_at_members(
        members, as_many_as_are_up, since=AT + timedelta(seconds=5), until=AT + timedelta(seconds=45)
    )

    assert found == [piece(5, 10, State.UP), piece(10, 20, State.DEGRADED), piece(20, 40, State.UP)]
