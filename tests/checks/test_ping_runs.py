"""Runs that overlap: whose start a report ends, in one batch or over many."""

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from uuid import UUID

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.checks.domain.heartbeat_rules import MAX_DURATION
from apps.checks.domain.heartbeats import heartbeat_facts
from apps.checks.domain.ping_runs import STARTS
from apps.checks.domain.pings import NewPing, PingStore
from apps.checks.models import Check, Heartbeat, Ping
from apps.checks.types.heartbeat import Signal
from apps.core.postgres.hints import prefer_keys
from apps.core.tenancy import system_scope, tenant_scope
from apps.tenants.models import Tenant
from tests.checks.test_pings import NOW, heartbeat, ping, token_of

pytestmark = pytest.mark.django_db
A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)


@pytest.fixture
def scope(acme: Tenant) -> Iterator[Tenant]:
    with tenant_scope(acme.id):
        yield acme


def store(*pings: NewPing, sizes: Iterator[int] | None = None) -> None:
    """Store pings in batches of these sizes; otherwise each by itself."""
    waiting, door = list(pings), PingStore()
    while waiting:
        size = next(sizes) if sizes else 1
        door.store(waiting[:size])
        waiting = waiting[size:]


def durations(check: Check) -> list[float | None]:
    """Return how many minutes each report's run took."""
    kept = Ping.objects.filter(watched=check).order_by("number")
    return [None if one.duration is None else one.duration / timedelta(minutes=1) for one in kept]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_each_end_finds_its_own_start(scope: Tenant, size: int) -> None:
    check = heartbeat()
    mine = token_of(check)

    store(
        ping(mine, Signal.START, minutes=0, run_id=A),
        ping(mine, Signal.START, minutes=5, run_id=B),
        ping(mine, Signal.LOG, minutes=6, run_id=A),
        ping(mine, Signal.SUCCESS, minutes=7, run_id=A),
        ping(mine, Signal.SUCCESS, minutes=9, run_id=B),
        sizes=iter([size] * 5),
    )

    assert durations(check) == [None, None, None, 7, 4]
    assert Heartbeat.objects.get().last_duration == timedelta(minutes=4)


def test_newest_start_is_running_while_an_earlier_run_ends(scope: Tenant) -> None:
    check = heartbeat()
    mine = token_of(check)

    store(
        ping(mine, Signal.START, minutes=-9, run_id=A),
        ping(mine, Signal.START, minutes=-4, run_id=B),
        ping(mine, Signal.SUCCESS, minutes=-2, run_id=A),
    )

    standing = Heartbeat.objects.get()
    assert (standing.last_duration, standing.last_start_run) == (timedelta(minutes=7), B)
    assert standing.last_start_at is not None
    assert standing.deadline_at == standing.last_start_at + timedelta(minutes=10)
    with time_machine.travel(NOW, tick=False):
        assert heartbeat_facts(Check.objects.select_related("checkstate").get()).phase == "started"


def test_run_that_a_failure_of_another_ended_still_has_its_time(scope: Tenant) -> None:
    check = heartbeat()
    mine = token_of(check)

    store(
        ping(mine, Signal.START, minutes=0, run_id=A),
        ping(mine, Signal.FAIL, minutes=1, run_id=B),
        ping(mine, Signal.SUCCESS, minutes=3, run_id=A),
        ping(mine, Signal.SUCCESS, minutes=4, run_id=A),  # sent twice: it ended before
    )

    assert durations(check) == [None, None, 3, None]


def test_start_of_more_than_three_days_ago_is_no_longer_that_of_the_run(scope: Tenant) -> None:
    check, hours = heartbeat(), MAX_DURATION / timedelta(minutes=1)
    mine = token_of(check)

    store(
        ping(mine, Signal.START, minutes=0, run_id=A),
        ping(mine, Signal.START, minutes=1, run_id=B),
        ping(mine, Signal.START, minutes=2, run_id=C),
        ping(mine, Signal.SUCCESS, minutes=hours + 1, run_id=B),
        ping(mine, Signal.SUCCESS, minutes=hours + 1, run_id=A),
    )

    assert durations(check) == [None, None, None, hours, None]


