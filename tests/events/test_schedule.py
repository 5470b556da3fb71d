"""What recurs is started on time by any number of schedulers, once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.contrib.postgres.functions import TransactionNow
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.core import clock
from apps.core.tenancy import tenant_scope
from apps.events import hints
from apps.events.domain import schedule
from apps.events.domain.schedule import Job, Rounds, register_jobs, start_due_jobs
from apps.events.models import OutboxRow, ScheduledJob

pytestmark = pytest.mark.django_db
QUESTION = "apps.events.domain.outbox.HAS_WAITING"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Job]:
    found = {
        "often": Job("often", task="tests.often", every=MINUTE, queue="events"),
        "rarely": Job("rarely", task="tests.rarely", every=HOUR, queue="deliveries"),
    }
    monkeypatch.setattr(schedule, "schedule_table", lambda: found)
    return found


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []

    def note(task: str, *, queue: str, expires_seconds: float) -> None:
        found.append((task, queue, expires_seconds))

    monkeypatch.setattr(schedule, "hint", note)
    return found


def make_due(name: str, ago: timedelta) -> None:
    ScheduledJob.objects.filter(name=name).update(due_at=TransactionNow() - ago)


def wait_left(name: str) -> float:
    job = ScheduledJob.objects.annotate(now=TransactionNow()).get(name=name)
    return (job.due_at - job.now).total_seconds()  # type: ignore[no-any-return]


def test_registering_is_repeatable_and_drops_what_is_no_longer_listed(jobs: dict[str, Job]) -> None:
    ScheduledJob.objects.create(name="gone")

    register_jobs()
    register_jobs()

    assert sorted(ScheduledJob.objects.values_list("name", flat=True)) == ["often", "rarely"]


def test_due_job_is_started_once_and_planned_anew(sent: list[Any]) -> None:
    register_jobs()
    make_due("often", timedelta(seconds=1))
    make_due("rarely", -HOUR)

    started, again = start_due_jobs(), start_due_jobs()

    assert (started, again, sent) == (["often"], [], [("tests.often", "events", 120.0)])
    assert wait_left("often") == 59
    assert ScheduledJob.objects.get(name="often").last_started_at


def test_missed_turns_are_not_made_up_for(sent: list[Any]) -> None:
    register_jobs()
    make_due("often", 3 * HOUR)
    make_due("rarely", -HOUR)

    start_due_jobs()

    assert sent == [("tests.often", "events", 120.0)]
    assert wait_left("often") == 60


@pytest.fixture
def curious(jobs: dict[str, Job]) -> dict[str, Job]:
    """A job that asks whether anything stands in the outbox."""
    jobs["curious"] = Job("curious", "tests.curious", every=timedelta(seconds=5), queue="events", asks=QUESTION)
    register_jobs()
    ScheduledJob.objects.exclude(name="curious").update(due_at=clock.now() + MINUTE)
    return jobs


def test_job_with_nothing_to_do_stays_due_and_starts_as_soon_as_there_is(
    curious: dict[str, Job], sent: list[Any]
) -> None:
    make_due("curious", MINUTE)
    before = start_due_jobs()
    leave_something()

    after, again = start_due_jobs(), start_due_jobs()

    assert (before, after, again, sent) == ([], ["curious"], [], [("tests.curious", "events", 10.0)])
    assert wait_left("curious") == 5


def test_scheduler_asks_only_as_often_as_the_job_may_start(curious: dict[str, Job], hand: Any) -> None:
    make_due("curious", MINUTE)
    rounds = Rounds()
    asked = [rounds.look()]
    leave_something()

    for seconds in (1, 3, 2):
        hand.shift(seconds)
        asked.append(rounds.look())

    assert asked == [[], [], [], ["curious"]]


def test_scheduler_starts_what_asks_nothing_in_the_very_look(curious: dict[str, Job]) -> None:
    rounds = Rounds()
    rounds.look()
    make_due("often", timedelta(seconds=30))

    assert (rounds.look(), rounds.look()) == (["often"], [])


def test_looks_that_find_nothing_are_one_statement_and_write_nothing(curious: dict[str, Job]) -> None:
    make_due("curious", MINUTE)
    before = ScheduledJob.objects.get(name="curious").due_at

    with CaptureQueriesContext(connection) as captured:
        start_due_jobs()

    assert len([one for one in captured if "SAVEPOINT" not in one["sql"]]) == 1
    assert ScheduledJob.objects.get(name="curious").due_at == before


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The scheduler's own clock, in the hand of the test."""

    class Hand:
        now = 1_000.0

        def shift(self, seconds: float) -> None:
            self.now += seconds

    found = Hand()
    monkeypatch.setattr(schedule.time, "monotonic", lambda: found.now)
    return found


def leave_something() -> None:
    tenant_id = UUID(int=1)
    with tenant_scope(tenant_id):
        OutboxRow.objects.create(event="x", handler="x", payload={}, claimable_at=clock.now() - MINUTE)


def test_broker_that_is_away_costs_a_hint_and_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def refuse(task: str, **_options: Any) -> None:
        calls.append(task)
        raise ConnectionError("away")

    monkeypatch.setattr(hints.current_app, "send_task", refuse)
    monkeypatch.setattr(hints, "_silent_until", 0.0)

    answers = [hints.hint("tests.often", queue="events") for _ in range(3)]

    assert (answers, calls) == ([False] * 3, ["tests.often"])


# --- Clocks that are set ------------------------------------------------------------------------------------------------


def test_job_planned_by_a_clock_that_was_set_back_is_due_now(sent: list[Any]) -> None:
    register_jobs()
    make_due("often", -HOUR)  # nobody plans it later than a minute from now
    make_due("rarely", -HOUR)

    started, again = start_due_jobs(), start_due_jobs()

    assert (started, again) == (["often"], [])
    assert wait_left("often") == 60


def test_what_rests_waits_after_the_clock_was_set_ahead(jobs: dict[str, Job], hand: Any) -> None:
    jobs["often"] = Job("often", task="tests.often", every=MINUTE, queue="events", rests=MINUTE)
    register_jobs()
    rounds = Rounds()
    rounds.look()

    with time_machine.travel(clock.now() + HOUR):
        ScheduledJob.objects.update(due_at=clock.now() - 3 * HOUR)
        at_once = rounds.look()
        hand.shift(59)
        too_early = rounds.look()
        ScheduledJob.objects.update(due_at=clock.now() - 3 * HOUR)
        hand.shift(2)
        rested = rounds.look()

    assert (at_once, too_early, rested) == (["rarely"], [], ["often", "rarely"])


def test_clock_set_back_lets_nothing_rest(jobs: dict[str, Job]) -> None:
    jobs["often"] = Job("often", task="tests.often", every=MINUTE, queue="events", rests=MINUTE)
    register_jobs()
    rounds = Rounds()

    with time_machine.travel(clock.now() - HOUR):
        make_due("often", 2 * HOUR)
        started = rounds.look()

    assert "often" in started
