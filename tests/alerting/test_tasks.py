"""The recurring job, and what every page shows."""

import pytest
from django.http import HttpRequest

from apps.alerting.context_processors import alerts
from apps.alerting.domain import reminding, straightening
from apps.alerting.models import Alert
from apps.alerting.tasks import reevaluate
from apps.checks.enums import State
from apps.checks.models import Check
from apps.incidents.context_processors import outages
from config.schedule_table import SCHEDULE_TABLE
from tests.factories.alerting import flip, messages
from tests.factories.incidents import minute

pytestmark = pytest.mark.django_db


def test_job_runs_the_task_every_ten_seconds() -> None:
    (job,) = [job for job in SCHEDULE_TABLE if job.task == reminding.REEVALUATE_TASK]

    assert (job.every.total_seconds(), job.queue) == (10, "events")


def test_task_sends_reminders(check: Check, hand: object) -> None:
    flip(check, State.DOWN, 0, hand)
    hand.move_to(minute(240))

    reevaluate()

    assert [title for title, _ in messages()] == ["API is down", "API is still down"]


def test_failing_end_of_an_orphan_is_tried_again(
    check: Check, hand: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    flip(check, State.DOWN, 0, hand)
    check.delete()
    hand.move_to(minute(1))
    monkeypatch.setattr("apps.alerting.domain.rounds.run_pipeline", lambda _round: 1 / 0)

    reevaluate()

    assert (len(caplog.records), len(messages())) == (1, 1)
    monkeypatch.undo()
    hand.move_to(minute(2))
    reevaluate()
    assert [title for title, _ in messages()] == ["API is down", "API is no longer watched"]


def test_pages_count_what_is_open(check: Check, hand: object) -> None:
    flip(check, State.DOWN, 0, hand)
    request = HttpRequest()
    request.tenant = check.tenant  # type: ignore[attr-defined]

    counts = alerts(request)["firing_alerts"](), outages(request)["open_outages"]()

    assert counts == (1, 1)
    assert (alerts(HttpRequest()), outages(HttpRequest())) == ({}, {})


def test_pages_of_refusal_count_nothing() -> None:
    """They are drawn after the tenant's scope was closed."""
    request = HttpRequest()
    request.tenant = None  # type: ignore[attr-defined]

    assert (alerts(request)["firing_alerts"](), outages(request)["open_outages"]()) == (None, None)


def test_reminder_of_a_clock_that_was_set_back_does_not_stand_still(check: Check, hand: object) -> None:
    """The outage began at minute 60 by a clock that goes back to minute 0 then; reminders come every four hours."""
    flip(check, State.DOWN, 60, hand)
    hand.move_to(minute(0))
    Alert.objects.update(due_at=minute(60 + 240))

    straightening.straighten()
    reevaluate()

    assert Alert.objects.get().due_at == minute(240)
    assert [title for title, _ in messages()] == ["API is down"]
