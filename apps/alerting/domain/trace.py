"""Reading the trace of an alert back as sentences: why someone was told, or not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.alerting.enums import Reason, Trigger, Verdict
from apps.alerting.models import Alert, AlertStep
from apps.incidents.enums import Severity

STAGE_NAMES = {
    "match_rules": gettext_lazy("Rule"),
    "inhibit": gettext_lazy("Inhibition"),
    "hold": gettext_lazy("Waiting"),
    "silence": gettext_lazy("Silences"),
    "group": gettext_lazy("Grouping"),
    "dedup": gettext_lazy("News"),
    "escalate": gettext_lazy("Recipients"),
    "plan_deliveries": gettext_lazy("Deliveries"),
}
MAX_RUNS = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One stage's decision in words."""

    stage: str
    has_passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the pipeline: what made it look, what came of it."""

    at: datetime
    trigger: str
    has_notified: bool
    outcome: str
    lines: tuple[Line, ...]


def sentence(reason: str, values: Mapping[str, Any]) -> str:
    """Return the sentence of a reason in the active language, instants in the active time zone."""
    said = dict(values)
    if "until" in said:
        said["until"] = timezone.localtime(datetime.fromisoformat(said["until"])).strftime("%Y-%m-%d %H:%M %Z")
    if "severity" in said:
        said["severity"] = Severity(said["severity"]).label
    if reason == Reason.SILENCED and not said.get("reason"):
        said["reason"] = _("no reason given.")
    return str(Reason(reason).label) % said


def runs_of(alert: Alert) -> list[Run]:
    """Return the latest runs, newest first."""
    steps = AlertStep.objects.filter(alert=alert).order_by("-at", "position")[: MAX_RUNS * len(STAGE_NAMES)]
    return list(_runs(steps))


def _runs(steps: Any) -> Iterator[Run]:
    for (at, trigger), together in groupby(steps, key=lambda step: (step.at, step.trigger)):
        taken: list[AlertStep] = list(together)
        last = taken[-1]
        has_notified = last.reason == Reason.PLANNED
        told = next((step for step in taken if step.stage == "dedup"), last)
        yield Run(
            at=at,
            trigger=str(Trigger(trigger).label),
            has_notified=has_notified,
            outcome=sentence(
                told.reason if has_notified else last.reason, told.values if has_notified else last.values
            ),
            lines=tuple(_line(step) for step in taken),
        )


def _line(step: AlertStep) -> Line:
    name = str(STAGE_NAMES.get(step.stage, step.stage))
    return Line(name, step.verdict == Verdict.PASSED, sentence(step.reason, step.values))