def test_runs_are_those_of_their_heartbeat_alone(acme: Tenant, globex: Tenant) -> None:
    with tenant_scope(globex.id):
        theirs = heartbeat()
        their_token = token_of(theirs)
    with tenant_scope(acme.id):
        mine, other = heartbeat(), heartbeat("Other")
        my_token, other_token = token_of(mine), token_of(other)

    door = PingStore()
    door.store([ping(each, Signal.START, run_id=A) for each in (their_token, other_token)])
    door.store([ping(my_token, minutes=3, run_id=A), ping(their_token, minutes=5, run_id=A)])

    with tenant_scope(acme.id):
        assert (durations(mine), durations(other)) == ([None], [None])
    with tenant_scope(globex.id):
        assert durations(theirs) == [None, 5]


def test_nothing_is_looked_for_unless_a_report_ends_a_run_that_is_not_the_newest(scope: Tenant) -> None:
    check, other = heartbeat(), heartbeat("Other")
    mine, theirs = token_of(check), token_of(other)
    door = PingStore()

    def questions(*pings: NewPing) -> int:
        with CaptureQueriesContext(connection) as captured:
            door.store(pings)
        return sum("asked.run_id" in query["sql"] for query in captured)

    assert questions(ping(mine, Signal.START), ping(mine, Signal.SUCCESS), ping(theirs, Signal.FAIL)) == 0
    assert questions(ping(mine, Signal.START, run_id=A), ping(theirs, Signal.START, run_id=B)) == 0
    assert questions(ping(mine, run_id=A), ping(theirs, Signal.LOG, run_id=C)) == 0
    assert questions(ping(mine, run_id=C), ping(theirs, run_id=A), ping(theirs, run_id=C)) == 1


def test_start_is_found_by_the_index_of_runs(scope: Tenant) -> None:
    check, door = heartbeat(), PingStore()
    mine = token_of(check)
    door.store([ping(mine, Signal.LOG, run_id=UUID(int=count)) for count in range(1, 400)])

    with transaction.atomic(), system_scope("the plan of the door's question"), connection.cursor() as cursor:
        prefer_keys(cursor)
        cursor.execute(f"EXPLAIN {STARTS}", [[check.id], [A]])
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "Index Scan using checks_ping_by_run" in plan


# --- Against Healthchecks' own way: look back from each report ----------------------------------------------------------

Report = tuple[int, Signal, UUID | None]
ENDS = (Signal.SUCCESS, Signal.FAIL)


def looked_back(history: list[Report], place: int) -> float | None:
    """The model: of the run's earlier reports the newest says whether it was under way."""
    at, signal, run = history[place]
    if signal not in ENDS:
        return None
    for before, earlier, its_run in reversed(history[:place]):
        if its_run == run and earlier != Signal.LOG:
            return at - before if earlier == Signal.START else None
    return None


@pytest.mark.parametrize("seed", range(8))
def test_durations_agree_with_looking_back_from_each_report(scope: Tenant, seed: int) -> None:
    random = Random(seed)
    check = heartbeat()
    signals = [Signal.START, Signal.START, Signal.SUCCESS, Signal.SUCCESS, Signal.FAIL, Signal.LOG]
    history = [(at, random.choice(signals), random.choice([A, B, C, None])) for at in range(60)]

    mine = token_of(check)
    sizes = iter(lambda: random.randint(1, 7), 0)
    store(*(ping(mine, signal, minutes=at, run_id=run) for at, signal, run in history), sizes=sizes)

    kept = durations(check)
    named = [place for place in range(60) if history[place][2] is not None]
    assert [kept[place] for place in named] == [looked_back(history, place) for place in named]
