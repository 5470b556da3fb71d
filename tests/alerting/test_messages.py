"""What messages say."""

from dataclasses import replace
from datetime import timedelta

import pytest

from apps.alerting.domain.messages import Story, build_message, spoken_duration, spoken_instant
from apps.alerting.enums import Notice, Reason
from apps.incidents.enums import Severity
from tests.factories.incidents import NOON, minute

STORY = Story(
    check_name="API",
    target="https://api.example/",
    cause="The server refused the connection.",
    severity=Severity.DOWN,
    started_at=NOON,
    ended_at=None,
    goes_on=True,
    is_watched=True,
    rule_name="All",
    tenant_name="Acme",
    time_zone="Europe/Berlin",
    url="https://obsera.example/",
    thread="alert:1",
)
OVER = replace(STORY, ended_at=minute(5), goes_on=False)


@pytest.mark.parametrize(
    ("story", "notice", "title", "urgency", "state"),
    [
        (STORY, Notice.FIRING, "API is down", "critical", "firing"),
        (replace(STORY, severity=Severity.DEGRADED), Notice.FIRING, "API is degraded", "warning", "firing"),
        (STORY, Notice.WORSE, "API is down", "critical", "firing"),
        (
            replace(STORY, severity=Severity.DEGRADED),
            Notice.BETTER,
            "API is degraded, no longer down",
            "warning",
            "firing",
        ),
        (STORY, Notice.REPEAT, "API is still down", "critical", "firing"),
        (replace(STORY, severity=Severity.DEGRADED), Notice.REPEAT, "API is still degraded", "warning", "firing"),
        (OVER, Notice.RESOLVED, "API recovered", "critical", "resolved"),
        (replace(OVER, is_watched=False), Notice.RESOLVED, "API is no longer watched", "critical", "resolved"),
        (replace(OVER, goes_on=True), Notice.RESOLVED, "API is degraded, no longer down", "critical", "resolved"),
    ],
)
def test_title_tells_the_news(story: Story, notice: Notice, title: str, urgency: str, state: str) -> None:
    message = build_message(story, notice, now=minute(3))

    assert (message.title, message.severity, message.state) == (title, urgency, state)


def test_facts_of_what_is_over_name_its_end_in_the_tenants_time() -> None:
    message = build_message(OVER, Notice.RESOLVED, now=minute(7))

    assert [tuple(fact) for fact in message.facts] == [
        ("Target", "https://api.example/"),
        ("Cause", "The server refused the connection."),
        ("Since", "2026-11-20 13:00:00 CET"),
        ("Until", "2026-11-20 13:05:00 CET"),
        ("Lasted", "5 min"),
    ]
    assert (message.started_at, message.ended_at, message.text) == (NOON, minute(5), "")


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3_600, "1 h"),
        (3_601, "1 h"),
        (7_500, "2 h 5 min"),
        (86_400, "1 day"),
        (2 * 86_400 + 3 * 3_600 + 59, "2 days 3 h"),
    ],
)
def test_spoken_duration(seconds: int, expected: str) -> None:
    assert spoken_duration(timedelta(seconds=seconds)) == expected


def test_spoken_instant_in_summer_time() -> None:
    assert spoken_instant(NOON.replace(month=7), "Europe/Berlin") == "2026-07-20 14:00:00 CEST"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_a_sentence(reason: Reason) -> None:
    values = dict.fromkeys(("severity", "tags", "rule", "until", "reason", "channels", "count", "parent"), "x")

    said = str(reason.label) % values

    assert said == said.strip()
    assert said[-1] in ".x"
