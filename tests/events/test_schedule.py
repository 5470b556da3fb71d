"""What recurs is started on time by any number of schedulers, once."""

from datetime import timedelta
from typing import Any

import pytest

from apps.core import clock
from apps.events import hints
from apps.events.domain import schedule
from apps.events.domain.schedule import Job, register_jobs, start_due_jobs
from apps.events.models import ScheduledJob

pytestmark = pytest.mark.django_db
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
    ScheduledJob.objects.filter(name=name).update(due_at=clock.now() - ago)


def wait_left(name: str) -> float:
    return (ScheduledJob.objects.get(name=name).due_at - clock.now()).total_seconds()


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
    assert wait_left("often") == pytest.approx(59, abs=5)
    assert ScheduledJob.objects.get(name="often").last_started_at


def test_missed_turns_are_not_made_up_for(sent: list[Any]) -> None:
    register_jobs()
    make_due("often", 3 * HOUR)
    make_due("rarely", -HOUR)

    start_due_jobs()

    assert sent == [("tests.often", "events", 120.0)]
    assert wait_left("often") == pytest.approx(0, abs=5)


def test_broker_that_is_away_costs_a_hint_and_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def refuse(task: str, **_options: Any) -> None:
        calls.append(task)
        raise ConnectionError("away")

    monkeypatch.setattr(hints.current_app, "send_task", refuse)
    monkeypatch.setattr(hints, "_silent_until", 0.0)

    answers = [hints.hint("tests.often", queue="events") for _ in range(3)]

    assert (answers, calls) == ([False] * 3, ["tests.often"])
